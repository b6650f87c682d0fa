"""What dbt said about a run's nodes, as far as a person who follows the run wants to know it.

While a build runs, nodes that dbt has finished are marked every other second, or not at all where the build may not
mark. The build keeps its progress in Airflow's task state store too; it is shown over the states of the tasks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from goldsmith.engine.build_state import WARNINGS_KEY, BuildState
from goldsmith.errors import GoldsmithError
from goldsmith.plan.graph import nodes_by_task
from goldsmith.plan.model import Plan, PlannedNode
from goldsmith.rest import RestClient, TaskInstance
from goldsmith.results.history import by_node
from goldsmith.results.record import FAILED, GOOD, NodeResult

READ_EVERY = 2.0  # seconds: as often as a build writes
_WARN = "warn"
_MOST = 25  # warnings that are looked up


@dataclass(frozen=True, kw_only=True, slots=True)
class Warned:
    """A test that warned, or something that dbt warned of."""

    task_id: str
    unique_id: str
    """Empty for what is about no node."""
    message: str


@dataclass(kw_only=True)
class SaidByDbt:
    """Reads what dbt said about the nodes of one run.

    Args:
        api: The Airflow.
        run_id: The run.
        plan: The pipeline's plan.
    """

    api: RestClient
    run_id: str
    plan: Plan
    clock: Callable[[], float] = time.monotonic
    _running: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _read_at: dict[str, float] = field(default_factory=dict)

    def over(self, tasks: Iterable[TaskInstance]) -> tuple[TaskInstance, ...]:
        """The tasks, with the states they are about to get from the builds that run.

        Args:
            tasks: The tasks of the run, as Airflow has them.
        """
        found = tuple(tasks)
        running = {task.task_id: task.started for task in found if task.state == "running"}
        ahead: dict[str, str] = {}
        for build in self.plan.builds:
            if build.task_id in running:
                ahead |= self._states(self._statuses(build.task_id, running[build.task_id]))
            else:
                self._running.pop(build.task_id, None)
        return tuple(
            replace(task, state=ahead[task.task_id]) if task.state is None and task.task_id in ahead else task
            for task in found
        )

    def lasts(self, task_id: str) -> tuple[NodeResult, ...]:
        """What dbt said last about each of a task's nodes."""
        try:
            records = self.api.node_results(self.plan.pipeline, self.run_id, task_id)["records"]
            return tuple(one.latest for one in by_node(map(NodeResult.from_dict, records)))
        except (GoldsmithError, KeyError, TypeError):  # another version of Goldsmith, or none, answers
            return ()

    def warnings(self) -> tuple[Warned, ...]:
        """What dbt warned of beside the nodes, and the tests and sources that warned.

        Of the isolated engine's tests those of severity `warn`, to ask less.
        """
        tests = [node for node in self.plan.nodes if node.kind in ("test", "source")]
        if self.plan.builds:
            statuses = {
                uid: said for one in self.plan.builds for uid, said in self._kept(one.task_id).items()
            }
            tests = [node for node in tests if statuses.get(node.unique_id) == _WARN]
        else:
            tests = [node for node in tests if node.severity == _WARN or node.kind == "source"]
        asked = {node.unique_id: node for node in tests[:_MOST]}
        task_ids = dict.fromkeys(node.task_id for node in asked.values())
        found = [last for task_id in task_ids for last in self.lasts(task_id)]
        return self._beside_nodes() + tuple(
            Warned(task_id=asked[last.unique_id].task_id, unique_id=last.unique_id, message=last.message)
            for last in found
            if last.unique_id in asked and last.status == _WARN
        )

    def _beside_nodes(self) -> tuple[Warned, ...]:
        """What dbt warned of that is about no node: each once, however many builds it was said to."""
        found: dict[str, str] = {}
        for build in self.plan.builds:
            kept = self.api.xcom(self.plan.pipeline, self.run_id, build.task_id, WARNINGS_KEY)
            for text in kept if isinstance(kept, list) else ():
                found.setdefault(str(text), build.task_id)
        return tuple(Warned(task_id=by, unique_id="", message=text) for text, by in found.items())

    @cached_property
    def _tasks(self) -> Mapping[str, tuple[PlannedNode, ...]]:
        return nodes_by_task(self.plan.nodes)

    def _states(self, statuses: Mapping[str, str]) -> dict[str, str]:
        """Task id to state, of the tasks with a node that failed or all of whose nodes are good."""
        found = {}
        for task_id, nodes in self._tasks.items():
            said = {statuses.get(node.unique_id, "") for node in nodes}
            if said & FAILED:
                found[task_id] = "failed"
            elif said <= GOOD:
                found[task_id] = "success"
        return found

    def _statuses(self, build: str, started: datetime | None) -> Mapping[str, str]:
        """What a build that runs since then has done, read at most every other second."""
        now = self.clock()
        if now - self._read_at.get(build, -READ_EVERY) >= READ_EVERY:
            self._read_at[build] = now
            kept = self._load(build, since=started)
            if kept is not None:
                self._running[build] = kept.statuses
        return self._running.get(build, {})

    def _kept(self, build: str) -> Mapping[str, str]:
        kept = self._load(build)
        return kept.statuses if kept is not None else {}

    def _load(self, build: str, *, since: datetime | None = None) -> BuildState | None:
        try:
            store = _Store(
                api=self.api, dag_id=self.plan.pipeline, run_id=self.run_id, task_id=build, since=since
            )
            return BuildState.load(store)
        except (GoldsmithError, KeyError, TypeError):  # it is not worth an error
            return None


def in_dbts_words(lasts: Iterable[NodeResult]) -> str:
    """Why a task's nodes failed; empty where dbt did not say that one did."""
    failed = (one for one in lasts if one.status in FAILED)
    return "\n".join(f"{one.unique_id}: {one.message or one.status}" for one in failed)


@dataclass(frozen=True, kw_only=True)
class _Store:
    """The state store of a task, over the REST API; without what was kept before a moment, and a clear since."""

    api: RestClient
    dag_id: str
    run_id: str
    task_id: str
    since: datetime | None

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key."""
        found = self.api.kept_by_task(self.dag_id, self.run_id, self.task_id, key, since=self.since)
        return default if found is None else found
