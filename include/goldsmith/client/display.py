"""The progress of a run before a person's eyes: live on a terminal, in plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from goldsmith.client.progress import Progress, Tally
from goldsmith.wording import some

_COLUMNS: list[tuple[str, Callable[[Tally], int], str]] = [
    ("done", lambda tally: tally.done, "green"),
    ("running", lambda tally: tally.running, "cyan"),
    ("retry", lambda tally: tally.retrying, "yellow"),
    ("failed", lambda tally: tally.failed, "bold red"),
    ("not run", lambda tally: tally.not_reached, "yellow"),
    ("skipped", lambda tally: tally.skipped, "dim"),
]
_PASSING = {"running", "retry", "skipped"}
"""Columns that the table of a run that has ended shows only if they count something."""
_DISPENSABLE = ("retry", "skipped", "time", "total")
"""Columns that a narrow terminal does without, in this order."""
_BETWEEN = 2
"""Spaces between two columns."""


class Display(Protocol):
    """Shows the progress of a run."""

    def show(self, progress: Progress) -> None:
        """Show a moment."""

    def say(self, lines: Iterable[str]) -> None:
        """Print lines that stay."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *args: object) -> None: ...


def display_on(console: Console, order: Sequence[str]) -> Display:
    """The display that suits where the output goes."""
    return LiveDisplay(console=console, order=order) if console.is_terminal else LineDisplay(console, order)


@dataclass(kw_only=True)
class LiveDisplay:
    """A table that is drawn anew in place."""

    console: Console
    order: Sequence[str]
    _live: Live | None = None

    def __enter__(self) -> Self:
        self._live = Live(console=self.console, refresh_per_second=4, transient=True)
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def say(self, lines: Iterable[str]) -> None:
        """Print lines above the table."""
        print_lines(self.console, lines)

    def show(self, progress: Progress) -> None:
        """Draw the table."""
        if self._live is None:
            return
        running = [task.task_id for task in progress.tasks if task.state == "running"]
        now = Text(f"  {some(running, 3)}", style="dim")
        self._live.update(Group(progress_table(progress, self.order, width=self.console.width), now))


@dataclass
class LineDisplay:
    """A line for every change, for logs and pipes."""

    console: Console
    order: Sequence[str]
    _last: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def say(self, lines: Iterable[str]) -> None:
        """Print lines."""
        print_lines(self.console, lines)

    def show(self, progress: Progress) -> None:
        """Print the groups in which something ended."""
        for tally in progress.tallies(self.order):
            now = tally.outcomes
            if self._last.get(tally.group) == now or not any(now):
                continue
            self._last[tally.group] = now
            self.console.print(f"{clock(progress.seconds)} {_line(tally)}", highlight=False, soft_wrap=True)


def print_lines(console: Console, lines: Iterable[str]) -> None:
    """Print text as it is, each line wrapped at the terminal's width if there is one."""
    for line in lines:
        console.print(Text(line), soft_wrap=not console.is_terminal)


def progress_table(progress: Progress, order: Sequence[str], *, width: int) -> Table:
    """The groups of a run with their counts; once it has ended, without what cannot be any more.

    Args:
        progress: The run.
        order: The groups that come first.
        width: Characters in a line; columns that do not fit are left out, and no word is cut.
    """
    total = progress.total()
    rows = [*progress.tallies(order), total]
    shown = _COLUMNS
    if progress.run.is_finished:
        shown = [one for one in shown if one[0] not in _PASSING or one[1](total)]
    seconds = {tally.group: tally.seconds for tally in rows} | {total.group: progress.seconds}
    columns: dict[str, list[Text]] = {
        "layer": [Text(tally.group) for tally in rows],
        "total": [Text(str(tally.total)) for tally in rows],
    }
    for name, count, style in shown:
        columns[name] = [Text(str(count(tally)), style=style if count(tally) else "dim") for tally in rows]
    columns["time"] = [Text(clock(seconds[tally.group]) if seconds[tally.group] else "") for tally in rows]
    return _table(_fitting(columns, width))


def _fitting(columns: dict[str, list[Text]], width: int) -> dict[str, list[Text]]:
    """The columns that fit into a line."""
    found = dict(columns)
    for name in _DISPENSABLE:
        widths = [max(len(head), *(len(cell) for cell in cells)) for head, cells in found.items()]
        if sum(widths) + _BETWEEN * (len(widths) - 1) <= width:
            break
        found.pop(name, None)
    return found


def _table(columns: dict[str, list[Text]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, _BETWEEN, 0, 0))
    for name in columns:
        table.add_column(name, justify="left" if name == "layer" else "right", no_wrap=True)
    *rows, total = zip(*columns.values(), strict=True)
    for row in rows:
        table.add_row(*row)
    table.add_row(*total, style="bold")
    return table


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _line(tally: Tally) -> str:
    parts = [f"{tally.group}: {tally.done}/{tally.total} done"]
    parts += [f"{tally.running} running"] if tally.running else []
    parts += [f"{tally.retrying} waiting for a retry"] if tally.retrying else []
    parts += [f"{tally.failed} failed"] if tally.failed else []
    parts += [f"{tally.not_reached} not run"] if tally.not_reached else []
    parts += [f"{tally.skipped} skipped"] if tally.skipped else []
    return ", ".join(parts)
