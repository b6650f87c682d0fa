"""What failed, each cause once, with what it holds back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.unit.report.conftest import START, MakeRun, planned

from goldsmith.gates.verdict import Verdict
from goldsmith.report.behind import Holding
from goldsmith.report.causes import Cause, causes, failed_tasks, shared_error
from goldsmith.report.facts import RunFacts
from goldsmith.report.past import Past
from goldsmith.report.summary import Summary
from goldsmith.results.record import NodeResult

Ended = Callable[..., NodeResult]
A = planned("a", "bronze")
B = planned("b", "bronze", A.task_id)
IS_A = planned("is_a", "bronze", A.task_id, kind="test")
UNIT = planned("words", "bronze", kind="unit_test")
SEEN = planned("c_seen", "silver", kind="snapshot")
C = planned("c", "silver")
IS_C = planned("is_c", "silver", C.task_id, kind="test")
NODES = (A, B, IS_A, UNIT, SEEN, C, IS_C)
HELD = dict.fromkeys((B.task_id, SEEN.task_id, C.task_id, IS_C.task_id), "upstream_failed")
BLOCKS = {"bronze.gate": Verdict(layer="bronze", verdict="block", rules=(), counts={}, stopped_by={})}
MODEL = """Database Error in model a (models/a.sql)
  column "amout" does not exist
  LINE 12:     select amout
               ^
  HINT:  Perhaps you meant to reference the column "x.amount".
  compiled code at target/run/a.sql"""
OF_UNIT = """Runtime Error in unit_test words (models/a.yml)
  An error occurred during execution of unit test 'words'. There may be an error in the unit test definition: check it.
   Database Error
    column "amout" does not exist
    LINE 68:     select * , amout
                            ^"""


@pytest.fixture(scope="module")
def graph_edges() -> Callable[[RunFacts], RunFacts]:
    """Give a run's plan the edges of a pipeline with gates: a layer's nodes, its gate, the next build."""

    def edged(run: RunFacts) -> RunFacts:
        plan = run.graph.plan
        gates = tuple(
            replace(
                gate,
                upstream=tuple(sorted({one.task_id for one in plan.nodes if one.layer == gate.layer})),
            )
            for gate in plan.gates
        )
        builds = tuple(
            replace(build, upstream=("bronze.gate",)) if build.name == "silver" else build
            for build in plan.builds
        )
        return replace(run, graph=type(run.graph)(replace(plan, gates=gates, builds=builds)))

    return edged


def found_in(run: RunFacts, *earlier: RunFacts) -> tuple[Cause, ...]:
    """The causes of a run, after others, the latest first."""
    past = Past.of(Summary.of(run), [Summary.of(one) for one in earlier])
    return causes(run, past, Holding(run))


def test_nodes_with_the_same_error_are_one_cause(make_run: MakeRun, ended: Ended) -> None:
    """Of a model and a unit test too; it is headed by the error, and the model stands for both."""
    records = [ended(UNIT, "error", message=OF_UNIT), ended(A, "error", message=MODEL)]
    run = make_run(NODES, records, {A.task_id: "failed", UNIT.task_id: "failed", "bronze.gate": "failed"})
    (cause,) = found_in(run)
    assert [node.node.name for node in cause.nodes] == ["a", "words"]
    assert cause.error == 'column "amout" does not exist'
    assert cause.again == "goldsmith run shop --failed"


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (MODEL, 'column "amout" does not exist'),
        (OF_UNIT, 'column "amout" does not exist'),
        ("something that nobody knows", ""),
        ("Database Error in model a (models/a.sql)\n  division by zero", ""),
        ("", ""),
    ],
)
def test_the_error_of_a_node_is_what_is_not_its_own(
    make_run: MakeRun, ended: Ended, message: str, error: str
) -> None:
    """Not which node it is, nor the line of its SQL; an error that names nothing may well have two causes."""
    run = make_run([A], [ended(A, "error", message=message)])
    assert shared_error(run.nodes[0]) == error


def test_tests_that_found_rows_are_causes_of_their_own(make_run: MakeRun, ended: Ended) -> None:
    """However alike their messages are."""
    other = planned("is_b", "bronze", kind="test")
    message = "Got 3 results, configured to fail if != 0"
    run = make_run([IS_A, other], [ended(one, "fail", message=message) for one in (IS_A, other)])
    assert [(len(cause.nodes), cause.error) for cause in found_in(run)] == [(1, ""), (1, "")]
    assert found_in(run)[0].again == "goldsmith retry bronze.is_b.run --downstream --pipeline shop"


def test_what_a_failure_holds_back_goes_through_gates_and_builds(
    make_run: MakeRun, ended: Ended, graph_edges: Callable[[RunFacts], RunFacts]
) -> None:
    """By name, models first, tests as a number; what ran is not held back."""
    states = {A.task_id: "failed", IS_A.task_id: "success", "bronze.gate": "failed", **HELD}
    run = graph_edges(make_run(NODES, [ended(A, "error", message=MODEL)], states, BLOCKS))
    behind = found_in(run)[0].behind
    assert (behind.names, behind.tests, behind.total) == (("b", "c", "c_seen"), 1, 4)
    assert behind.layers == (("bronze", 1), ("silver", 3))
    assert behind.gates == ("bronze",)


def test_through_a_gate_that_lets_pass_nothing_is_held_back(
    make_run: MakeRun, ended: Ended, graph_edges: Callable[[RunFacts], RunFacts]
) -> None:
    """And what the run left out is not either."""
    verdict = {"bronze.gate": replace(BLOCKS["bronze.gate"], verdict="warn")}
    states = {A.task_id: "failed", B.task_id: "upstream_failed", C.task_id: "skipped"}
    run = graph_edges(make_run(NODES, [ended(A, "error")], states, verdict, tolerated={A.task_id}))
    (cause,) = found_in(run)
    assert cause.is_tolerated
    assert (cause.behind.names, cause.behind.tests, cause.behind.gates) == (("b",), 0, ())


def test_what_holds_back_most_comes_first_and_what_is_tolerated_last(make_run: MakeRun, ended: Ended) -> None:
    """Whoever is on call reads the first card."""
    states = {
        UNIT.task_id: "failed",
        IS_A.task_id: "failed",
        A.task_id: "failed",
        B.task_id: "upstream_failed",
    }
    records = [ended(one, "fail") for one in (UNIT, IS_A, A)]
    run = make_run(NODES, records, states, tolerated={UNIT.task_id})
    assert [cause.node.node.name for cause in found_in(run)] == ["a", "is_a", "words"]


def test_a_cause_has_failed_for_as_long_as_its_oldest_node(make_run: MakeRun, ended: Ended) -> None:
    """Another node may have joined it."""
    states = {A.task_id: "failed", "bronze.gate": "failed"}
    before = make_run(NODES, [ended(A, "error", message=MODEL)], states, run_id="r0")
    records = [ended(A, "error", message=MODEL), ended(UNIT, "error", message=OF_UNIT)]
    run = make_run(NODES, records, {**states, UNIT.task_id: "failed"}, run_id="r1")
    (cause,) = found_in(run, before)
    assert cause.failures is not None
    assert (cause.failures.in_a_row, cause.failures.since_run) == (2, "r0")
    assert cause.failures.since == START.isoformat()


def test_a_task_that_is_no_node_holds_back_what_waits_for_its_ingest(make_run: MakeRun) -> None:
    """Also one in the middle of it; a gate that could not judge has no command."""
    fed = planned("fed", "bronze", "ingest.orders.merge")
    states = {
        "ingest.orders.load": "failed",
        fed.task_id: "upstream_failed",
        "silver.gate": "failed",
    }
    run = make_run(
        [fed], [], states, {"silver.gate": BLOCKS["bronze.gate"]}, reasons={"ingest.orders.load": "no disk"}
    )
    past = Past.of(Summary.of(run), ())
    (load,) = failed_tasks(run, past, Holding(run))
    assert (load.task_id, load.why, load.behind.names) == ("ingest.orders.load", "no disk", ("fed",))
    assert load.again == "goldsmith retry ingest.orders.load --downstream --pipeline shop"
    unjudged = make_run([fed], [], {"silver.gate": "failed"})
    assert [(one.task_id, one.again) for one in failed_tasks(unjudged, past, Holding(unjudged))] == [
        ("silver.gate", "")
    ]
