"""What dbt said about a run's nodes, as far as a person who follows the run wants to know it.

While a build runs, nodes that dbt has finished are marked every other second, or not at all where the build may not
mark. The build keeps its progress in Airflow's task state store too; it is shown over the states of the tasks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import httpx

from goldsmith.engine.state import BuildState
from goldsmith.errors import GoldsmithError
from goldsmith.plan.model import Plan
from goldsmith.rest import RestClient, TaskInstance
from goldsmith.rest.transport import ApiRefused, quoted, run_path
from goldsmith.results.record import GOOD, NodeResult

READ_EVERY = 2.0  # seconds: as often as a build writes
_WARN = "warn"
_FAILED = {"fail", "error", "runtime error"}
_MOST = 25  # warnings that are looked up


@dataclass(frozen=True, kw_only=True, slots=True)
class Warned:
    """A test that warned."""

    task_id: str
    unique_id: str
    message: str


@dataclass(kw_only=True)
class Said:
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

    def message(self, task_id: str) -> str:
        """Why a node failed, in dbt's words; empty where dbt did not say that it failed."""
        last = self._last(task_id)
        return f"{last.unique_id}: {last.message or last.status}" if last and last.status in _FAILED else ""

    def warnings(self) -> tuple[Warned, ...]:
        """The tests that warned; of the isolated engine those of severity `warn`, which alone are looked up."""
        tests = [node for node in self.plan.nodes if node.kind == "test"]
        if self.plan.builds:
            statuses = {
                uid: said for one in self.plan.builds for uid, said in self._kept(one.task_id).items()
            }
            tests = [node for node in tests if statuses.get(node.unique_id) == _WARN]
        else:
            tests = [node for node in tests if node.severity == _WARN]
        lasts = ((node, self._last(node.task_id)) for node in tests[:_MOST])
        return tuple(
            Warned(task_id=node.task_id, unique_id=node.unique_id, message=last.message)
            for node, last in lasts
            if last is not None and last.status == _WARN
        )

    def _states(self, statuses: Mapping[str, str]) -> dict[str, str]:
        shown = dict.fromkeys(GOOD, "success") | dict.fromkeys(_FAILED, "failed")
        return {
            node.task_id: shown[status]
            for node in self.plan.nodes
            if (status := statuses.get(node.unique_id, "")) in shown
        }

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
            return BuildState.load(_Store(self.api, self.plan.pipeline, self.run_id, build, since=since))
        except (GoldsmithError, KeyError, TypeError):  # it is not worth an error
            return None

    def _last(self, task_id: str) -> NodeResult | None:
        try:
            records = self.api.node_results(self.plan.pipeline, self.run_id, task_id)["records"]
            return NodeResult.from_dict(records[-1]) if records else None
        except (GoldsmithError, KeyError, TypeError):  # another version of Goldsmith, or none, answers
            return None


class _Store:
    """The state store of a task, over the REST API; without what was kept before a moment, and a clear since."""

    def __init__(
        self, api: RestClient, dag_id: str, run_id: str, task_id: str, *, since: datetime | None
    ) -> None:
        self._api = api
        self._since = since
        self._path = f"{run_path(dag_id, run_id)}/taskInstances/{quoted(task_id)}/state-store"

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key."""
        try:
            found = self._api.send("GET", f"{self._path}/{quoted(key)}")
        except ApiRefused as error:
            if error.status == httpx.codes.NOT_FOUND:
                return default
            raise
        is_old = self._since is not None and datetime.fromisoformat(found["updated_at"]) < self._since
        return default if is_old else found["value"]
