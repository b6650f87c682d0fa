"""The run's time limit, held by its tasks.

Airflow's `dagrun_timeout` skips teardowns, so report and alerts would not happen. Instead each task is bounded by
what is left of the run's time: a late one fails at its start, a long one is stopped by Airflow's own timeout.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk.exceptions import AirflowFailException


def bounded(
    own: timedelta, *, run_started: datetime | None, run_timeout: timedelta, now: datetime | None = None
) -> timedelta:
    """The time a task may take: its own limit, or what is left of the run's where that is less.

    Args:
        own: The task's own limit.
        run_started: Start of the DAG run; none where it has not started.
        run_timeout: The run's limit, from its start.
        now: The present; for tests.

    Raises:
        AirflowFailException: Nothing is left, so that the task fails at once and is not retried.
    """
    if run_started is None:
        return own
    left = run_started + run_timeout - (now or datetime.now(UTC))
    if left <= timedelta(0):
        raise AirflowFailException(
            f"The run's time limit of {run_timeout} passed at {run_started + run_timeout:%Y-%m-%d %H:%M:%S %Z}; "
            "this task is not started. Raise run_timeout in the pipeline spec, or start a new run."
        )
    return min(own, left)


def is_over(
    delay: timedelta, *, run_started: datetime | None, run_timeout: timedelta, now: datetime | None = None
) -> bool:
    """Whether the run's time is over after a delay, so that a retry would come too late."""
    return run_started is not None and run_started + run_timeout <= (now or datetime.now(UTC)) + delay
