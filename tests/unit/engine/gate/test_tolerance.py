"""What of a run's red tasks counts as tolerated, from what gates, builds and details say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk import Context
from tests.builders import plan_of, planned_gate, planned_node

from goldsmith.engine.build_state import BuildState
from goldsmith.engine.gate.tolerance import in_doubt, let_pass_in_run, statuses_of, tolerated_in_run
from goldsmith.engine.site import Site
from goldsmith.gates.outcomes import LetPass
from goldsmith.gates.verdict import Verdict
from goldsmith.plan.graph import PlanGraph
from goldsmith.results.record import NodeResult

SOURCE = planned_node("source.shop.raw", layer="sources", build="bronze.build")
ORDERS = planned_node("model.shop.orders", layer="bronze", build="bronze.build", upstream=(SOURCE.task_id,))
CHECK = planned_node(
    "test.shop.check",
    layer="bronze",
    build="bronze.build",
    task_id=ORDERS.task_id,
    upstream=(SOURCE.task_id,),
)
REPORT = planned_node(
    "model.shop.report", layer="silver", build="silver.build", upstream=(ORDERS.task_id, "bronze.gate")
)
GATES = (planned_gate("bronze", [ORDERS.task_id]), planned_gate("silver", [REPORT.task_id]))
GRAPH = PlanGraph(plan_of((SOURCE, ORDERS, CHECK, REPORT), gates=GATES))


@dataclass
class OneRun:
    """A site whose run the test describes."""

    can_tolerate: bool = True
    freshness: str = "block"
    kept: Mapping[str, NodeResult] = field(default_factory=dict)
    graph: PlanGraph = GRAPH

    @property
    def results(self) -> OneRun:
        """It keeps them itself."""
        return self

    def last(self, run_id: str, nodes: Any) -> dict[str, NodeResult]:
        """Details, of those that have some."""
        assert run_id == "r1"
        return {one.unique_id: self.kept[one.unique_id] for one in nodes if one.unique_id in self.kept}


def site(**values: Any) -> Site:
    """Where the run was."""
    return cast("Site", OneRun(**values))


def context(**left: Any) -> Context:
    """Of a task that asks: id of a task, with `_` for dots, to what it has left in XCom."""
    kept = {name.replace("_", "."): value for name, value in left.items()}
    ti = SimpleNamespace(xcom_pull=lambda task_ids, key="": kept.get(task_ids))  # noqa: ARG005 - Airflow's name
    return cast("Context", {"run_id": "r1", "ti": ti})


def verdict(layer: str, outcome: str, *tolerated: str, held: tuple[str, ...] = ()) -> dict[str, Any]:
    """What a gate has said."""
    return Verdict(
        layer=layer,
        verdict=outcome,
        rules=(),
        counts={},
        stopped_by={},
        failed=tolerated,
        tolerated=tolerated,
        held_back=held,
    ).to_dict()


def build(**statuses: str) -> str:
    """What a build has left behind: name of a node to dbt's status."""
    ids = {one.name: one.unique_id for one in GRAPH.plan.nodes}
    named = {ids[name]: status for name, status in statuses.items()}
    return BuildState(build_id="b1", max_tries=0, statuses=named).pack()


RED = {SOURCE.task_id: "success", ORDERS.task_id: "failed", REPORT.task_id: "upstream_failed"}


def test_only_dbt_can_say_what_failed_of_several_nodes_or_of_a_source() -> None:
    """A node alone in its red task is the one that failed; green tasks are not asked about."""
    assert in_doubt(GRAPH, RED) == [ORDERS, CHECK]
    assert in_doubt(GRAPH, {**RED, SOURCE.task_id: "failed"}) == [SOURCE, ORDERS, CHECK]
    assert in_doubt(GRAPH, {REPORT.task_id: "failed"}) == []


def test_details_go_before_what_a_build_has_left(result: Callable[..., NodeResult]) -> None:
    """A task that was cleared since has details of its own; a state that cannot be read is none."""
    healed = result(unique_id=ORDERS.unique_id, task_id=ORDERS.task_id, kind="model", status="success")
    left = context(bronze_build=build(orders="error", check="skipped"))
    nodes = [ORDERS, CHECK, REPORT]
    assert statuses_of(site(), left, nodes) == {ORDERS.unique_id: "error", CHECK.unique_id: "skipped"}
    assert statuses_of(site(kept={ORDERS.unique_id: healed}), left, nodes) == {
        ORDERS.unique_id: "success",
        CHECK.unique_id: "skipped",
    }
    assert statuses_of(site(), context(bronze_build="nonsense"), nodes) == {}
    assert statuses_of(site(), left, []) == {}


def test_what_gates_have_let_pass_adds_up_to_the_layer_that_asks() -> None:
    """A gate that blocks lets nothing pass, and one that has said nothing neither."""
    both = context(
        bronze_gate=verdict("bronze", "warn", CHECK.unique_id, held=(REPORT.task_id,)),
        silver_gate=verdict("silver", "pass", REPORT.unique_id),
    )
    first = LetPass(nodes=frozenset({CHECK.unique_id}), held_back=frozenset({REPORT.task_id}))
    assert let_pass_in_run(site(), both, before="silver") == first
    assert let_pass_in_run(site(), both) == first | LetPass(nodes=frozenset({REPORT.unique_id}))
    assert let_pass_in_run(site(), both, before="bronze") == LetPass()
    assert let_pass_in_run(site(can_tolerate=False), both) == LetPass()
    assert let_pass_in_run(site(), context(bronze_gate=verdict("bronze", "block", "x"))) == LetPass()


@pytest.mark.parametrize(
    ("let_pass", "can_tolerate", "expected"),
    [
        ((CHECK.unique_id,), True, {ORDERS.task_id, REPORT.task_id}),
        ((ORDERS.unique_id,), True, set()),
        ((), True, set()),
        ((CHECK.unique_id,), False, set()),
    ],
)
def test_a_red_task_is_tolerated_for_the_node_of_it_that_failed(
    let_pass: tuple[str, ...], expected: set[str], *, can_tolerate: bool
) -> None:
    """And what it held back with it; a model that was let pass does not excuse its test."""
    left = context(
        bronze_build=build(orders="success", check="fail"), bronze_gate=verdict("bronze", "warn", *let_pass)
    )
    assert tolerated_in_run(site(can_tolerate=can_tolerate), left, RED) == expected


@pytest.mark.parametrize(
    ("freshness", "status", "is_fine"),
    [("skip", "error", True), ("skip", "runtime error", False), ("block", "error", False)],
)
def test_a_stale_source_is_tolerated_where_the_spec_says_skip(
    freshness: str, status: str, *, is_fine: bool
) -> None:
    """One that could not be looked at is not stale; what reads it is held back for it alone."""
    states = {SOURCE.task_id: "failed", ORDERS.task_id: "upstream_failed", REPORT.task_id: "upstream_failed"}
    left = context(bronze_build=build(raw=status))
    found = tolerated_in_run(site(freshness=freshness), left, states)
    assert found == (set(states) if is_fine else set())
