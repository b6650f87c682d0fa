"""Why a run is red, for the note on it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from tests.builders import plan_of, planned_gate, planned_node

from goldsmith.gate_rules.base import RuleResult
from goldsmith.gates.verdict import Verdict
from goldsmith.plan.model import Plan
from goldsmith.report.cause import cause_of
from goldsmith.report.facts import RunFacts, run_facts

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def plan() -> Plan:
    """Two models, of which one reads the other, and a test."""
    return plan_of(
        (
            planned_node("model.shop.lone", layer="silver"),
            planned_node("model.shop.orders", layer="silver"),
            planned_node("model.shop.revenue", layer="silver", upstream=("silver.orders",)),
        ),
        gates=(planned_gate("silver", ("silver.lone", "silver.orders", "silver.revenue")),),
    )


def facts(plan: Plan, verdicts: dict[str, Verdict] | None = None, **states: str) -> RunFacts:
    """A run in which tasks have states; those that are not named are green."""
    every = {node.task_id: "success" for node in plan.nodes} | {"silver.gate": "failed"}
    return run_facts(
        plan,
        run_id="r1",
        started=MOMENT,
        made=MOMENT,
        states=every | {f"silver.{name}": state for name, state in states.items()},
        records={},
        verdicts=verdicts or {},
    )


def test_the_failure_behind_which_most_tasks_wait_is_named(plan: Plan) -> None:
    """With how many others failed, and how many nodes are held back."""
    run = facts(plan, lone="failed", orders="failed", revenue="upstream_failed")
    assert cause_of(run) == "silver.orders, and 1 more; 1 node held back"
    assert cause_of(replace(run, is_red=False)) == ""


def test_what_failed_beside_the_nodes_is_named_with_its_reason(plan: Plan) -> None:
    """A gate with a reason of its own; a build that dbt did not begin."""
    rule = RuleResult(rule="rows", measured=0, allowed="at least 1", outcome="block")
    blocks = Verdict(
        layer="silver", verdict="block", rules=(rule,), counts={}, stopped_by={"silver.orders": "failed"}
    )
    assert cause_of(facts(plan, {"silver.gate": blocks})) == "the gate after silver blocks"
    run = replace(
        facts(plan), red_tasks=("silver.build", "ingest.x.load"), reasons={"silver.build": "no\n\ndisk"}
    )
    assert cause_of(run) == "silver.build, and 1 more\nno\ndisk"
    assert cause_of(replace(run, red_tasks=())) == "no node failed"
