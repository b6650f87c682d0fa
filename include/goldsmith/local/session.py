"""How the commands that watch a run begin and end: the stack, Ctrl-C, and the last lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table
from rich.text import Text

from goldsmith.local.airflow import Airflow
from goldsmith.local.stack import PartStatus, Stack

_STYLES = {"healthy": "green", "starting": "yellow", "unhealthy": "red", "stopped": "dim"}


@contextmanager
def ending_with(airflow: Airflow, console: Console, *, down: bool) -> Iterator[None]:
    """Say how to get in at the end, or stop the stack: when asked to, and on Ctrl-C if this command started it."""
    try:
        yield
    except KeyboardInterrupt:
        if airflow.stack and (airflow.was_started or down):
            console.print("Stopping the local stack")
            airflow.stack.down()
        else:
            console.print(f"No longer watching; the run goes on in Airflow: {airflow.url}")
        raise
    finally:
        airflow.api.close()
    if airflow.stack and down:
        console.print("Stopping the local stack")
        airflow.stack.down()
    elif airflow.stack:
        say_how_to_get_in(airflow.stack, console)


def say_how_to_get_in(stack: Stack, console: Console) -> None:
    """Print the web page, the login and how to stop."""
    # A password on a screen is for the person before it; in a file it would stay.
    password = stack.login.password if console.is_terminal else f"see {stack.state.passwords_file}"
    console.print(
        f"Airflow: {stack.url}   user {stack.login.user}, password {password}",
        highlight=False,
        soft_wrap=True,
    )
    console.print("Stop it with: goldsmith down", highlight=False)


def status_table(parts: list[PartStatus]) -> Table:
    """The parts of the stack."""
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    for name in ("part", "state", "process", "restarts"):
        table.add_column(name)
    table.add_column("", overflow="fold")
    for part in parts:
        restarts = str(part.starts - 1) if part.starts > 1 else ""
        state = Text(part.state, style=_STYLES[part.state])
        table.add_row(part.name, state, str(part.pid or ""), restarts, part.detail)
    return table


def reporter(console: Console) -> Callable[[str], None]:
    """Print one line for each step."""
    return lambda text: console.print(Text(text, style="dim"), soft_wrap=True)
