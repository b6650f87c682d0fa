"""`goldsmith up`: start the local stack, or its database alone."""

from __future__ import annotations

from typing import Annotated

import typer

from goldsmith.commands.console import console_of
from goldsmith.settings import settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: goldsmith up --warehouse && cd dbt_project && dbt build")(up)


def up(
    *,
    warehouse: Annotated[
        bool, typer.Option("--warehouse", help="Only the database, with the sample data, and .env for dbt.")
    ] = False,
) -> None:
    """Start the local stack in the background: PostgreSQL and Airflow."""
    from goldsmith.client.session import reporter, say_how_to_get_in
    from goldsmith.pipelines.find import find_pipelines, show_failed
    from goldsmith.pipelines.manifests import refresh_manifests, specs_of
    from goldsmith.stack.stack import local_stack
    from goldsmith.stack.warehouse import start_warehouse

    here, console = settings(), console_of()
    if warehouse:
        report = reporter(console)
        stack = local_stack(here, report)
        server = start_warehouse(stack, lambda: specs_of(find_pipelines(here)), report)
        console.print(f"PostgreSQL: {server.conninfo('warehouse')}", highlight=False, soft_wrap=True)
        console.print("Stop it with: goldsmith down", highlight=False)
        return
    found = find_pipelines(here)
    failed = refresh_manifests(here, found, reporter(console))
    show_failed({**found.errors, **failed}, console_of(stderr=True))
    stack = local_stack(here, reporter(console))
    if not stack.up():
        console.print("The local stack is already running.")
    say_how_to_get_in(stack, console)
