"""What a run did, as events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.report.conftest import MakeRun, plan_of, planned

from goldsmith.alerts.ledger import Incident
from goldsmith.gates.verdict import Verdict
from goldsmith.notify.events import Events, last_greens
from goldsmith.plan.graph import PlanGraph
from goldsmith.report.facts import RunFacts
from goldsmith.results.record import NodeResult
from goldsmith.spec.alerts import Alerts

ORDERS = planned("orders", "bronze")
UNIQUE = planned("unique_orders", "bronze", "bronze.orders.run", kind="test")
REVENUE = planned("revenue", "silver", "bronze.orders.run")
LAKE = planned("lake", "bronze", kind="source")
NODES = (ORDERS, UNIQUE, REVENUE, LAKE)
Ended = Callable[..., NodeResult]


def events(run_id: str = "manual__1") -> Events:
    """Makes the events of a run."""
    return Events(
        graph=PlanGraph(plan_of(NODES)),
        alerts=Alerts(runbook="https://wiki/{pipeline}/{node}"),
        run_id=run_id,
        environment="prod",
        airflow_url="http://airflow",
    )


def verdict(layer: str, said: str, **stopped_by: str) -> Verdict:
    """What a gate said."""
    return Verdict(layer=layer, verdict=said, rules=(), counts={}, stopped_by=stopped_by)


@pytest.fixture
def broken(make_run: MakeRun, ended: Ended) -> RunFacts:
    """`orders` failed, so `revenue` was held back and both gates block; a test warned, a source is stale."""
    records = [ended(ORDERS, "error", message="no such table"), ended(REVENUE, "skipped")]
    records += [ended(UNIQUE, "warn"), ended(LAKE, "error")]
    states = {
        ORDERS.task_id: "failed",
        LAKE.task_id: "failed",
        REVENUE.task_id: "upstream_failed",
        "bronze.gate": "failed",
        "silver.gate": "failed",
        "elementary_report": "failed",
        "ingest.orders.load": "failed",
    }
    blocked = {
        "bronze.gate": verdict("bronze", "block", orders="failed", unique="upstream_failed"),
        "silver.gate": verdict("silver", "block", revenue="upstream_failed"),
    }
    return make_run(NODES, records, states, blocked)


def by_kind(run: RunFacts) -> dict[str, Any]:
    """Kind to the subjects of the events."""
    found: dict[str, list[str]] = {}
    for event in events().of_run(run):
        found.setdefault(event.kind, []).append(event.subject)
    return found


def test_each_thing_that_happened_is_an_event(broken: RunFacts) -> None:
    """What was held back is none, and a gate that blocks because one before it does is none either."""
    assert by_kind(broken) == {
        "model_failed": [ORDERS.unique_id],
        "test_warned": [UNIQUE.unique_id],
        "source_stale": [LAKE.unique_id],
        "gate_blocked": ["bronze.gate"],
        "report_failed": ["elementary_report"],
        "task_failed": ["ingest.orders.load"],
        "run_finished": ["shop"],
    }


def test_of_three_hundred_nodes_one_that_failed_is_one_event(make_run: MakeRun, ended: Ended) -> None:
    """And the end of the run; what is well is not told."""
    nodes = [planned(f"m{number}", "bronze") for number in range(300)]
    records = [ended(node, "error" if node.name == "m7" else "success") for node in nodes]
    found = events().of_run(make_run(nodes, records, {nodes[7].task_id: "failed"}))
    assert [(one.kind, one.name) for one in found] == [("model_failed", "m7"), ("run_finished", "")]


def test_a_failed_node_comes_with_all_that_is_known(broken: RunFacts) -> None:
    """What it blocks, where to look, how to see it oneself."""
    failed = next(event for event in events().of_run(broken) if event.kind == "model_failed")
    assert (failed.title, failed.message, failed.owner) == ("model orders failed", "no such table", "finance")
    assert failed.blocks == ("revenue",)
    assert failed.command == "dbt build --select orders"
    run = "http://airflow/dags/shop/runs/manual__1"
    assert failed.links == {
        "task": f"{run}/tasks/bronze.orders.run/plugin/dbt-result",
        "run": run,
        "report": f"{run}/plugin/dbt-report",
        "runbook": "https://wiki/shop/orders",
    }


def test_what_runs_again_and_is_green_has_recovered(
    broken: RunFacts, make_run: MakeRun, ended: Ended
) -> None:
    """What did not run again has not: nobody knows."""
    incidents = {
        event.key: Incident(event=event, since="") for event in events().of_run(broken) if event.is_bad
    }
    assert events().recovered(broken, {}, incidents) == {}
    records = [ended(node, "success") for node in (ORDERS, REVENUE)]
    passed = {f"{layer}.gate": verdict(layer, "pass") for layer in ("bronze", "silver")}
    later = make_run(NODES, records, {LAKE.task_id: None}, passed, run_id="manual__2")
    found = events("manual__2").recovered(later, {"ingest.orders.load": "success"}, incidents)
    assert {one.subject: one.title for one in found.values()} == {
        ORDERS.unique_id: "orders is green again",
        "bronze.gate": "bronze.gate lets pass again",
        "ingest.orders.load": "ingest.orders.load is green again",
    }
    assert {one.run_id for one in found.values()} == {"manual__2"}
    without = make_run((ORDERS, UNIQUE, REVENUE), [], {}, {}, run_id="manual__3")
    gone = events("manual__3").recovered(without, {}, incidents)
    assert "lake is no longer in the project" in {one.title for one in gone.values()}


def test_a_run_that_builds_nothing_of_it_says_nothing_of_what_was_wrong(
    broken: RunFacts, make_run: MakeRun, ended: Ended
) -> None:
    """A dry run, or one of another part: gates let pass what was skipped, and builds without a node are green."""
    events_of = events().of_run(broken)
    incidents = {event.key: Incident(event=event, since="") for event in events_of if event.is_bad}
    deadline = replace(events_of[0], kind="deadline_missed", subject="deadline 06:00", name="")
    incidents[deadline.key] = Incident(event=deadline, since="")
    passed = {f"{layer}.gate": verdict(layer, "pass") for layer in ("bronze", "silver")}
    states = {node.task_id: "skipped" for node in NODES}
    dry = make_run(NODES, [], states, passed, run_id="manual__2")
    assert events("manual__2").recovered(dry, {}, incidents) == {}
    part = make_run(NODES, [ended(REVENUE, "success")], states, passed, run_id="manual__3")
    found = events("manual__3").recovered(part, {}, incidents)
    assert {one.subject for one in found.values()} == {REVENUE.unique_id, "deadline 06:00"} & {
        one.event.subject for one in incidents.values()
    }


def test_the_last_green_run_is_the_latest_in_which_a_node_was_well() -> None:
    """Warned is well; what was never seen well has none."""
    earlier = [
        ("r3", {"a": "bad", "b": "good"}),
        ("r2", {"a": "warn", "b": "good"}),
        ("r1", {"a": "good", "c": "bad"}),
    ]
    assert last_greens(["a", "b", "c"], earlier) == {"a": "r2", "b": "r3"}
