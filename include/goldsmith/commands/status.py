"""`goldsmith status`: what runs, and where."""

from __future__ import annotations

import typer
from rich.console import Console

from goldsmith.settings import settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: goldsmith status")(status)


def status() -> None:
    """Show what runs, and where. Exit code: 0 all is healthy, 3 it is not."""
    from goldsmith.client.airflow import running_airflow
    from goldsmith.client.session import say_how_to_get_in, status_table
    from goldsmith.stack.stack import local_stack

    here, console = settings(), Console()
    if here.airflow is not None:
        airflow = running_airflow(here)
        console.print(f"Airflow {airflow.api.version()} at {airflow.url}", highlight=False, soft_wrap=True)
        for name, health in airflow.api.health().items():
            console.print(f"{name}: {'healthy' if health.is_healthy else 'not healthy'}", highlight=False)
        return
    stack = local_stack(here)
    parts = stack.status()
    console.print(status_table(parts))
    if stack.is_up():
        say_how_to_get_in(stack, console)
    raise typer.Exit(0 if all(part.state == "healthy" for part in parts) else 3)
