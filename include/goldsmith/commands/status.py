"""`goldsmith status`: what runs, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from goldsmith.commands.console import console_of
from goldsmith.settings import Settings, settings

if TYPE_CHECKING:
    from rich.console import Console

    from goldsmith.rest import RestClient


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: goldsmith status")(status)


def status() -> None:
    """Show what runs and where, each pipeline's last run, and what is red. Exit code: 0 all is healthy, 3 it is not."""
    from goldsmith.client.airflow import running_airflow
    from goldsmith.client.session import say_how_to_get_in, status_table
    from goldsmith.stack.stack import local_stack

    here, console = settings(), console_of()
    if here.airflow is not None:
        airflow = running_airflow(here)
        console.print(f"Airflow {airflow.api.version()} at {airflow.url}", highlight=False, soft_wrap=True)
        for name, health in airflow.api.health().items():
            console.print(f"{name}: {'healthy' if health.is_healthy else 'not healthy'}", highlight=False)
        _print_standings(here, airflow.api, console)
        return
    stack = local_stack(here)
    parts = stack.status()
    is_healthy = all(part.state == "healthy" for part in parts)
    console.print(status_table(parts))
    if is_healthy:
        _print_standings(here, stack.api(), console)
    if stack.is_up():
        say_how_to_get_in(stack, console)
    raise typer.Exit(0 if is_healthy else 3)


def _print_standings(here: Settings, api: RestClient, console: Console) -> None:
    from rich.text import Text

    from goldsmith.client.standing import standings
    from goldsmith.pipelines.find import find_pipelines

    console.print()
    with api:
        for one in standings(api, find_pipelines(here).names):
            for line in one.lines():
                console.print(Text(line), soft_wrap=not console.is_terminal)
    console.print()
