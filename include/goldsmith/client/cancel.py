"""`goldsmith cancel`: stop a run."""

from __future__ import annotations

from goldsmith.client.find_run import find_run
from goldsmith.errors import ConfigurationError
from goldsmith.rest import RestClient


def cancel_run(api: RestClient, pipeline: str, run_id: str | None) -> str:
    """Set a run to failed, so that Airflow ends its tasks; its report is still made.

    Args:
        api: The Airflow.
        pipeline: The pipeline.
        run_id: The run; None for the oldest that has not ended.

    Returns:
        The run's id.

    Raises:
        ConfigurationError: The run has ended, or none is running.
        SelectionError: There is no such run.
    """
    if run_id is None:
        running = [run for run in api.runs(pipeline) if not run.is_finished]
        if not running:
            raise ConfigurationError(f"No run of {pipeline} is running.", hint="goldsmith status")
        chosen = running[-1]
    else:
        chosen = find_run(api, pipeline, run_id)
        if chosen.is_finished:
            raise ConfigurationError(
                f"Run {chosen.run_id} of {pipeline} has ended: {chosen.state}.", hint="goldsmith status"
            )
    api.cancel_run(pipeline, chosen.run_id)
    return chosen.run_id
