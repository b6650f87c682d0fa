"""Why a local stack that worked does so no more: it was stopped, it has died, or its disk is full."""

from __future__ import annotations

import shutil

from goldsmith.errors import EnvironmentProblem
from goldsmith.stack.record import Record
from goldsmith.stack.stack import Stack

LEAST_FREE = 16 * 2**20
"""Bytes below which PostgreSQL cannot begin another file of its write-ahead log (16 MiB) and stops."""
WANTED_FREE = 256 * 2**20
"""Bytes with which the stack works for a while."""


def refuse_interrupted(stack: Stack) -> None:
    """Raise if a stack does not work any more; costs a millisecond.

    Args:
        stack: One that was up.

    Raises:
        EnvironmentProblem: It was stopped, has died, or a disk is full; the message says which.
    """
    places = [stack.state.path, *([stack.server.socket_dir] if stack.needs.server else [])]
    for place in places:
        free = shutil.disk_usage(place).free if place.is_dir() else WANTED_FREE
        if free < LEAST_FREE:
            raise EnvironmentProblem(
                f"The disk is full: {_mb(free)} are free at {place}, and the local stack needs {_mb(WANTED_FREE)}. "
                f"{_mb(WANTED_FREE - free)} are missing. PostgreSQL and Airflow stop, and the run with them; what is "
                "built is kept.",
                hint="Free space, then: goldsmith down && goldsmith up. Airflow goes on with the run.",
            )
    if Record.read(stack.state).is_ending or not stack.is_up():
        raise EnvironmentProblem(
            "The local stack was stopped, and the run with it.",
            hint="To start it again: goldsmith up. Airflow goes on with the run. Why it stopped, if nobody stopped it: "
            "goldsmith logs supervisor",
        )


def _mb(number: int) -> str:
    return f"{number / 2**20:.0f} MB"
