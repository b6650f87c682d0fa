"""The command `goldsmith report`: its arguments."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from goldsmith.errors import EnvironmentProblem
from goldsmith.settings import settings


def report(
    run_id: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Id of the run; default is the latest that has ended.")
    ] = None,
    *,
    pipeline: Annotated[
        str | None, typer.Option("--pipeline", help="Name of the pipeline; needed where there are several.")
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Show it in a browser.")] = False,
    only_path: Annotated[bool, typer.Option("--path", help="Print where it lies, and nothing else.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Say where the report of a run lies, or show it."""
    from goldsmith.local.airflow import running_airflow
    from goldsmith.local.run_report import find_report
    from goldsmith.pipelines.find import choose_pipeline

    here = settings()
    spec, _ = choose_pipeline(here, pipeline)
    airflow = running_airflow(here)
    with airflow.api:
        found = find_report(airflow, spec.name, run_id)
    lines = (
        [json.dumps(found.to_dict(), indent=2)] if as_json else [found.path] if only_path else found.lines()
    )
    for line in lines:
        typer.echo(line)
    if show and not found.open():
        raise EnvironmentProblem("No browser could be opened.", hint=f"Open it yourself: {found.url}")
