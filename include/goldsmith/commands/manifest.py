"""`goldsmith manifest`: run `dbt parse` for one pipeline, or for all."""

from __future__ import annotations

from functools import partial

import typer

from goldsmith.commands.arguments import AnyPipeline
from goldsmith.commands.console import console_of
from goldsmith.settings import settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: goldsmith manifest")(manifest)


def manifest(pipeline: AnyPipeline = None) -> None:
    """Make the dbt manifest that the DAG is built from (`dbt parse`); without a name, those of all pipelines."""
    from goldsmith.pipelines.find import choose_pipeline, find_pipelines, read_pipelines, show_failed
    from goldsmith.pipelines.manifests import make_manifest_of, make_manifests, specs_of

    here, say = settings(), partial(typer.echo, err=True)
    if pipeline is not None:
        spec, _ = choose_pipeline(here, pipeline)
        typer.echo(f"Wrote {make_manifest_of(spec, here, say, specs_of(find_pipelines(here)))}")
        return
    found = read_pipelines(here)
    failed = {**found.errors, **make_manifests(here, found, say, wrote=typer.echo)}
    show_failed(failed, console_of(stderr=True))
    raise typer.Exit(2 if failed else 0)
