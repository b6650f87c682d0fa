"""Show finished nodes in Airflow: their tasks are set to success, through Goldsmith's own route in the API server.

The route sets only tasks that have no state, so a person's decision stands, and costs little however many there are:
see goldsmith/view/marks.py. Tasks with callbacks or outlets of their own are not marked: they must run.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Protocol

from goldsmith.engine.access import PAUSES, airflow_api, is_refusal
from goldsmith.errors import GoldsmithError
from goldsmith.plan.graph import PlanGraph
from goldsmith.plan.model import PlannedNode
from goldsmith.results.record import WARN, NodeResult

log = logging.getLogger(__name__)

_AT_ONCE = 1000  # tasks in one request
_NOTES = 50
_OWN_EFFECTS = ("_callback", "outlets", "pre_execute", "post_execute")


def must_run(nodes: Iterable[PlannedNode]) -> bool:
    """Whether the task of these nodes has effects of its own, which a mark would leave out."""
    return any(key.endswith(_OWN_EFFECTS) for node in nodes for key in node.operator_kwargs)


class MarksApi(Protocol):
    """What of Airflow's REST API sets tasks; see `goldsmith.rest.marking`."""

    def mark_done(
        self,
        dag_id: str,
        run_id: str,
        tasks: Mapping[str, tuple[str, str]],
        gate: Mapping[str, Any] | None = None,
    ) -> tuple[str, ...]:
        """Set tasks to success."""

    def mark_as(self, state: str, dag_id: str, run_id: str, task_ids: Iterable[str]) -> tuple[str, ...]:
        """Set tasks to skipped or failed."""

    def note(self, dag_id: str, run_id: str, task_id: str, text: str) -> None:
        """Put a note on a task."""

    def close(self) -> None:
        """Close the connection."""


@dataclass
class Marker:
    """Marks the tasks of one run.

    Args:
        graph: The plan.
        run_id: The run.
        has_complained: Whether the run knows already that its tasks cannot be marked, where they cannot.
        connect: Gives a client of Airflow's REST API; called at the first mark.
    """

    graph: PlanGraph
    run_id: str
    has_complained: bool = False
    connect: Callable[[], MarksApi] = airflow_api
    times: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Task id to when dbt began and ended its nodes, where it did so in this process: shown as the task's times."""
    _asked: set[str] = field(default_factory=set)
    _api: MarksApi | None = None
    _is_refused: bool = False
    _is_gate_set: bool = False

    def add_times(self, task_id: str, started: str, ended: str) -> None:
        """Note when dbt began and ended one of a task's nodes."""
        first, last = self.times.get(task_id, ("", ""))
        self.times[task_id] = (
            min(filter(None, (first, started)), key=datetime.fromisoformat, default=""),
            max(filter(None, (last, ended)), key=datetime.fromisoformat, default=""),
        )

    def mark(self, task_ids: Iterable[str], gate: Mapping[str, Any] | None = None) -> bool:
        """Mark tasks that have no state; those that were asked for before are left out.

        Args:
            task_ids: Tasks all of whose nodes are done.
            gate: A gate to set with the last of them.

        Returns:
            Whether all that could be marked are: not where Airflow gave no answer.
        """
        tasks = self.graph.tasks
        wanted = [one for one in task_ids if one not in self._asked and not must_run(tasks[one])]
        for start in range(0, len(wanted) or bool(gate), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            with_it = gate if start + _AT_ONCE >= len(wanted) else None
            if not self._is_refused:
                with self._tolerant():
                    times = {task_id: self.times.get(task_id, ("", "")) for task_id in some}
                    pipeline = self.graph.plan.pipeline
                    marked = self._client().mark_done(pipeline, self.run_id, times, with_it)
                    self._is_gate_set |= with_it is not None and with_it["task_id"] in marked
                    self._asked.update(some)
        return self._is_refused or self._asked.issuperset(wanted)

    def mark_at_last(self, task_ids: Iterable[str], gate: Mapping[str, Any] | None = None) -> bool:
        """Mark tasks when dbt has ended, and wait a little for an API server that is away.

        Args:
            task_ids: All tasks whose nodes are done; what stays unmarked runs on workers.
            gate: A gate to set to success with the last of them, as the API server takes it.

        Returns:
            Whether the gate was set.
        """
        done = list(task_ids)
        for pause in (*PAUSES, 0.0):
            if self.mark(done, gate):
                break
            time.sleep(pause)
        return self._is_gate_set

    def skip(self, task_ids: Iterable[str]) -> None:
        """Show tasks that have no state as skipped, and wait a little for an API server that is away."""
        self._show(list(task_ids), "skipped")

    def mark_failed(self, task_ids: Iterable[str]) -> None:
        """Show tasks as failed that cannot run and say so themselves, because the build before them fails."""
        tasks = self.graph.tasks
        self._show([one for one in task_ids if not must_run(tasks[one])], "failed")

    def _show(self, left: list[str], state: str) -> None:
        for pause in (*PAUSES, 0.0):
            while left and not self._is_refused:
                some, before = left[:_AT_ONCE], len(left)
                with self._tolerant():
                    self._client().mark_as(state, self.graph.plan.pipeline, self.run_id, some)
                    left = left[_AT_ONCE:]
                if len(left) == before:
                    break
            if not left or self._is_refused:
                return
            time.sleep(pause)

    def say_warnings(self, results: Iterable[NodeResult]) -> None:
        """Put a note on each task with a test that warned, of the first few: in Airflow it is as green as any.

        Args:
            results: What dbt said, about other nodes too.
        """
        warned: dict[str, list[NodeResult]] = {}
        for one in results:
            if one.status == WARN:
                warned.setdefault(one.task_id, []).append(one)
        for task_id, ones in islice(warned.items(), _NOTES):
            if not self._is_refused:
                with self._tolerant():
                    text = _note(ones, self.graph.tasks[task_id])
                    self._client().note(self.graph.plan.pipeline, self.run_id, task_id, text)

    def close(self) -> None:
        """Close the connection."""
        if self._api is not None:
            self._api.close()

    def _client(self) -> MarksApi:
        if self._api is None:
            self._api = self.connect()
        return self._api

    @contextmanager
    def _tolerant(self) -> Iterator[None]:
        """A mark that fails is no harm: the task then runs on a worker, and finds its result."""
        try:
            yield
        except GoldsmithError as error:
            if not is_refusal(error):
                log.info("Finished nodes could not be marked now: %s", error.message)
                return
            self._is_refused = True
            log.log(
                logging.INFO if self.has_complained else logging.WARNING,
                "Finished nodes cannot be shown by marking their tasks; each runs on a worker instead, finds its "
                "result and ends, which takes longer. %s",
                error,
            )


def _note(warned: list[NodeResult], nodes: Sequence[PlannedNode]) -> str:
    """What is said on a task about those of its tests that warned; each by name, where there are more."""
    at = f"dbt warned at {max(one.ended for one in warned)[:19]} UTC:"
    if len(nodes) == 1:
        return f"{at} {warned[0].message}"
    names = {node.unique_id: node.name for node in nodes}
    return "\n".join([at, *(f"{names[one.unique_id]}: {one.message}" for one in warned)])
