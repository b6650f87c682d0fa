"""A build of a layer with all that surrounds it: a run, dbt as the test says it, Airflow's marks, the task's store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from tests.airflow.joint_tasks import FakeDbt, Result, Store
from tests.builders import plan_of, planned_build, planned_gate, planned_node
from tests.sites import StatedSite

from goldsmith.engine.build_state import XCOM_KEY, BuildState
from goldsmith.engine.dbt.invocation import Invocations
from goldsmith.engine.shared.build import BuildTask
from goldsmith.gates.verdict import Verdict
from goldsmith.plan.model import PlannedNode
from goldsmith.results.record import NodeResult
from goldsmith.spec.run import RunOptions

BUILD, GATE = "silver.build", "silver.gate"
CALM: Mapping[str, Any] = {"build": BUILD, "materialized": "own"}
"""Of a materialization of the project's own nothing is looked for in the warehouse."""
ORDERS = planned_node("model.shop.orders", **CALM)
CHECK = planned_node("test.shop.check", upstream=(ORDERS.task_id,), **CALM)
STOCK = planned_node("model.shop.stock", **CALM)
REPORT = planned_node("model.shop.report", layer="gold", build="gold.build", upstream=(ORDERS.task_id, GATE))
MINE = (ORDERS, CHECK, STOCK)
TASKS = tuple(one.task_id for one in MINE)
PLAN = plan_of(
    (*MINE, REPORT),
    builds=(planned_build("silver"), planned_build("gold")),
    gates=(planned_gate("silver", TASKS),),
)
"""orders -> check, report; stock"""
FRESH: Mapping[str, str | None] = {
    **dict.fromkeys((*TASKS, REPORT.task_id, GATE, "silver.reconcile", "gold.build", "gold.reconcile")),
    BUILD: "running",
}
"""The states of a run whose first build begins."""
GOOD = {ORDERS.unique_id: "success", CHECK.unique_id: "pass", STOCK.unique_id: "success"}


@dataclass
class Instance:
    """The build's task instance."""

    try_number: int = 1
    max_tries: int = 2
    pushed: dict[str, Any] = field(default_factory=dict)
    left: dict[str, Any] = field(default_factory=dict)
    """Id of another build to what it has left behind."""

    def xcom_push(self, *, key: str, value: Any) -> None:
        """Leave something behind."""
        self.pushed[key] = value

    def xcom_pull(self, *, task_ids: str, key: str) -> Any:
        """What another one has left."""
        assert key
        return self.left.get(task_ids)


@dataclass
class Airflow:
    """The API server, as far as a build asks it: what it sets are the states of the run."""

    site: StatedSite
    calls: list[tuple[str, list[str]]] = field(default_factory=list)
    times: dict[str, tuple[str, str]] = field(default_factory=dict)
    open: int = 0
    """Connections."""

    def connect(self) -> Any:
        """Open a connection."""
        self.open += 1
        return self

    def close(self) -> None:
        """Close it."""
        self.open -= 1

    def mark_done(
        self,
        dag_id: str,
        run_id: str,
        tasks: Mapping[str, tuple[str, str]],
        gate: Mapping[str, Any] | None = None,
    ) -> tuple[str, ...]:
        """Set tasks to success; a gate lets the next build begin, so the warehouse has to be free for it."""
        assert (dag_id, run_id) == ("shop", "r1")
        assert not gate or not self.site.writer.writing
        self.times |= tasks
        return self._set("success", [*tasks, *([gate["task_id"]] if gate else [])])

    def mark_as(self, state: str, dag_id: str, run_id: str, task_ids: Iterable[str]) -> tuple[str, ...]:
        """Set tasks to skipped or failed."""
        assert (dag_id, run_id) == ("shop", "r1")
        return self._set(state, list(task_ids))

    def mark_compared(self, _: str, __: str, compared: Mapping[str, Any]) -> bool:
        """Set the comparison to success."""
        return bool(self._set("success", [compared["task_id"]]))

    def note(self, _: str, __: str, task_id: str, text: str) -> None:
        """Put a note on a task."""
        self.calls.append((text, [task_id]))

    def clear(self, _: str, __: str, task_ids: list[str], *, downstream: bool) -> None:
        """Clear tasks."""
        assert downstream
        self.calls.append(("clear", task_ids))

    def _set(self, state: str, task_ids: list[str]) -> tuple[str, ...]:
        self.calls.append((state, task_ids))
        done = [one for one in task_ids if self.site.given[one] is None]
        self.site.given |= dict.fromkeys(done, state)
        return tuple(done)


@dataclass
class Lab:
    """A run whose build may be tried several times."""

    site: StatedSite
    result: Result
    airflow: Airflow
    said: dict[str, str] = field(default_factory=lambda: dict(GOOD))
    """Unique id to what dbt says of a node."""
    dbt: dict[str, Any] = field(default_factory=dict)
    """What else is so of dbt: attributes of `FakeDbt`."""
    store: Store = field(default_factory=Store)
    tries: list[FakeDbt] = field(default_factory=list)
    """dbt of each try that came to it."""
    verdicts: list[Verdict] = field(default_factory=list)
    """Those that were written into the warehouse."""

    @contextmanager
    def ready(
        self, site: StatedSite, run_id: str, task_id: str, options: RunOptions
    ) -> Iterator[Invocations]:
        """Make dbt ready; only for the writer."""
        assert (run_id, site.writer.writing) == ("r1", [task_id])
        made = FakeDbt(self.result, self.said)
        made.space = SimpleNamespace(options=options)
        for name, value in self.dbt.items():
            setattr(made, name, value)
        self.tries.append(made)
        yield cast("Invocations", made)

    def task(self, task_id: str = BUILD) -> BuildTask:
        """The operator, in a process of its own."""
        return BuildTask(
            site=self.site, dbt=cast("Any", self.ready), connect=self.airflow.connect, task_id=task_id
        )

    def context(self, instance: Instance, **conf: Any) -> Any:
        """Of a try."""
        run = SimpleNamespace(conf=conf, partition_date=None, start_date=datetime.now(UTC))
        return {"run_id": "r1", "ti": instance, "dag_run": run, "task_state_store": self.store}

    def build(self, instance: Instance | None = None, task_id: str = BUILD, **conf: Any) -> dict[str, int]:
        """One try; how many nodes have which status."""
        found: dict[str, int] = self.task(task_id).execute(self.context(instance or Instance(), **conf))
        return found

    def ran(self) -> list[list[str]]:
        """Names of the nodes of each try's dbt command."""
        return [[uid.rsplit(".")[-1] for _, uids in one.ran for uid in uids] for one in self.tries]

    def kept(self, *nodes: PlannedNode) -> dict[str, NodeResult]:
        """The details of nodes."""
        return self.site.results.last("r1", nodes)


def left_behind(instance: Instance) -> BuildState:
    """What the tasks after the build find of it."""
    return BuildState.unpack(instance.pushed[XCOM_KEY])
