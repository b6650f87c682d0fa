"""`goldsmith render`: one static DAG file for each pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from goldsmith.commands.console import console_of
from goldsmith.errors import ConfigurationError
from goldsmith.settings import settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: goldsmith render prod --out build/dags")(render)


def render(
    environment: Annotated[
        str, typer.Argument(help="Which of the specs' environments; a spec without any is as it is.")
    ],
    *,
    out: Annotated[Path, typer.Option(help="Folder for the files.", show_default=False)],
) -> None:
    """Write a DAG file for each pipeline, with its spec as it is in an environment: defaults and variables filled in.

    Files of an earlier call whose pipeline is gone are deleted. If a pipeline cannot be used, nothing is written.
    """
    from goldsmith.pipelines.find import find_pipelines, no_pipeline, show_failed
    from goldsmith.pipelines.manifests import specs_of
    from goldsmith.pipelines.static_files import write_static_files

    here = settings()
    if out.resolve().is_relative_to(here.dags_dir):
        raise ConfigurationError(
            f"{out} lies in {here.dags_dir}, where the pipelines already have DAG files: each would be there twice.",
            hint=f"goldsmith render {environment} --out build/dags",
        )
    found = find_pipelines(here, environment=environment)
    if not found.names:
        raise no_pipeline(here)
    if found.errors:
        show_failed(found.errors, console_of(stderr=True))
        raise typer.Exit(2)
    specs = specs_of(found)
    written, deleted = write_static_files(specs, environment, out)
    for path in written:
        typer.echo(f"Wrote {path}")
    for path in deleted:
        typer.echo(f"Deleted {path}, whose pipeline is gone")
    if any(route.environments for spec in specs if spec.alerts for route in spec.alerts.routes):
        typer.echo(
            f"Alert routes name environments: set GOLDSMITH_ENVIRONMENT={environment} where these files run."
        )
