"""Which run of a pipeline a person means."""

from __future__ import annotations

import httpx

from goldsmith.errors import ApiRefused, ConfigurationError, SelectionError
from goldsmith.rest import RestClient, Run
from goldsmith.wording import did_you_mean

LATEST = "latest"
_OFFERED = 20  # runs, where one is not found


def find_run(api: RestClient, pipeline: str, run_id: str | None) -> Run:
    """The run of an id, or the newest one.

    Args:
        api: The Airflow.
        pipeline: The pipeline.
        run_id: The run's id; `latest` or None for the newest.

    Raises:
        ConfigurationError: The pipeline has not run yet.
        SelectionError: It has no run of that id; the message names near ones.
    """
    if run_id in (None, LATEST):
        return _newest(api, pipeline)
    try:
        return api.run(pipeline, str(run_id))
    except ApiRefused as error:
        if error.status != httpx.codes.NOT_FOUND:
            raise
        known = [run.run_id for run in api.runs(pipeline, limit=_OFFERED)]
        raise no_such_run(pipeline, str(run_id), known) from error


def no_such_run(pipeline: str, run_id: str, known: list[str]) -> SelectionError:
    """The error of a run that there is not.

    Args:
        pipeline: The pipeline.
        run_id: What was asked for.
        known: Ids of its runs, newest first.
    """
    if not known:
        return SelectionError(f"{pipeline} has not run yet.", hint=f"goldsmith run {pipeline}")
    near = did_you_mean(run_id, known, otherwise=f"Its last runs are {', '.join(known[:3])}.")
    return SelectionError(
        f"{pipeline} has no run {run_id!r}. {near}", hint=f"For the newest run write `{LATEST}`, or no run."
    )


def _newest(api: RestClient, pipeline: str) -> Run:
    runs = api.runs(pipeline, limit=1)
    if not runs:
        raise ConfigurationError(f"{pipeline} has not run yet.", hint=f"goldsmith run {pipeline}")
    return runs[0]
