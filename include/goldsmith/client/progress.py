"""What a run's tasks add up to, by group: the layers, and what stands beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from goldsmith.rest import Run, TaskInstance

UNGROUPED = "other"
DONE = frozenset({"success"})
SKIPPED = frozenset({"skipped", "removed"})
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
    """Not to run: left out by the run's selection, or with nothing to do."""
    running: int = 0
    retrying: int = 0
    """Failed, and waiting for the next try."""
    failed: int = 0
    not_reached: int = 0
    """Not run, because something before them failed."""
    seconds: float = 0.0
    """How long something of it ran, until now; without the time between a failure and its retry by a person."""

    @property
    def outcomes(self) -> tuple[int, ...]:
        """What has come of the tasks; it changes if one of them ends, or waits for another try."""
        return self.done, self.skipped, self.failed, self.not_reached, self.retrying


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
        return _seconds([(self.run.started, self.run.ended)])

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
        skipped=count(SKIPPED),
        running=count(RUNNING),
        retrying=count(RETRYING),
        failed=count(FAILED),
        not_reached=count(NOT_REACHED),
        seconds=_seconds([(task.started, task.ended) for task in found]),
    )


def _begin(task: TaskInstance) -> datetime:
    return task.started or datetime.max.replace(tzinfo=UTC)


def _seconds(spans: Iterable[tuple[datetime | None, datetime | None]]) -> float:
    """How long at least one of the spans lasted; one without an end lasts until now."""
    now = datetime.now(UTC)
    seconds, until = 0.0, datetime.min.replace(tzinfo=UTC)
    for start, end in sorted((start, end or now) for start, end in spans if start):
        seconds += max((end - max(start, until)).total_seconds(), 0.0)
        until = max(until, end)
    return seconds
