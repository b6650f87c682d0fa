"""Ask the warehouse through dbt."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Any

from goldsmith.dbt.events import EventReader
from goldsmith.dbt.inline import answers_in, inline_queries
from goldsmith.engine.dbt.workspace import Workspace
from goldsmith.errors import EnvironmentProblem

log = logging.getLogger(__name__)

_SAID = 10  # lines
_PATIENCE = 3.0  # seconds for dbt to cancel its queries


def ask_dbt(space: Workspace, questions: Sequence[str], timeout: float) -> list[Any]:
    """Ask, with as few dbt commands as the questions fit into.

    Args:
        space: Where dbt runs.
        questions: Jinja, see `goldsmith.dbt.inline`.
        timeout: Seconds for all of them.

    Returns:
        The answers, in the order of the questions.

    Raises:
        EnvironmentProblem: dbt failed, with what it said; or it took too long.
    """
    end = time.monotonic() + timeout
    found = [answer for query in inline_queries(questions) for answer in _ask(space, query, end)]
    if len(found) != len(questions):
        raise EnvironmentProblem(
            f"The warehouse could not be asked: dbt gave {len(found)} of {len(questions)} answers."
        )
    log.info("Asked the warehouse %d questions through dbt", len(questions))
    return found


def _ask(space: Workspace, query: str, end: float) -> list[Any]:
    reader = EventReader()
    command = space.plain_command(["show", "--inline", query])
    process = space.start(command)
    lines, late = [], threading.Event()

    def stop() -> None:
        late.set()
        process.interrupt(patience=_PATIENCE)

    timer = threading.Timer(max(end - time.monotonic(), 0.0), stop)
    timer.daemon = True
    timer.start()
    try:
        for line in process.lines():
            lines.append(line)
            reader.read(line)
        code = process.wait()
    except BaseException:
        process.interrupt(patience=_PATIENCE)
        raise
    finally:
        timer.cancel()
    if late.is_set():
        raise EnvironmentProblem("The warehouse could not be asked: `dbt show` took too long, and was ended.")
    if code != 0:
        said = "\n".join((reader.errors or [text for _, text in reader.said])[-_SAID:])
        raise EnvironmentProblem(
            f"The warehouse could not be asked: `dbt show` ended with code {code}.\n{said}"
        )
    return answers_in(lines)
