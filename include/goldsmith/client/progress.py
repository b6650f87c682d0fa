"""What a run's tasks add up to, by group: the layers, and what stands beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from goldsmith.rest import Run, TaskInstance

UNGROUPED = "other"
DONE = frozenset({"success", "skipped", "removed"})
RUNNING = frozenset({"running", "deferred", "up_for_reschedule", "awaiting_input"})
RETRYING = frozenset({"up_for_retry", "restarting"})
FAILED = frozenset({"failed"})
NOT_REACHED = frozenset({"upstream_failed"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """How many tasks of a group are in which condition."""

    group: str
    total: int = 0
    done: int = 0
    skipped: int = 0
    running: int = 0
    retrying: int = 0
    """Failed, and waiting for the next try."""
    failed: int = 0
    not_reached: int = 0
    """Not run, because something before them failed."""
    seconds: float = 0.0
    """From the first start to the last end, or to now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """A run at one moment."""

    run: Run
    tasks: tuple[TaskInstance, ...]

    @property
    def failed(self) -> list[TaskInstance]:
        """The tasks that failed themselves."""
        return [task for task in self.tasks if task.state in FAILED]

    @property
    def seconds(self) -> float:
        """How long the run has taken."""
        return _seconds([self.run.started], [self.run.ended])

    def tallies(self, order: Sequence[str] = ()) -> list[Tally]:
        """The groups: first those of `order`, then the others as they began."""
        groups: dict[str, list[TaskInstance]] = {}
        for task in sorted(self.tasks, key=_begin):
            groups.setdefault(group_of(task.task_id), []).append(task)
        place = {name: index for index, name in enumerate(order)}
        return [
            _tally(name, groups[name])
            for name in sorted(groups, key=lambda name: place.get(name, len(place)))
        ]

    def total(self) -> Tally:
        """All tasks together."""
        return _tally("all", self.tasks)


def group_of(task_id: str) -> str:
    """The outermost task group of a task."""
    return task_id.split(".", 1)[0] if "." in task_id else UNGROUPED


def _tally(group: str, tasks: Iterable[TaskInstance]) -> Tally:
    found = list(tasks)

    def count(states: frozenset[str]) -> int:
        return sum(task.state in states for task in found)

    return Tally(
        group=group,
        total=len(found),
        done=count(DONE),
        skipped=count(frozenset({"skipped"})),
        running=count(RUNNING),
        retrying=count(RETRYING),
        failed=count(FAILED),
        not_reached=count(NOT_REACHED),
        seconds=_seconds([task.started for task in found], [task.ended for task in found if task.started]),
    )


def _begin(task: TaskInstance) -> datetime:
    return task.started or datetime.max.replace(tzinfo=UTC)


def _seconds(starts: Iterable[datetime | None], ends: Iterable[datetime | None]) -> float:
    begun = [start for start in starts if start]
    if not begun:
        return 0.0
    ended = list(ends)
    last = max(end or datetime.now(UTC) for end in ended) if ended else datetime.now(UTC)
    return max((last - min(begun)).total_seconds(), 0.0)
