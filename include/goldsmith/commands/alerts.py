"""`goldsmith alerts ...`: the routes that a failure takes, and a sample sent by one."""

from __future__ import annotations

from typing import Annotated

import typer

from goldsmith.commands.arguments import OfPipeline
from goldsmith.commands.console import console_of
from goldsmith.settings import settings

group = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="See who hears of what, and try whether it arrives.",
    epilog="Example: goldsmith alerts explain fct_transactions",
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="alerts")


@group.command(epilog="Example: goldsmith alerts explain fct_transactions")
def explain(
    node: Annotated[str, typer.Argument(help="A dbt node's name or unique id, or a task id.")],
    *,
    pipeline: OfPipeline = None,
) -> None:
    """Say which routes a failure of a node takes and where they lead, and why it does not take the others."""
    from goldsmith.client.alerts import explained
    from goldsmith.client.session import reporter
    from goldsmith.pipelines.find import choose_pipeline
    from goldsmith.pipelines.manifests import refresh_manifest

    here = settings()
    spec, _ = choose_pipeline(here, pipeline)
    refresh_manifest(spec, here, reporter(console_of(stderr=True)))
    console_of().print(explained(spec, here, node), highlight=False)


@group.command("test", epilog="Example: goldsmith alerts test on_call")
def send(
    route: Annotated[str, typer.Argument(help="Name of a route.")], *, pipeline: OfPipeline = None
) -> None:
    """Send a sample by a route, to each of its channels. Exit code: 0 all took it, 3 one did not."""
    from goldsmith.client.alerts import send_sample
    from goldsmith.pipelines.find import choose_pipeline
    from goldsmith.stack.stack import local_stack

    here = settings()
    spec, _ = choose_pipeline(here, pipeline)
    for line in send_sample(spec, here, route, local_stack(here).env()):
        typer.echo(line)
