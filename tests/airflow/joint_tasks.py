"""A small plan of tasks with several nodes, and stand-ins for what surrounds the engine: results, dbt, the API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from tests.builders import plan_of, planned_node

from goldsmith.engine.build_state import XCOM_KEY, BuildState
from goldsmith.errors import DbtStopped
from goldsmith.plan.graph import PlanGraph
from goldsmith.plan.model import PlannedNode
from goldsmith.results.microbatch import Microbatches
from goldsmith.results.record import NodeResult
from goldsmith.spec.run import RunOptions

Result = Callable[..., NodeResult]

BEGAN = datetime(2026, 11, 20, 12, tzinfo=UTC)
ATTEMPT = UUID(int=int(BEGAN.timestamp() * 1000) << 80 | 7 << 76 | 2 << 62)
ORDERS, LATER = "silver.orders.run", "gold.later.run"


def node(uid: str, task_id: str, *upstream: str) -> PlannedNode:
    """A planned node of one build; the prefix of its id is its kind."""
    kind = {"t": "test", "u": "unit_test", "s": "source"}.get(uid[0], "model")
    return planned_node(
        uid,
        kind=kind,
        name=f"{uid}_name",
        task_id=task_id,
        display_name=uid,
        label=uid,
        select=uid,
        build="build",
        asset=f"goldsmith://{uid}" if kind == "model" else "",
        updated_by="reconcile",
        upstream=("build", *upstream),
    )


NODES = (
    node("later", LATER, ORDERS),
    node("t_later", LATER, ORDERS),
    node("orders", ORDERS),
    node("t_1", ORDERS),
    node("t_2", ORDERS),
)
GRAPH = PlanGraph(plan_of(NODES, tasks="model"))


@dataclass
class FakeSite:
    """A site whose results and states are said by the test."""

    kept: list[NodeResult] = field(default_factory=list)
    graph: PlanGraph = GRAPH
    target: SimpleNamespace = field(default_factory=lambda: SimpleNamespace(target="dev"))
    window: None = None

    @property
    def results(self) -> FakeSite:
        """It keeps its own results."""
        return self

    @property
    def writer(self) -> FakeSite:
        """Without `held` it cannot become the writer."""
        return self

    def last(self, _: str, nodes: Iterable[PlannedNode]) -> dict[str, NodeResult]:
        """The last record of each."""
        wanted = {one.unique_id for one in nodes}
        return {one.unique_id: one for one in self.kept if one.unique_id in wanted}

    def keep(self, _: str, results: list[NodeResult]) -> None:
        """Keep records."""
        self.kept += results

    def states(self, _: str, __: list[str] | None = None) -> dict[str, str]:
        """No task has a state."""
        return {}


class FakeDbt:
    """Says of each node what the test wants; what it has no word for, it leaves out."""

    def __init__(self, result: Result, said: dict[str, str]) -> None:
        self.failure, self.failures = "", list[str]()
        self.warned: dict[str, None] = {}
        self.has_failed_fast = self.is_stopped = False
        self.stops_at = ""
        """Unique id of a node; dbt ends when it comes to it."""
        self.result, self.said = result, said
        self.on_turn: Callable[[list[NodeResult]], None] = lambda _: None
        self.ran: list[tuple[str, list[str]]] = []
        self.space = SimpleNamespace(options=RunOptions())

    def run(self, verb: str, nodes: Iterable[PlannedNode]) -> None:
        """Finish the nodes one after the other, a second each."""
        chosen = list(nodes)
        if chosen:
            self.ran.append((verb, [one.unique_id for one in chosen]))
        for second, one in enumerate(chosen):
            if one.unique_id == self.stops_at:
                raise DbtStopped("dbt was killed.")
            if one.unique_id in self.said:
                times = {
                    "started": f"2026-11-20T13:00:{second:02}",
                    "ended": f"2026-11-20T13:00:{second + 1:02}",
                }
                self.on_turn([self.result(**of(one), status=self.said[one.unique_id], **times)])

    def retry(self, batches: Mapping[str, Microbatches], nodes: Iterable[PlannedNode]) -> None:
        """Build the missing batches of models."""
        chosen = list(nodes)
        if chosen:
            self.ran.append(("retry", [name for one in chosen for name in batches[one.unique_id].missing]))
        for one in chosen:
            self.on_turn([self.result(**of(one), status=self.said[one.unique_id])])

    def stop(self) -> None:
        """End it."""
        self.is_stopped = True


class FakeApi:
    """Takes marks and notes."""

    def __init__(self) -> None:
        self.marked: dict[str, tuple[str, str]] = {}
        self.notes: dict[str, str] = {}

    def mark_done(
        self,
        dag_id: str,
        run_id: str,
        tasks: Mapping[str, tuple[str, str]],
        gate: Mapping[str, Any] | None = None,
    ) -> tuple[str, ...]:
        """Mark; a gate is not set."""
        assert (dag_id, run_id, gate) == ("shop", "r1", None)
        self.marked |= tasks
        return tuple(tasks)

    def mark_as(self, state: str, _: str, __: str, task_ids: Iterable[str]) -> tuple[str, ...]:
        """Nothing here is skipped or failed by its build."""
        raise AssertionError(f"{state}: {task_ids}")

    def note(self, _: str, __: str, task_id: str, text: str) -> None:
        """Note."""
        self.notes[task_id] = text

    def close(self) -> None:
        """There is no connection."""


def of(one: PlannedNode) -> dict[str, str]:
    """What a record has of its node."""
    return {"unique_id": one.unique_id, "task_id": one.task_id, "kind": one.kind}


class Store(dict[str, Any]):
    """A task's state store."""

    def set(self, key: str, value: Any) -> None:
        """Keep a value."""
        self[key] = value

    def delete(self, key: str) -> None:
        """Forget a key."""
        self.pop(key, None)


@dataclass
class FakeInstance:
    """The running task instance."""

    build: BuildState
    try_number: int = 1
    max_tries: int = 2
    id: UUID = ATTEMPT

    def xcom_pull(self, *, task_ids: str, key: str) -> str:
        """What the build has left."""
        assert (task_ids, key) == ("build", XCOM_KEY)
        return self.build.pack()
