"""The parameters of the run that a task belongs to."""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from goldsmith.errors import ConfigurationError
from goldsmith.spec.run import RunOptions

_WINDOW = {"event_time_start", "event_time_end"}


def run_options(context: Context, *, target: str, window: timedelta | None = None) -> RunOptions:
    """What was asked of a run when it was started.

    Args:
        context: Of a task of the run.
        target: dbt target of the pipeline.
        window: Length of time that each run by the clock covers.

    Raises:
        AirflowFailException: It cannot be done, or is no parameter of a run.
    """
    run = context["dag_run"]
    given = {key: value for key, value in (run.conf or {}).items() if value not in (None, "")}
    covered = {} if given.keys() & _WINDOW else _window(run.partition_date, window)
    try:
        return RunOptions.parse({**covered, **given}, target=target)
    except ConfigurationError as error:
        raise AirflowFailException(str(error)) from error


def is_dry(context: Context) -> bool:
    """Whether the run is to build nothing."""
    return (context["dag_run"].conf or {}).get("dry_run") is True


def skip_dry_run(context: Context) -> None:
    """Leave out a task that changes or tells something, where the run is to build nothing.

    Raises:
        AirflowSkipException: It is a dry run.
    """
    if is_dry(context):
        raise AirflowSkipException(
            "A dry run: nothing is loaded, made or told. The tab report of the run says what it would do."
        )


def _window(start: datetime | None, length: timedelta | None) -> dict[str, datetime]:
    """The window of a run that Airflow started for one."""
    if start is None or length is None:
        return {}
    return {"event_time_start": start, "event_time_end": start + length}
