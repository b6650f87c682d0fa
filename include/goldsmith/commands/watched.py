"""A run before the eyes of whoever started it, for the commands that start or go on with one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console

from goldsmith.commands.as_json import print_json

if TYPE_CHECKING:
    from goldsmith.client.airflow import Airflow
    from goldsmith.client.summary import RunSummary
    from goldsmith.spec.pipeline import Pipeline


def watched(
    work: Callable[..., RunSummary],
    airflow: Airflow,
    spec: Pipeline,
    console: Console,
    *,
    as_json: bool,
    down: bool,
) -> int:
    """Let a run go to its end before the user's eyes; give the exit code."""
    from goldsmith.client.display import display_on
    from goldsmith.client.run import group_order
    from goldsmith.client.session import Watch, ending_with

    watch = Watch(display=display_on(console, group_order(spec)))
    with ending_with(airflow, console, watch, down=down):
        done = work(watch=watch)
    # Last, so that why a run is red stands next to the prompt.
    done.print_on(console)
    if as_json:
        print_json(done.to_dict())
    return 0 if done.is_success else 1
