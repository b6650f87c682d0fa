"""`goldsmith report`: where the report of a run lies."""

from __future__ import annotations

from typing import Annotated

import typer

from goldsmith.commands.arguments import PIPELINE, OfPipeline
from goldsmith.commands.as_json import AsJson, print_json
from goldsmith.errors import EnvironmentProblem
from goldsmith.settings import settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: goldsmith report --open")(report)


def report(
    run_id: Annotated[
        str | None, typer.Argument(metavar="RUN", help="Id of the run; default is the latest that has ended.")
    ] = None,
    *,
    pipeline: OfPipeline = None,
    show: Annotated[bool, typer.Option("--open", help="Show it in a browser.")] = False,
    only_path: Annotated[bool, typer.Option("--path", help="Print where it lies, and nothing else.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say where the report of a run lies, or show it."""
    from goldsmith.client.find_report import find_report
    from goldsmith.client.meant import has_report
    from goldsmith.pipelines.find import choose_pipeline

    here = settings()
    spec, _ = choose_pipeline(here, pipeline, meant=has_report(here, run_id), option=PIPELINE)
    found = find_report(here, spec.name, run_id)
    if as_json:
        print_json(found.to_dict())
    else:
        for line in [found.path] if only_path else found.lines():
            typer.echo(line)
    if show and not found.open():
        raise EnvironmentProblem("No browser could be opened.", hint=f"Open it yourself: {found.url}")
