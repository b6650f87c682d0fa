"""When a build may give the verdict of its layer's gate: only if the gate's task could not find anything else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.airflow.joint_tasks import GRAPH, LATER, NODES, ORDERS
from tests.builders import planned_build, planned_gate
from tests.sites import site_of

from goldsmith.engine.build_state import BuildState
from goldsmith.engine.shared.early_gate import EarlyVerdict, early_verdict
from goldsmith.engine.shared.marks import Marker
from goldsmith.plan.graph import PlanGraph
from goldsmith.spec.gate import Gate

GATE = "silver.gate"
ALL = dict.fromkeys(("orders", "t_1", "t_2", "later", "t_later"), "success")
NO_STATES = {ORDERS: None, LATER: None, GATE: None}
ENDED = "2026-11-20T13:00:05+00:00"


def judged(
    statuses: dict[str, str],
    *,
    states: dict[str, str | None] | None = None,
    limits: dict[str, Any] | None = None,
    **more: Any,
) -> EarlyVerdict | None:
    """The verdict of a build of two tasks, with what differs: states before, limits, arguments of the operators."""
    nodes = tuple(replace(node, updated_by=GATE, **more) for node in NODES)
    gate = planned_gate("silver", [ORDERS, LATER], task_id=GATE)
    build = planned_build(
        "silver", task_id="build", reconcile_id="reconcile", upstream=(), waits_for="all_done"
    )
    graph = PlanGraph(replace(GRAPH.plan, nodes=nodes, gates=(gate,), builds=(build,)))
    gates = {"silver": Gate.model_validate(limits)} if limits else {}
    site = site_of(graph.plan, Path("nowhere"), gates=gates)
    marker = Marker(graph, "run")
    marker.times = dict.fromkeys((ORDERS, LATER), (ENDED, ENDED))
    state = BuildState(build_id="b", max_tries=0, statuses=statuses)
    found = NO_STATES if states is None else states
    return early_verdict(site, "build", states=found, state=state, marker=marker)


def test_a_layer_that_is_all_good_passes() -> None:
    """A warning is good; the gate's task would say the same, and update the same assets."""
    early = judged({**ALL, "t_1": "warn", "t_2": "pass"})
    assert early is not None
    request = early.to_request("shop", "run")
    assert (request["task_id"], request["judged"]) == (GATE, [ORDERS, LATER])
    assert (request["verdict"]["verdict"], request["verdict"]["counts"]) == ("pass", {"success": 2})
    assert sorted(request["assets"]) == ["goldsmith://later", "goldsmith://orders"]
    assert request["memory"]["assets"]["until"] == ENDED


@pytest.mark.parametrize(
    "status", ["error", "fail", "skipped", "runtime error", "partial success", "missing", ""]
)
@pytest.mark.parametrize("node", ["orders", "t_1", "t_later"])
def test_one_node_that_is_not_good_leaves_it_to_the_task(node: str, status: str) -> None:
    """Whatever dbt said of it, or if it said nothing."""
    statuses = {uid: known for uid, known in {**ALL, node: status}.items() if known}
    assert judged(statuses) is None


@pytest.mark.parametrize("state", ["failed", "upstream_failed", "running", "queued", "up_for_retry", None])
def test_a_task_that_the_build_did_not_build_has_to_be_green_or_skipped(state: str | None) -> None:
    """As a run that leaves some out skips them, or as a person has decided."""
    built = {uid: status for uid, status in ALL.items() if "later" not in uid}
    assert judged(built, states={**NO_STATES, LATER: state}) is None
    early = judged(built, states={**NO_STATES, LATER: "skipped"})
    assert early is not None
    assert early.verdict.counts == {"success": 1, "skipped": 1}
    assert early.assets == ("goldsmith://orders",)


@pytest.mark.parametrize("state", ["success", "failed", "scheduled", "running", "skipped", "awaiting_input"])
def test_a_gate_with_a_state_is_left_alone(state: str) -> None:
    """And so is one that the run does not have."""
    assert judged(ALL, states={**NO_STATES, GATE: state}) is None
    assert judged(ALL, states={ORDERS: None, LATER: None}) is None
    # A test that this worker's project does not have, and the run does.
    assert judged(ALL, states={**NO_STATES, "silver.orders.unique_id": None}) is None


@pytest.mark.parametrize(
    "limits", [{"warned_tests": 0}, {"rows": {"orders_name": 1}}, {"nulls": {"orders_name": {"id": 0.1}}}]
)
def test_what_has_to_be_measured_is_measured_by_the_task(limits: dict[str, Any]) -> None:
    """Limits on numbers of failures have nothing to measure where nothing failed."""
    assert judged(ALL, limits=limits) is None
    assert judged(ALL, limits={"failed_tests": 3, "on_block": "ask"}) is not None


def test_a_task_that_has_to_run_leaves_it_to_the_task() -> None:
    """A node with a callback is not marked, so it is not done when the others are."""
    assert judged(ALL, operator_kwargs={"on_success_callback": print}) is None
