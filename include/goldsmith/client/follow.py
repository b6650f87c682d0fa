"""Follow a run to its end: ask Airflow what its tasks do, and show it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from goldsmith.client.display import Display
from goldsmith.client.progress import Progress
from goldsmith.client.said import SaidByDbt
from goldsmith.errors import EnvironmentProblem
from goldsmith.rest import RestClient, TaskInstance

POLL_EVERY = 1.0
PATIENCE = 90.0  # seconds without an answer: the supervisor may be starting the API server again
FULL_EVERY = 15  # polls; between them only what changed is asked for
OVERLAP = timedelta(seconds=30)


class Notices(Protocol):
    """Something that a person who follows a run has to know at once."""

    def lines(self, progress: Progress) -> Iterable[str]:
        """What is new at this moment; a notice is said once."""


def follow(
    api: RestClient,
    dag_id: str,
    run_id: str,
    display: Display,
    *,
    said: SaidByDbt | None = None,
    notices: Iterable[Notices] = (),
    check: Callable[[], None] = lambda: None,
) -> Progress:
    """Watch a run until it has ended.

    Args:
        api: The Airflow.
        dag_id: The pipeline.
        run_id: Its run.
        display: Shows the progress.
        said: What dbt says while it builds; without it a node counts as done when Airflow says so.
        notices: What is told while the run goes on.
        check: Called before each look at the run; raises if there is no use in looking.

    Raises:
        EnvironmentProblem: Airflow has not answered for a while, or `check` says why it cannot.
    """
    seen, last_answer = _Seen(api=api, dag_id=dag_id, run_id=run_id), time.monotonic()
    with display:
        while True:
            began = time.monotonic()
            check()
            try:
                progress = seen.now()
            except EnvironmentProblem:
                if time.monotonic() - last_answer > PATIENCE:
                    raise
                began = time.monotonic()  # it spent no time of the API server
            else:
                last_answer = time.monotonic()
                if progress.run.is_finished:
                    display.show(progress)
                    return progress
                for notice in notices:
                    display.say(notice.lines(progress))
                display.show(progress if said is None else replace(progress, tasks=said.over(progress.tasks)))
            # A big run takes long to ask for: do not spend the API server's time on watching.
            _pause(max(POLL_EVERY, 3 * (time.monotonic() - began)), check)


def _pause(seconds: float, check: Callable[[], None]) -> None:
    """Wait, and notice meanwhile that there is no use in waiting."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(left, POLL_EVERY))
        check()


@dataclass(kw_only=True)
class _Seen:
    """A run as it was seen last, so that only what has changed since has to be asked for."""

    api: RestClient
    dag_id: str
    run_id: str
    _tasks: dict[tuple[str, int], TaskInstance] = field(default_factory=dict)
    _since: datetime | None = None
    _looks: int = 0

    def now(self) -> Progress:
        """The run at this moment.

        Raises:
            EnvironmentProblem: Airflow does not answer.
        """
        asked = datetime.now(UTC)
        run = self.api.run(self.dag_id, self.run_id)
        is_full = run.is_finished or self._looks % FULL_EVERY == 0
        found = self.api.task_instances(self.dag_id, self.run_id, since=None if is_full else self._since)
        self._tasks = _merged({} if is_full else self._tasks, found)
        self._since, self._looks = asked - OVERLAP, self._looks + 1
        return Progress(run=run, tasks=tuple(self._tasks.values()))


def _merged(
    known: dict[tuple[str, int], TaskInstance], found: Sequence[TaskInstance]
) -> dict[tuple[str, int], TaskInstance]:
    merged = {**known, **{task.key: task for task in found}}
    # A mapped task stands once, without an index, until it is expanded.
    mapped = {task_id for task_id, index in merged if index >= 0}
    return {key: task for key, task in merged.items() if key[1] >= 0 or key[0] not in mapped}
