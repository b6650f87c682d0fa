"""Tasks end with the run's time, so that teardowns still happen."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from airflow.sdk.exceptions import AirflowFailException

from goldsmith.deadline import bounded

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
