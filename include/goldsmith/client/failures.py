"""The causes of a red run as a person reads them: each once, the one that holds back most next to the prompt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.padding import Padding
from rich.style import Style
from rich.text import Text

from goldsmith.client.causes import Cause, Failure
from goldsmith.wording import some

SHOWN = 10
"""Causes that are printed in full."""
_LINES = 20


def print_causes(
    causes: Sequence[Cause], followed: Mapping[str, str], console: Console, *, pipeline: str, url: str
) -> None:
    """Print why a run is red.

    Args:
        causes: The causes, the most important one last.
        followed: Task id to a few words, of the tasks that are red only because of them.
        console: Where to.
        pipeline: The pipeline.
        url: Of the run in Airflow.
    """
    if followed:
        names = [f"{task_id} ({words})" if words else task_id for task_id, words in followed.items()]
        console.print()
        _print(console, f"Red because of what failed: {some(names, SHOWN)}", style="dim")
    if more := causes[:-SHOWN]:
        number = sum(len(cause.failures) for cause in more)
        _print(console, f"... and {number} more failures: {url}")
    for cause in causes[-SHOWN:]:
        _print_cause(cause, console, again=f"goldsmith run {pipeline} --failed")


def _print_cause(cause: Cause, console: Console, *, again: str) -> None:
    """Print why tasks failed, in the words of the first one.

    Args:
        cause: The tasks.
        console: Where to.
        again: The command that runs them again if they are several of the pipeline's last run.
    """
    failure, *others = cause.failures
    index = f"[{failure.map_index}]" if failure.map_index >= 0 else ""
    console.print()
    _print(console, f"FAILED {failure.task_id}{index}", style="bold red")
    for line in failure.message.removeprefix(f"{failure.unique_id}: ").splitlines()[:_LINES]:
        _print(console, line.rstrip(), indent=2)
    if others:
        names = [_beside(one.task_id, failure.task_id) for one in others]
        _print(console, f"{len(others)} more for the same reason: {some(names, SHOWN)}", indent=2)
    if cause.held:
        groups = ", ".join(f"{group} {number}" for group, number in cause.holds_back.items())
        _print(console, f"holds back {cause.held} tasks: {groups}", indent=2)
    _print_log(failure, console)
    if failure.again:
        again = again if others and " --run " not in failure.again else failure.again
        _print(console, f"again: {again}", indent=2, style="dim")


def _print_log(failure: Failure, console: Console) -> None:
    """A terminal gets a short link, which it may open; a pipe the address."""
    if console.is_terminal:
        link = Style(dim=True, link=failure.url)
        _print(console, f"log: goldsmith logs {failure.task_id}", indent=2, style=link)
    else:
        _print(console, f"log: {failure.url}", indent=2)


def _beside(task_id: str, shown: str) -> str:
    """The id of a task beside one that is shown already: without the groups that both stand in."""
    group = shown.rpartition(".")[0]
    return task_id.removeprefix(f"{group}.") if group else task_id


def _print(console: Console, text: str, *, indent: int = 0, style: str | Style = "") -> None:
    """Print a line: on a terminal wrapped below its own beginning, in a pipe whole."""
    inner = len(text) - len(text.lstrip()) + indent
    if console.is_terminal:
        console.print(Padding(Text(text.strip(), style=style), (0, 0, 0, inner)))
    else:
        console.print(Text(f"{' ' * inner}{text.strip()}", style=style), soft_wrap=True)
