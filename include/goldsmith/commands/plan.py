"""`goldsmith plan`: the tasks that a pipeline becomes, or a selection of them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from goldsmith.commands import arguments
from goldsmith.commands.as_json import AsJson, print_json
from goldsmith.commands.console import console_of
from goldsmith.errors import ConfigurationError
from goldsmith.settings import Settings, settings
from goldsmith.spec.run import RunOptions


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: goldsmith plan --select tag:marts")(plan)


def plan(
    pipeline: arguments.OnePipeline = None,
    *,
    select: arguments.Select = None,
    exclude: arguments.Exclude = None,
    ingest: arguments.Ingest = False,
    every: Annotated[bool, typer.Option("--all", help="Show which pipeline waits for which.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the tasks a pipeline becomes: layers, nodes, tests and gates; with a selection, what a run of it builds.

    With --all: the pipelines, and which waits for which. Exit code 2 if some cannot be planned, or wait for each other.
    """
    here = settings()
    asked = arguments.RunArguments(select=select, exclude=exclude, ingest=ingest).options(target="")
    if every and (pipeline or asked.is_selective):
        raise ConfigurationError("--all shows all pipelines, as they are.", hint="goldsmith plan --all")
    if every:
        raise typer.Exit(_show_all(here, as_json=as_json))
    _show(_one(here, pipeline, asked, as_json=as_json), as_json=as_json)


def _one(here: Settings, pipeline: str | None, asked: RunOptions, *, as_json: bool) -> Any:
    """The tasks of one pipeline, or what a run of a selection builds."""
    from goldsmith.client.session import reporter
    from goldsmith.pipeline import load_plan, project_of
    from goldsmith.pipelines.find import choose_pipeline
    from goldsmith.pipelines.manifests import refresh_manifest
    from goldsmith.pipelines.prepare import chosen_nodes
    from goldsmith.plan.preview import choices_listing, choices_table
    from goldsmith.plan.show import plan_tree

    spec, _ = choose_pipeline(here, pipeline)
    refresh_manifest(spec, here, reporter(console_of(stderr=True)))
    found = load_plan(spec, project_of(spec, here), here)
    if asked.is_selective:
        choices = chosen_nodes(spec, here, asked, found)
        return choices_listing(found, choices) if as_json else choices_table(choices)
    return found.listing() if as_json else plan_tree(found)


def _show_all(here: Settings, *, as_json: bool) -> int:
    """Show which pipeline waits for which, and give the exit code."""
    from goldsmith.client.session import reporter
    from goldsmith.pipelines.find import read_pipelines, show_failed
    from goldsmith.pipelines.manifests import refresh_manifests, specs_of
    from goldsmith.pipelines.network import network_of
    from goldsmith.plan.draw_network import network_trees
    from goldsmith.plan.network import listing

    found = read_pipelines(here)
    failed = found.errors | refresh_manifests(here, found, reporter(console_of(stderr=True)))
    network, unplanned = network_of(specs_of(found), here)
    failed = unplanned | failed  # the first error is the one to mend
    cycles = network.cycles()
    if as_json:
        errors = {name: error.message for name, error in failed.items()}
        print_json({"pipelines": [*listing(network)], "cycles": cycles, "errors": errors})
    else:
        _show(network_trees(network), as_json=False)
        show_failed(failed, console_of())
    return 2 if cycles or failed else 0


def _show(shown: Any, *, as_json: bool) -> None:
    if as_json:
        print_json(shown)
    else:
        console_of().print(shown, highlight=False)
