"""How the commands that watch a run begin and end: the stack, Ctrl-C, and the last lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from goldsmith.client.airflow import Airflow
from goldsmith.client.display import Display
from goldsmith.errors import GoldsmithError
from goldsmith.rest import Run
from goldsmith.stack.part import PartStatus
from goldsmith.stack.stack import Stack
from goldsmith.wording import some

_STYLES = {"healthy": "green", "starting": "yellow", "unhealthy": "red", "stopped": "dim"}


@dataclass(kw_only=True, slots=True)
class Watch:
    """What a command watches."""

    display: Display
    run: Run | None = None
    """None until there is one."""


@contextmanager
def ending_with(airflow: Airflow, console: Console, watch: Watch, *, down: bool) -> Iterator[None]:
    """Say how to get in at the end, or stop the stack: when asked to, and on Ctrl-C if this command started it."""
    try:
        yield
        if airflow.stack and down:
            _stop(airflow, airflow.stack, console, watch)
        elif airflow.stack:
            say_how_to_get_in(airflow.stack, console)
    except KeyboardInterrupt:
        if airflow.stack and (airflow.was_started or down):
            _stop(airflow, airflow.stack, console, watch)
        else:
            _say_how_to_stop(airflow, console, watch.run)
        raise
    finally:
        airflow.api.close()


def _say_how_to_stop(airflow: Airflow, console: Console, run: Run | None) -> None:
    console.print(
        f"No longer watching; the run goes on in Airflow: {airflow.url}", highlight=False, soft_wrap=True
    )
    if run:
        console.print(
            f"Stop it with: goldsmith cancel '{run.run_id}' --pipeline {run.dag_id}",
            highlight=False,
            soft_wrap=True,
        )


def _stop(airflow: Airflow, stack: Stack, console: Console, watch: Watch) -> None:
    """Stop the stack, unless somebody else's run is at work in it."""
    others = _other_runs(airflow, watch)
    if others:
        named = some((f"run {one.run_id} of {one.dag_id}" for one in others), 1)
        console.print(
            f"The local stack goes on, because {named} has not ended. Stop it with: goldsmith down",
            highlight=False,
            soft_wrap=True,
        )
        return
    console.print("Stopping the local stack")
    stack.down()


def _other_runs(airflow: Airflow, watch: Watch) -> list[Run]:
    own = (watch.run.dag_id, watch.run.run_id) if watch.run else None
    try:
        return [run for run in airflow.api.active_runs() if (run.dag_id, run.run_id) != own]
    except GoldsmithError:  # an Airflow that does not answer is at work on nothing
        return []


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
