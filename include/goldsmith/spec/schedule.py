"""When a pipeline starts by the clock, and the length of time that its runs cover."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Annotated

from croniter import croniter
from pydantic import AfterValidator

_PRESETS = ("@hourly", "@daily", "@weekly", "@monthly", "@quarterly", "@yearly", "@once", "@continuous")
_QUARTERLY = "0 0 1 */3 *"
UNSTEADY = ("@once", "@continuous")
"""Schedules whose runs cover no length of time."""
_TICKS = 30


def _written(schedule: str) -> str:
    if schedule in _PRESETS or croniter.is_valid(schedule):
        return schedule
    raise ValueError(
        f"{schedule!r} is no schedule: write five fields of cron, such as '0 6 * * *', or {', '.join(_PRESETS)}"
    )


Schedule = Annotated[str, AfterValidator(_written)]
"""A cron expression or a preset."""


def check_window(window: timedelta, *, times: str | None, is_after_others: bool, engine: str) -> None:
    """Refuse a window that the runs of a pipeline do not cover one after the other.

    Args:
        window: Length of time of a run.
        times: The schedule by the clock; none: not by the clock.
        is_after_others: Whether updates of assets start runs.
        engine: The pipeline's engine.

    Raises:
        ValueError: They do not.
    """
    if engine == "isolated":
        raise ValueError(
            "`window` reaches dbt with `engine: shared` alone; write that, or take `window` away"
        )
    if times is None and not is_after_others:
        raise ValueError("`window` is for runs that Airflow starts, and nothing does; write a `schedule`")
    if times is not None and is_after_others:
        raise ValueError(
            "with both `schedule` and `after` a run has no one `window`; leave one of the three out"
        )
    if times in UNSTEADY:
        raise ValueError(f"runs of `schedule: {times}` cover no `window`; write a cron expression")
    if times is not None and (other := sorted(_steps(times) - {window})):
        raise ValueError(
            f"a run of `schedule: {times}` comes {other[0]} after the one before, and `window: {window}` "
            "is another length: windows would overlap or leave gaps; make them the same"
        )


def _steps(cron: str) -> set[timedelta]:
    """The lengths of time between the runs of a schedule, in its next few."""
    ticks = croniter(_QUARTERLY if cron == "@quarterly" else cron, datetime(2026, 1, 1, tzinfo=UTC))
    times = [ticks.get_next(datetime) for _ in range(_TICKS)]
    return {after - before for before, after in pairwise(times)}
