from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests import builders
from tests.builders import planned_build, planned_gate, planned_node

from goldsmith.gates.verdict import Verdict
from goldsmith.plan.model import Plan, PlannedNode
from goldsmith.report.facts import RunFacts, run_facts
from goldsmith.results.record import NodeResult

START = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)
LAYERS = ("bronze", "silver")
MakeRun = Callable[..., RunFacts]


def planned(name: str, layer: str, *upstream: str, kind: str = "model", task_id: str = "") -> PlannedNode:
    """A node of the plan with its own task."""
    return planned_node(
        f"{kind}.shop.{name}",
        layer=layer,
        task_id=task_id or f"{layer}.{name}.run",
        build=f"{layer}.build",
        upstream=(f"{layer}.build", *upstream),
        file=f"models/{layer}/{name}.sql",
        materialized="table",
        owner="finance",
        severity="error",
    )


def plan_of(nodes: Sequence[PlannedNode]) -> Plan:
    """A plan with two layers, a gate after each."""
    return builders.plan_of(
        sorted(nodes, key=lambda node: node.task_id),
        layers=LAYERS,
        gates=tuple(planned_gate(one) for one in LAYERS),
        builds=tuple(planned_build(one) for one in LAYERS),
    )


@pytest.fixture(scope="session")
def ended(result: Callable[..., NodeResult]) -> Callable[..., NodeResult]:
    """Make what dbt said about a node: `after` seconds of the run it began, and took `seconds`."""

    def make(
        node: PlannedNode, status: str, *, after: float = 0.0, seconds: float = 1.0, **more: Any
    ) -> NodeResult:
        start = START + timedelta(seconds=after)
        times = {"started": start.isoformat(), "ended": (start + timedelta(seconds=seconds)).isoformat()}
        ids = {"unique_id": node.unique_id, "task_id": node.task_id, "kind": node.kind}
        return result(**{**ids, **times, "seconds": seconds, "status": status, **more})

    return make


@pytest.fixture(scope="session")
def make_run() -> MakeRun:
    """Make a run of some nodes; what has no state of its own is green."""

    def make(
        nodes: Sequence[PlannedNode],
        records: Sequence[NodeResult],
        states: Mapping[str, str | None] | None = None,
        verdicts: Mapping[str, Verdict] | None = None,
        *,
        tolerated: Collection[str] = (),
        reasons: Mapping[str, str] | None = None,
        run_id: str = "manual__1",
        started: datetime = START,
    ) -> RunFacts:
        plan = plan_of(nodes)
        known: dict[str, str | None] = dict.fromkeys((node.task_id for node in nodes), "success")
        known |= dict.fromkeys((gate.task_id for gate in plan.gates), "success")
        for build in plan.builds:
            known |= {build.task_id: "success", build.reconcile_id: "success"}
        by_task: dict[str, list[NodeResult]] = {}
        for record in records:
            by_task.setdefault(record.task_id, []).append(record)
        return run_facts(
            plan,
            run_id=run_id,
            started=started,
            made=started + timedelta(seconds=60),
            states={**known, **(states or {})},
            records=by_task,
            verdicts=verdicts or {},
            tolerated=tolerated,
            reasons=reasons,
        )

    return make
