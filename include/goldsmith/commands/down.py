"""`goldsmith down`: stop the local stack."""

from __future__ import annotations

import typer

from goldsmith.commands.console import console_of
from goldsmith.settings import settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: goldsmith down")(down)


def down() -> None:
    """Stop the local stack, and whatever a crash has left of it."""
    from goldsmith.stack.stack import local_stack

    was_running = local_stack(settings()).down()
    console_of().print("Stopped." if was_running else "Nothing was running.")
