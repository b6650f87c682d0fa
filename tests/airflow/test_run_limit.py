"""Tasks end with the run's time, so that teardowns still happen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk.exceptions import AirflowFailException

from goldsmith.run_limit import bounded, is_over

START = datetime(2026, 11, 1, 6, 0, tzinfo=UTC)
HALF_HOUR, TWO_HOURS = timedelta(minutes=30), timedelta(hours=2)


@pytest.mark.parametrize(
    ("minutes_in", "allowed"),
    [(0, HALF_HOUR), (60, HALF_HOUR), (100, timedelta(minutes=20)), (119, timedelta(minutes=1))],
)
def test_a_task_gets_its_own_limit_or_what_is_left(minutes_in: int, allowed: timedelta) -> None:
    """Near the end of the run's time a task is cut shorter."""
    now = START + timedelta(minutes=minutes_in)
    assert bounded(HALF_HOUR, run_started=START, run_timeout=TWO_HOURS, now=now) == allowed


def test_after_the_runs_time_a_task_fails_at_once_and_is_not_retried() -> None:
    """AirflowFailException skips the retries that are left."""
    with pytest.raises(AirflowFailException, match="time limit of 2:00:00 passed at 2026-11-01 08:00:00 UTC"):
        bounded(HALF_HOUR, run_started=START, run_timeout=TWO_HOURS, now=START + TWO_HOURS)


@pytest.mark.parametrize(("minutes_in", "is_too_late"), [(100, False), (115, True), (121, True)])
def test_a_retry_that_would_come_after_the_runs_time_is_not_waited_for(
    minutes_in: int,
    is_too_late: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """The run ends at its limit, not half an hour later."""
    now = START + timedelta(minutes=minutes_in)
    assert is_over(timedelta(minutes=5), run_started=START, run_timeout=TWO_HOURS, now=now) is is_too_late
