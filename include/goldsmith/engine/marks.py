"""Show finished nodes in Airflow: their tasks are set to success through its REST API.

Airflow copies the DAG below a task for every mark (`SerializedDAG.set_task_instance_state`), so one mark costs as much
as marking a whole task group. While dbt runs, tasks are marked one by one as far as that stays a small share of the
time; when it has ended, groups that are green throughout go at once, then smaller groups, then what is left. What is
never marked: a task that has a state already (a person's decision, which Airflow would overwrite), whatever lies above
a failed task (Airflow would clear that one), and tasks with callbacks or outlets of their own, which must run.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from goldsmith.engine.access import airflow_api
from goldsmith.errors import GoldsmithError, NoApiAccess
from goldsmith.plan.graph import PlanGraph
from goldsmith.plan.model import PlannedNode
from goldsmith.rest import RestClient

log = logging.getLogger(__name__)

SUCCESS = "success"
_STOPPED = {"failed", "upstream_failed"}
_SHARE = 0.08  # of the time since dbt started, for marks while it runs
_AT_ONCE = 25  # tasks in one request: states are read before each
_NO_RIGHT = {401, 403}
_PATIENCE = 3  # failures in a row
_OWN_EFFECTS = ("_callback", "outlets", "pre_execute", "post_execute")

States = Mapping[str, str | None]
"""Task id to its state in Airflow."""


def must_run(node: PlannedNode) -> bool:
    """Whether the node's task has effects of its own, which a mark would leave out."""
    return any(key.endswith(_OWN_EFFECTS) for key in node.operator_kwargs)


@dataclass
class Marker:
    """Marks the tasks of one run.

    Args:
        graph: The plan.
        run_id: The run.
        read_states: Reads the states of all tasks of the run.
    """

    graph: PlanGraph
    run_id: str
    read_states: Callable[[], States]
    attempted: set[str] = field(default_factory=set)
    """Ids of the tasks that were marked, or that may have been: an answer can get lost."""
    _api: RestClient | None = None
    _is_refused: bool = False
    _failures: int = 0
    _spent: float = 0.0
    _cost: float = 0.05
    _started: float = field(default_factory=time.monotonic)

    def live(self, task_ids: Iterable[str]) -> None:
        """Mark tasks while dbt runs, as far as the share of the time allows.

        Args:
            task_ids: Tasks whose node is done.
        """
        began = time.monotonic()
        few = list(task_ids)[: int((_SHARE * (began - self._started) - self._spent) / self._cost)]
        if few and not self._is_refused:
            self._some(few, self.read_states())
            took = time.monotonic() - began
            self._spent += took
            self._cost = max(0.005, took / len(few))

    def rest(self, task_ids: Iterable[str], *, seconds: float) -> None:
        """Mark what is done when dbt has ended: large groups first, then small ones, then single tasks.

        What comes last in the plan is marked first: so no mark lets a task start that is to be marked itself.

        Args:
            task_ids: All tasks whose node is done.
            seconds: Time it may take, beyond that of the large groups; what is left then runs on workers.
        """
        done = set(task_ids)
        if not done or self._is_refused:
            return
        states = self.read_states()
        wanted = self._may(done, states)
        for group, members in self._last_first(self.graph.groups):
            if self._is_whole(members, wanted, states):
                self._group(group, [task for task in members if task in wanted])
                wanted -= set(members)
        end = time.monotonic() + seconds
        for group, members in self._last_first(self.graph.units):
            if time.monotonic() < end and self._is_whole(members, wanted, states):
                self._group(group, [task for task in members if task in wanted])
                wanted -= set(members)
        last_first = sorted(wanted, key=self.graph.position.__getitem__, reverse=True)
        for start in range(0, len(last_first), _AT_ONCE):
            if time.monotonic() < end and not self._is_refused:
                self._some(last_first[start : start + _AT_ONCE], self.read_states())

    def close(self) -> None:
        """Close the connection."""
        if self._api is not None:
            self._api.close()

    def _last_first(self, groups: Mapping[str, tuple[str, ...]]) -> list[tuple[str, tuple[str, ...]]]:
        place = self.graph.position
        return sorted(groups.items(), key=lambda item: max(place[task] for task in item[1]), reverse=True)

    def _is_whole(self, members: Iterable[str], wanted: set[str], states: States) -> bool:
        """Whether a group may be marked as one: nothing in it but what is wanted or green already."""
        mine = [task for task in members if states.get(task) != SUCCESS]
        return not self._is_refused and len(mine) > 1 and all(task in wanted for task in mine)

    def _may(self, done: Iterable[str], states: States) -> set[str]:
        stopped = [task for task, state in states.items() if state in _STOPPED]
        above = self.graph.above(stopped) if stopped else set()
        return {
            task
            for task in done
            if states.get(task, "removed") is None
            and task not in above
            and not must_run(self.graph.nodes[task])
        }

    def _some(self, task_ids: Iterable[str], states: States) -> None:
        allowed = sorted(self._may(task_ids, states))
        if not allowed:
            return
        self.attempted.update(allowed)
        with self._tolerant():
            marked = self._client().mark(self.graph.plan.pipeline, self.run_id, allowed, SUCCESS)
            if marked.errors:
                log.info("Not all tasks were marked: %s", "; ".join(map(str, marked.errors[:3])))

    def _group(self, group: str, task_ids: list[str]) -> None:
        self.attempted.update(task_ids)
        with self._tolerant():
            self._client().mark_group(self.graph.plan.pipeline, self.run_id, group, SUCCESS)

    def _client(self) -> RestClient:
        if self._api is None:
            self._api = airflow_api()
        return self._api

    @contextmanager
    def _tolerant(self) -> Iterator[None]:
        """A mark that fails is no harm: the task then runs on a worker, and finds its result."""
        try:
            yield
        except GoldsmithError as error:
            self._failures += 1
            is_final = isinstance(error, NoApiAccess) or getattr(error, "status", 0) in _NO_RIGHT
            if is_final or self._failures >= _PATIENCE:
                self._is_refused = True
                log.warning(
                    "Finished nodes cannot be shown by marking their tasks; each runs on a worker instead, finds its "
                    "result and ends, which takes longer. %s",
                    error,
                )
            else:
                log.info("A mark failed: %s", error.message)
        else:
            self._failures = 0
