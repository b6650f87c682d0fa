"""Follow a run to its end, and show it: live on a terminal, in plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from goldsmith.client.progress import Progress, Tally
from goldsmith.client.said import SaidByDbt
from goldsmith.errors import EnvironmentProblem
from goldsmith.rest import RestClient, TaskInstance
from goldsmith.wording import some

POLL_EVERY = 1.0
PATIENCE = 90.0  # seconds without an answer: the supervisor may be starting the API server again
FULL_EVERY = 15  # polls; between them only what changed is asked for
OVERLAP = timedelta(seconds=30)
_COLUMNS: list[tuple[str, Callable[[Tally], int], str]] = [
    ("done", lambda tally: tally.done - tally.skipped, "green"),
    ("running", lambda tally: tally.running, "cyan"),
    ("retry", lambda tally: tally.retrying, "yellow"),
    ("failed", lambda tally: tally.failed, "bold red"),
    ("not run", lambda tally: tally.not_reached, "yellow"),
    ("skipped", lambda tally: tally.skipped, "dim"),
]


class Display(Protocol):
    """Shows the progress of a run."""

    def show(self, progress: Progress) -> None:
        """Show a moment."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *args: object) -> None: ...


def display_on(console: Console, order: Sequence[str]) -> Display:
    """The display that suits where the output goes."""
    return LiveDisplay(console=console, order=order) if console.is_terminal else LineDisplay(console, order)


def follow(
    api: RestClient, dag_id: str, run_id: str, display: Display, *, said: SaidByDbt | None = None
) -> Progress:
    """Watch a run until it has ended.

    Args:
        api: The Airflow.
        dag_id: The pipeline.
        run_id: Its run.
        display: Shows the progress.
        said: What dbt says while it builds; without it a node counts as done when Airflow says so.

    Raises:
        EnvironmentProblem: Airflow has not answered for a while.
    """
    tasks: dict[tuple[str, int], TaskInstance] = {}
    since: datetime | None = None
    last_answer = time.monotonic()
    polls = 0
    with display:
        while True:
            began, asked = time.monotonic(), datetime.now(UTC)
            try:
                run = api.run(dag_id, run_id)
                is_full = run.is_finished or polls % FULL_EVERY == 0
                tasks = _merged(
                    {} if is_full else tasks,
                    api.task_instances(dag_id, run_id, since=None if is_full else since),
                )
            except EnvironmentProblem:
                if time.monotonic() - last_answer > PATIENCE:
                    raise
            else:
                since, last_answer, polls = asked - OVERLAP, time.monotonic(), polls + 1
                progress = Progress(run=run, tasks=tuple(tasks.values()))
                if run.is_finished:
                    display.show(progress)
                    return progress
                display.show(replace(progress, tasks=said.over(progress.tasks)) if said else progress)
            # A big run takes long to ask for: do not spend the API server's time on watching.
            time.sleep(max(POLL_EVERY, 3 * (time.monotonic() - began)))


def _merged(
    known: dict[tuple[str, int], TaskInstance], found: Sequence[TaskInstance]
) -> dict[tuple[str, int], TaskInstance]:
    merged = {**known, **{task.key: task for task in found}}
    # A mapped task stands once, without an index, until it is expanded.
    mapped = {task_id for task_id, index in merged if index >= 0}
    return {key: task for key, task in merged.items() if key[1] >= 0 or key[0] not in mapped}


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

    def show(self, progress: Progress) -> None:
        """Draw the table."""
        if self._live is None:
            return
        running = [task.task_id for task in progress.tasks if task.state == "running"]
        now = Text(f"  {some(running, 3)}")
        now.stylize("dim")
        self._live.update(Group(progress_table(progress, self.order), now))


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

    def show(self, progress: Progress) -> None:
        """Print the groups in which something ended."""
        for tally in progress.tallies(self.order):
            now = (tally.total, tally.done, tally.failed, tally.not_reached, tally.retrying)
            if self._last.get(tally.group) == now or not any(now[1:]):
                continue
            self._last[tally.group] = now
            self.console.print(f"{clock(progress.seconds)} {_line(tally)}", highlight=False, soft_wrap=True)


def progress_table(progress: Progress, order: Sequence[str]) -> Table:
    """The groups of a run with their counts; once it has ended, without what cannot be any more."""
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    total = progress.total()
    columns = _COLUMNS
    if progress.run.is_finished:
        columns = [one for one in columns if one[0] not in {"running", "retry", "skipped"} or one[1](total)]
    table.add_column("layer")
    for name in ("total", *(name for name, _, _ in columns), "time"):
        table.add_column(name, justify="right")
    for tally in (*progress.tallies(order), total):
        seconds = progress.seconds if tally is total else tally.seconds
        table.add_row(
            tally.group,
            str(tally.total),
            *(Text(str(count(tally)), style=style if count(tally) else "dim") for _, count, style in columns),
            clock(seconds) if tally.total and seconds else "",
            style="bold" if tally is total else "",
        )
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
    return ", ".join(parts)
