"""The command `goldsmith plan`: its arguments."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer
from rich.console import Console

from goldsmith.local import run_arguments
from goldsmith.settings import settings


def plan(
    pipeline: Annotated[
        str | None, typer.Argument(help="Name of the pipeline; needed where there are several.")
    ] = None,
    *,
    select: run_arguments.Select = None,
    exclude: run_arguments.Exclude = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show the tasks a pipeline becomes: layers, nodes, tests and gates; with a selection, what a run of it builds."""
    from goldsmith.local.run import chosen_nodes
    from goldsmith.local.session import reporter
    from goldsmith.pipeline import load_plan, project_of
    from goldsmith.pipelines.find import choose_pipeline
    from goldsmith.pipelines.manifests import refresh_manifest
    from goldsmith.plan.choices import choices_listing, choices_table
    from goldsmith.plan.show import plan_tree

    here = settings()
    spec, _ = choose_pipeline(here, pipeline)
    asked = run_arguments.RunArguments(select=select, exclude=exclude).options(target="")
    refresh_manifest(spec, here, reporter(Console(stderr=True)))
    found = load_plan(spec, project_of(spec, here), here)
    shown: Any
    if asked.is_selective:
        choices = chosen_nodes(spec, here, asked, found)
        shown = choices_listing(found, choices) if as_json else choices_table(choices)
    else:
        shown = found.listing() if as_json else plan_tree(found)
    if as_json:
        typer.echo(json.dumps(shown, indent=2))
    else:
        Console().print(shown, highlight=False)
