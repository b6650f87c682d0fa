from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.report.conftest import MakeRun, planned

from goldsmith.gate_rules.base import RuleResult
from goldsmith.gates.verdict import Verdict
from goldsmith.report.facts import NODE_BAD, NODE_GOOD, NODE_HELD, NODE_IDLE, NODE_WARN
from goldsmith.report.page import report_page
from goldsmith.report.past import Past
from goldsmith.report.summary import Summary
from goldsmith.results.record import NodeResult

Ended = Callable[..., NodeResult]


def blocked(**more: Any) -> Verdict:
    """The verdict of bronze's gate, which blocks."""
    values = {"layer": "bronze", "verdict": "block", "rules": (), "counts": {}, "stopped_by": {}}
    return Verdict(**{**values, **more})


A, B = planned("a", "bronze"), planned("b", "silver", "bronze.a.run")


@pytest.mark.parametrize(
    ("status", "state", "condition"),
    [
        ("success", "success", NODE_GOOD),
        ("warn", "success", NODE_WARN),
        ("error", "failed", NODE_BAD),
        ("runtime error", "failed", NODE_BAD),
        ("skipped", "upstream_failed", NODE_HELD),
        ("success", "failed", NODE_BAD),  # a person's mark, or a time limit that came after dbt
        ("", "success", NODE_GOOD),  # nothing is kept: Airflow's state has to do
        ("", "failed", NODE_BAD),
        ("", "upstream_failed", NODE_HELD),
        ("", "skipped", NODE_IDLE),
        ("", None, NODE_IDLE),
    ],
)
def test_how_a_node_fared(
    make_run: MakeRun, ended: Ended, status: str, state: str | None, condition: str
) -> None:
    """By dbt's word where there is one, else by Airflow's."""
    run = make_run([A], [ended(A, status)] if status else [], {A.task_id: state})
    assert [node.condition for node in run.nodes] == [condition]


def test_of_a_task_with_several_nodes_only_the_one_that_failed_is_red(
    make_run: MakeRun, ended: Ended
) -> None:
    """The task is red for one of them."""
    test = planned("a_is_unique", "bronze", kind="test", task_id=A.task_id)
    run = make_run([A, test], [ended(A, "success"), ended(test, "fail")], {A.task_id: "failed"})
    assert {node.node.name: node.condition for node in run.nodes} == {"a": NODE_GOOD, "a_is_unique": NODE_BAD}


def test_what_was_tried_twice_counts_as_it_ended(make_run: MakeRun, ended: Ended) -> None:
    """And the earlier time is kept; the layer took the time in which it ran, not the wait for the retry."""
    run = make_run([A], [ended(A, "error"), ended(A, "success", after=20, seconds=3)])
    (node,) = run.nodes
    assert (node.condition, node.seconds, [one.status for one in node.earlier]) == (NODE_GOOD, 3, ["error"])
    assert run.layers[0].seconds == 4


def test_what_ran_at_once_counts_once_for_a_layer(make_run: MakeRun, ended: Ended) -> None:
    """Spans that overlap, that touch, that lie inside another one, and one after a gap."""
    nodes = [planned(name, "bronze") for name in "abcd"]
    times = ((0, 4), (2, 4), (3, 1), (20, 1.5))
    records = [
        ended(node, "success", after=after, seconds=seconds)
        for node, (after, seconds) in zip(nodes, times, strict=True)
    ]
    assert make_run(nodes, records).layers[0].seconds == 7.5
    assert make_run(nodes, []).layers[0].seconds == 0


@pytest.mark.parametrize(
    ("states", "tolerated", "outcome"),
    [
        ({}, (), "success"),
        ({"bronze.a.run": "failed", "bronze.gate": "failed"}, (), "failed"),
        ({"bronze.a.run": "failed"}, ("bronze.a.run",), "success, 1 tolerated"),
        (
            {"bronze.a.run": "failed", "silver.b.run": "upstream_failed"},
            ("bronze.a.run", "silver.b.run"),
            "success, 1 tolerated, 1 not run",
        ),
        ({"bronze.a.run": None}, (), "success, 1 not run"),
        ({"bronze.a.run": "skipped", "silver.b.run": "skipped"}, (), "success, 2 skipped"),
        ({"bronze.a.run": None, "silver.b.run": "skipped"}, (), "success, 1 not run, 1 skipped"),
    ],
)
def test_a_green_run_says_what_failed_in_it_and_what_did_not_run(
    make_run: MakeRun, states: dict[str, str | None], tolerated: tuple[str, ...], outcome: str
) -> None:
    """In its outcome, which is the badge of the page, and its title."""
    run = make_run([A, B], [], states, tolerated=tolerated)
    assert run.outcome == outcome
    page = report_page(run, past=Past.of(Summary.of(run), ()), airflow_url="", dbt="1.12")
    assert f"<title>shop: {outcome}</title>" in page
    assert f'">{outcome}</span></h1>' in page


