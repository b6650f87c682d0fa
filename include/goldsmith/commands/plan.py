"""`goldsmith plan`: the tasks that a pipeline becomes, or a selection of them."""

from __future__ import annotations

from typing import Any

import typer
from rich.console import Console

from goldsmith.commands import arguments
from goldsmith.commands.as_json import AsJson, print_json
from goldsmith.settings import settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: goldsmith plan --select tag:marts")(plan)


def plan(
    pipeline: arguments.OnePipeline = None,
    *,
    select: arguments.Select = None,
    exclude: arguments.Exclude = None,
    as_json: AsJson = False,
) -> None:
    """Show the tasks a pipeline becomes: layers, nodes, tests and gates; with a selection, what a run of it builds."""
    from goldsmith.client.session import reporter
    from goldsmith.pipeline import load_plan, project_of
    from goldsmith.pipelines.find import choose_pipeline
    from goldsmith.pipelines.manifests import refresh_manifest
    from goldsmith.pipelines.prepare import chosen_nodes
    from goldsmith.plan.preview import choices_listing, choices_table
    from goldsmith.plan.show import plan_tree

    here = settings()
    spec, _ = choose_pipeline(here, pipeline)
    asked = arguments.RunArguments(select=select, exclude=exclude).options(target="")
    refresh_manifest(spec, here, reporter(Console(stderr=True)))
    found = load_plan(spec, project_of(spec, here), here)
    shown: Any
    if asked.is_selective:
        choices = chosen_nodes(spec, here, asked, found)
        shown = choices_listing(found, choices) if as_json else choices_table(choices)
    else:
        shown = found.listing() if as_json else plan_tree(found)
    if as_json:
        print_json(shown)
    else:
        Console().print(shown, highlight=False)
