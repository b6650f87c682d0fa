"""`goldsmith cancel`: stop a run."""

from __future__ import annotations

from typing import Annotated

import typer

from goldsmith.commands.arguments import PIPELINE, OfPipeline
from goldsmith.settings import settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: goldsmith cancel")(cancel)


def cancel(
    run_id: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Id of the run; default is the one that runs.")
    ] = None,
    *,
    pipeline: OfPipeline = None,
) -> None:
    """Stop a run: Airflow ends its tasks, and dbt cancels its statements in the warehouse."""
    from goldsmith.client.airflow import running_airflow
    from goldsmith.client.cancel import cancel_run
    from goldsmith.client.meant import has_run
    from goldsmith.pipelines.find import choose_pipeline

    here = settings()
    spec, _ = choose_pipeline(here, pipeline, meant=has_run(here, run_id), option=PIPELINE)
    with running_airflow(here).api as api:
        cancelled = cancel_run(api, spec.name, run_id)
    typer.echo(
        f"Cancelled run {cancelled} of {spec.name}. To go on with it: goldsmith run {spec.name} --failed"
    )