@pytest.mark.parametrize(
    ("states", "is_red"),
    [
        ({}, False),
        ({"bronze.gate": "failed", "silver.build": "upstream_failed"}, True),
        ({"silver.reconcile": "failed"}, True),
        ({"report": "failed"}, False),
        ({"bronze.a.run": "failed"}, False),  # a gate has let it pass
    ],
)
def test_a_run_is_red_where_airflow_will_say_so(
    make_run: MakeRun,
    states: dict[str, str],
    is_red: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """By its gates and comparisons: the run has not ended yet when its report is made."""
    assert make_run([A, B], [], states).is_red == is_red


def test_layers_stand_in_order_with_their_verdicts(make_run: MakeRun, ended: Ended) -> None:
    """What stands outside the layers comes first, and has no gate."""
    seed = planned("zones", "seeds", kind="seed")
    verdict = {"bronze.gate": blocked(stopped_by={"bronze.a.run": "failed"})}
    states = {"bronze.gate": "failed", "silver.gate": "upstream_failed", "bronze.a.run": "failed"}
    run = make_run([A, B, seed], [ended(A, "error")], states, verdict)
    assert [(one.name, one.gate, one.stopped_by) for one in run.layers] == [
        ("seeds", "", ()),
        ("bronze", "block", ("bronze.a.run",)),
        ("silver", "upstream_failed", ()),
    ]


def test_what_is_tolerated_leaves_the_run_green_and_is_marked(make_run: MakeRun, ended: Ended) -> None:
    """The gate says so, and which of its limits there is something to see of."""
    rules = (
        RuleResult(rule="failed_tests", measured=0, allowed="at most 0", outcome="pass"),
        RuleResult(
            rule="failed_models", measured=1, allowed="at most 1", outcome="pass", nodes=(A.unique_id,)
        ),
    )
    verdict = replace(blocked(rules=rules), verdict="pass", tolerated=(A.unique_id,))
    source = planned("lake", "sources", kind="source")
    states = {A.task_id: "failed", source.task_id: "failed"}
    tolerated = {A.task_id, source.task_id}
    run = make_run([A, B, source], [ended(A, "error")], states, {"bronze.gate": verdict}, tolerated=tolerated)
    assert not run.is_red
    assert [node.node.name for node in run.nodes if node.is_tolerated] == ["lake", "a"]
    bronze = next(layer for layer in run.layers if layer.name == "bronze")
    assert (bronze.gate, bronze.rules, bronze.decision) == ("pass", rules[1:], "")
    page = report_page(run, past=Past.of(Summary.of(run), ()), airflow_url="", dbt="1.12")
    assert "<td>failed_models</td><td>1</td>" in page
    assert page.count(">tolerated</span>") == 2
    assert run.outcome == "success, 2 tolerated"


def test_what_failed_beside_dbt_is_named(make_run: MakeRun, ended: Ended) -> None:
    """A comparison only where no node explains it."""
    states = {"silver.reconcile": "failed", "ingest.orders.merge": "failed"}
    assert make_run([A], [], states).red_tasks == ("ingest.orders.merge", "silver.reconcile")
    assert make_run([A], [ended(A, "error")], states).red_tasks == ("ingest.orders.merge",)


def test_why_a_build_failed_is_on_the_page(make_run: MakeRun) -> None:
    """A hook is no node of which there would be a row."""
    run = make_run([A], [], {"silver.build": "failed"}, reasons={"silver.build": "on-run-end-0: <no> table"})
    page = report_page(run, past=Past.of(Summary.of(run), ()), airflow_url="", dbt="1.12")
    assert ">on-run-end-0: &lt;no&gt; table</pre>" in page


def test_a_mapped_task_is_one_and_a_gate_without_a_verdict_failed_itself(make_run: MakeRun) -> None:
    """Airflow puts the number of the chunk behind the id; a gate that cannot measure says nothing of its layer."""
    states = {f"ingest.orders_2.load_{number}": "failed" for number in range(3)} | {"bronze.gate": "failed"}
    assert make_run([A, B], [], states).red_tasks == ("bronze.gate", "ingest.orders_2.load")
    judged = {"bronze.gate": blocked(stopped_by={"bronze.a.run": "failed"})}
    assert make_run([A, B], [], states, judged).red_tasks == ("ingest.orders_2.load",)
