"""Gates with limits in a real Airflow: what they let pass, whom they ask, and what they leave behind."""

from __future__ import annotations

import re
from typing import Any

import psycopg
import pytest
from tests.integration.shared_lab import Lab, Seen

from goldsmith.client.airflow import Airflow
from goldsmith.client.ended import summed_up
from goldsmith.client.gate_in_run import GateInRun, gate_in_run
from goldsmith.client.progress import Progress
from goldsmith.client.said import SaidByDbt
from goldsmith.client.standing import standings
from goldsmith.client.summary import RunSummary
from goldsmith.client.waits import AskingGates
from goldsmith.errors import ConfigurationError, SelectionError
from goldsmith.gates.verdict import Verdict
from goldsmith.rest import Run
from goldsmith.rest.transport import run_path

pytestmark = pytest.mark.integration

TOLERANT = ("tolerant", "alone")
ASKING = ("asks", "asks_soon", "asks_nobody")
RATES, PRICED, GREETED = "bronze.rates.run", "silver.priced.run", "silver.greeted.run"
NOT_NULL, UNIQUE = "bronze.people.not_null_customer", "bronze.people.unique_id"
FRESHNESS, CODES, CODED = "sources.lake.codes.freshness", "bronze.codes.run", "silver.coded.run"
FUNCTION = "functions.greeting.function"
GATE = "bronze.gate"
GO_ON = ("goes_on", "goes_on_node", "goes_on_alone")
LOOSE, BESIDE, INSIDE, DEEPER = (
    "bronze.loose.run",
    "silver.beside.run",
    "silver.inside.run",
    "gold.deeper.run",
)
CAUTIOUS, BEHIND = "silver.cautious.run", "gold.behind.run"


@pytest.fixture(scope="module")
def let_pass(gated: Lab) -> dict[str, Seen]:
    """A run of each engine in which a model and a test failed and a source was stale, all of which is tolerated."""
    gated.control(TOLERANT, divisor=0, unknown=1)
    return gated.finished(gated.start(TOLERANT))


@pytest.fixture(scope="module")
def asked(gated: Lab) -> dict[str, GateInRun]:
    """The gates of runs in which a model failed, as they wait for an answer, or have waited."""
    gated.control(ASKING, divisor=0)
    runs = gated.start(ASKING)
    gated.until_state(runs["asks_soon"], GATE, "awaiting_input")
    found = {
        pipeline: gate_in_run(gated.api, pipeline, run.run_id, "bronze") for pipeline, run in runs.items()
    }
    # Too soon for Airflow, as from the button of a quick person.
    soon = found["asks_soon"]
    gated.api.answer(soon.pipeline, soon.run_id, GATE, option="Approve", params={"reason": "I was quick"})
    return found


@pytest.fixture(scope="module")
def gone_on(gated: Lab) -> dict[str, Seen]:
    """A run of each engine in which a model with `on_error: continue` failed, and one without."""
    gated.control(GO_ON, loose=0, divisor=0)
    return gated.finished(gated.start(GO_ON))


def rows_of(gated: Lab, pipeline: str, run: Run) -> dict[str, tuple[Any, ...]]:
    """What the table holds of a run: layer and rule to measured value, outcome, verdict, decision and who."""
    with psycopg.connect(gated.stack.server.conninfo("warehouse")) as session:
        found = session.execute(
            f"select layer, rule, measured, outcome, verdict, decision, decided_by from {pipeline}.goldsmith_gates "
            "where run_id = %s order by judged_at",
            (run.run_id,),
        )
        return {f"{layer} {rule}": tuple(rest) for layer, rule, *rest in found}


def report_of(gated: Lab, seen: Seen) -> RunSummary:
    """What `goldsmith run` would say at the end."""
    airflow = Airflow(api=gated.api, url="http://airflow", stack=None)
    progress = Progress(run=seen.run, tasks=tuple(seen.tasks.values()))
    return summed_up(airflow, progress, order=(), plan=gated.plans[seen.run.dag_id])


def test_a_tolerated_failure_leaves_the_run_green(gated: Lab, let_pass: dict[str, Seen]) -> None:
    """The next layer builds all that does not read what failed."""
    for pipeline, seen in let_pass.items():
        assert seen.run.state == "success", seen.not_green
        failed = {task for task, state in seen.states.items() if state == "failed"}
        assert failed == {RATES, NOT_NULL, FRESHNESS}
        held = gated.graph(pipeline).below([RATES, FRESHNESS])
        assert held >= {CODES, CODED} | ({PRICED} if pipeline == "tolerant" else set())
        assert set(seen.not_green) == failed | (held & set(seen.states))
        assert (seen.states[FUNCTION], seen.states[GREETED]) == ("success", "success")


def test_a_hook_may_make_another_relation_of_a_model_that_says_so(
    gated: Lab, let_pass: dict[str, Seen]
) -> None:
    """`meta.goldsmith.expect` in the project reaches the comparison, which is red without it."""
    run = let_pass["tolerant"].run
    assert let_pass["tolerant"].states["silver.shown.run"] == "success"
    assert gated.rows(
        "select 1 from information_schema.views where table_schema = 'tolerant_silver' and table_name = 'shown'"
    )
    gated.sql("drop view tolerant_silver.shown")
    gated.sql("create table tolerant_silver.shown as select 1 as id")
    gated.clear(run, ["silver.reconcile"])
    red = gated.finished({"tolerant": run})["tolerant"]
    assert red.states["silver.reconcile"] == "failed"
    log = gated.log(run, red.tasks["silver.reconcile"])
    assert "should be a view, the warehouse has table" in log
    gated.sql("drop table tolerant_silver.shown")
    gated.sql("create view tolerant_silver.shown as select 1 as id")
    gated.clear(run, ["silver.reconcile"])
    assert gated.finished({"tolerant": run})["tolerant"].run.state == "success"


def test_the_verdict_names_every_limit_and_what_is_behind_it(gated: Lab, let_pass: dict[str, Seen]) -> None:
    """In XCom, in the warehouse, in the log and on the task."""
    for pipeline, seen in let_pass.items():
        verdict = Verdict.from_dict(gated.api.xcom(pipeline, seen.run.run_id, GATE))
        assert verdict.verdict == "pass"
        assert {uid.split(".")[0] for uid in verdict.tolerated} == {"model", "source", "test"}
        measured = {
            "bronze failed_tests": (1.0, "pass"),
            "bronze failed_models": (1.0, "pass"),
            "bronze stale_sources": (1.0, "pass"),
            "bronze rows of people": (3.0, "pass"),
            "bronze change of rows of people": (None, "not measured"),
            "bronze nulls in people.customer": (pytest.approx(1 / 3), "pass"),
        }
        rows = rows_of(gated, pipeline, seen.run)
        assert {key: value[:2] for key, value in rows.items()}.items() >= measured.items()
        for text in (gated.log(seen.run, seen.tasks[GATE]), gated.note(seen.run, GATE)):
            assert "Gate after bronze: PASS" in text
            assert "Let pass: model.lab.rates" in text
    verdict = Verdict.from_dict(gated.api.xcom("tolerant", let_pass["tolerant"].run.run_id, "silver.gate"))
    assert verdict.verdict == "warn"


def test_the_summary_of_the_run_names_what_was_tolerated(gated: Lab, let_pass: dict[str, Seen]) -> None:
    """Not as failures: the run is green."""
    for seen in let_pass.values():
        report = report_of(gated, seen)
        assert report.failures == ()
        assert {failure.task_id for failure in report.tolerated} == {RATES, NOT_NULL, FRESHNESS}
        assert "division by zero" in next(one.message for one in report.tolerated if one.task_id == RATES)


def test_another_failure_after_the_verdict_turns_the_run_red(gated: Lab, let_pass: dict[str, Seen]) -> None:
    """What was tolerated may fail again; what was not may not."""
    seen = let_pass["tolerant"]
    gated.clear(seen.run, [NOT_NULL])
    assert gated.finished({"tolerant": seen.run})["tolerant"].run.state == "success"
    gated.sql("update tolerant_bronze.people set id = 1")
    gated.clear(seen.run, [UNIQUE])
    red = gated.finished({"tolerant": seen.run})["tolerant"]
    assert (red.run.state, red.states[UNIQUE]) == ("failed", "failed")
    assert {failure.task_id for failure in report_of(gated, red).failures} == {UNIQUE, "bronze.reconcile"}
    gated.sql(
        "update tolerant_bronze.people set id = 10 + ascii(coalesce(customer, 'x')) + random() * 1000000"
    )
    gated.clear(seen.run, [UNIQUE])
    assert gated.finished({"tolerant": seen.run})["tolerant"].run.state == "success"


def test_a_row_count_far_from_the_last_good_run_blocks(gated: Lab, let_pass: dict[str, Seen]) -> None:
    """The table is the memory; the gate alone is red, and nothing below is built."""
    run = let_pass["tolerant"].run
    gated.sql(
        "insert into tolerant.goldsmith_gates (pipeline, run_id, layer, judged_at, rule, measured, verdict) "
        "values ('tolerant', 'other', 'bronze', now(), 'rows of people', 100, 'pass')"
    )
    gated.clear(run, [GATE], include_downstream=True)
    blocked = gated.finished({"tolerant": run})["tolerant"]
    assert (blocked.run.state, blocked.states[GATE]) == ("failed", "failed")
    assert blocked.states["silver.build"] == "upstream_failed"
    assert "change of rows of people 97 % (100 before), at most 50 %" in gated.log(run, blocked.tasks[GATE])
    gated.sql("delete from tolerant.goldsmith_gates where run_id = 'other'")
    gated.clear(run, [GATE], include_downstream=True)
    assert gated.finished({"tolerant": run})["tolerant"].run.state == "success"


def test_a_person_approves_with_a_reason_that_is_kept(gated: Lab, asked: dict[str, GateInRun]) -> None:
    """Whatever else is tried is refused with a text of its own."""
    gate = asked["asks"]
    gated.until_state(gated.api.run("asks", gate.run_id), GATE, "awaiting_input")
    assert gate.lines()[-3:] == [
        "bronze.gate waits for an answer:",
        f"  goldsmith gate approve '{gate.run_id}' bronze --pipeline asks --reason '...'",
        f"  goldsmith gate reject '{gate.run_id}' bronze --pipeline asks --reason '...'",
    ]
    notices = _check_waiting_is_told(gated, gate)
    said: list[str] = []
    with pytest.raises(ConfigurationError, match=r"A reason is needed"):
        gate.answer(approve=True, reason=" ", report=said.append)
    with pytest.raises(SelectionError, match=r"no gate of 'bronz' in that run. Did you mean bronze"):
        gate_in_run(gated.api, "asks", gate.run_id, "bronz")
    with pytest.raises(SelectionError, match=r"no run 'yesterday'"):
        gate_in_run(gated.api, "asks", "yesterday", "bronze")
    silver = gate_in_run(gated.api, "asks", "latest", "silver")
    with pytest.raises(ConfigurationError, match=r"not started in run .*: it has asked nothing yet"):
        silver.answer(approve=True, reason="why not", report=said.append)
    gate.answer(approve=True, reason="known, ticket 42", report=said.append)
    _check_approved(gated, gate, silver)
    told = list(notices.lines(progress_of(gated, gate)))
    assert [line.split(" at ")[0] for line in told] == ["bronze.gate: Approved by admin"]
    assert told[0].endswith(": known, ticket 42")


def progress_of(gated: Lab, gate: GateInRun) -> Progress:
    """The run of a gate at this moment."""
    run = gated.api.run(gate.pipeline, gate.run_id)
    return Progress(run=run, tasks=tuple(gated.api.task_instances(gate.pipeline, gate.run_id)))


def _check_waiting_is_told(gated: Lab, gate: GateInRun) -> AskingGates:
    """Whoever follows the run is told once: which gate, why, until when, and how to answer."""
    plan = gated.plans["asks"]
    said = SaidByDbt(api=gated.api, run_id=gate.run_id, plan=plan)
    notices = AskingGates(api=gated.api, pipeline="asks", run_id=gate.run_id, said=said)
    head, *rest = list(notices.lines(progress_of(gated, gate)))[1:]
    assert re.fullmatch(
        r"bronze.gate blocks, and waits until \d\d:\d\d for a person to approve or reject:", head
    )
    assert "  failed_models 1, at most 0" in rest
    assert any(line.startswith(f"  {RATES}: ") and "division by zero" in "".join(rest) for line in rest)
    assert rest[-2:] == gate.lines()[-2:]
    assert list(notices.lines(progress_of(gated, gate))) == []
    [standing] = standings(gated.api, ["asks"])
    assert standing.waiting == (GATE,)
    assert standing.lines()[1] == f"  waits for a person: {GATE}"
    body = gated.api.send("GET", f"{run_path('asks', gate.run_id)}/taskInstances/{GATE}/-1/hitlDetails")[
        "body"
    ]
    assert body.startswith(f"- [`{RATES}`](http")
    return notices


def _check_approved(gated: Lab, gate: GateInRun, silver: GateInRun) -> None:
    """The run is green, and neither gate can be decided any more."""
    with pytest.raises(ConfigurationError, match=r"already|decided"):
        gate.answer(approve=True, reason="again", report=print)
    seen = gated.finished({"asks": gated.api.run("asks", gate.run_id)})["asks"]
    assert seen.run.state == "success", seen.not_green
    assert {task for task, state in seen.states.items() if state == "failed"} == {RATES}
    assert (seen.states[FRESHNESS], seen.states[CODED]) == ("success", "success")
    verdict = gate.verdict()
    assert verdict is not None
    assert verdict.override is not None
    assert (verdict.verdict, verdict.override.by) == ("warn", "admin")
    assert rows_of(gated, "asks", seen.run)["bronze failed_models"] == (
        1.0,
        "block",
        "warn",
        "approved",
        "admin",
    )
    assert "known, ticket 42" in gated.note(seen.run, GATE)
    with pytest.raises(ConfigurationError, match=r"is decided .* Approved by admin .*ticket 42"):
        gate.answer(approve=False, reason="too late", report=print)
    with pytest.raises(ConfigurationError, match=r"The gate of silver has passed"):
        silver.answer(approve=True, reason="why not", report=print)


def test_an_answer_that_comes_too_soon_is_found_by_the_next_try(
    gated: Lab, asked: dict[str, GateInRun]
) -> None:
    """Airflow takes the task for lost; nobody is asked twice."""
    gate = asked["asks_soon"]
    seen = gated.finished({"asks_soon": gated.api.run("asks_soon", gate.run_id)})["asks_soon"]
    assert seen.run.state == "success", seen.not_green
    verdict = gate.verdict()
    assert verdict is not None
    assert verdict.override is not None
    assert verdict.override.reason == "I was quick"


def test_a_question_that_nobody_answers_is_a_no(gated: Lab, asked: dict[str, GateInRun]) -> None:
    """The gate is red and says so; a red gate cannot be approved any more."""
    gate = asked["asks_nobody"]
    seen = gated.finished({"asks_nobody": gated.api.run("asks_nobody", gate.run_id)})["asks_nobody"]
    assert (seen.run.state, seen.states[GATE], seen.states["silver.build"]) == (
        "failed",
        "failed",
        "upstream_failed",
    )
    assert "Nobody answered: no answer within 0:00:05" in gated.log(seen.run, seen.tasks[GATE])
    with pytest.raises(ConfigurationError, match=r"is decided .*Nobody answered"):
        gate.answer(approve=True, reason="now I am here", report=lambda _: None)


def test_what_reads_a_model_that_goes_on_after_an_error_is_built_as_dbt_builds_it(
    gone_on: dict[str, Seen],
) -> None:
    """Airflow neither holds back what dbt builds, nor hides that it failed; an ordinary failure holds back all."""
    for pipeline, seen in gone_on.items():
        failed = {task for task, state in seen.states.items() if state == "failed"}
        assert failed - {"reconcile"} == {LOOSE, RATES, INSIDE}, pipeline
        held = {task for task, state in seen.states.items() if state == "upstream_failed"}
        tests = set() if pipeline == "goes_on_node" else {"bronze.rates.unique_id"}
        assert held == {CAUTIOUS, BEHIND, *tests}, pipeline
        assert {seen.states[task] for task in (BESIDE, DEEPER)} == {"success"}
        last = {task: seen.records[task][-1].status for task in (LOOSE, BESIDE, INSIDE, DEEPER)}
        assert last == {LOOSE: "error", BESIDE: "success", INSIDE: "error", DEEPER: "success"}
        # Three failures are what the gates of this one let pass; the others have none.
        assert seen.run.state == ("success" if pipeline == "goes_on" else "failed")


def test_a_model_that_goes_on_is_built_before_what_reads_it_when_it_is_cleared(
    gated: Lab, gone_on: dict[str, Seen]
) -> None:
    """Its readers wait for its end, whatever that is."""
    gated.control(GO_ON, loose=1)
    runs = {pipeline: seen.run for pipeline, seen in gone_on.items()}
    for run in runs.values():
        assert {LOOSE, BESIDE, INSIDE, DEEPER} <= gated.clear(run, [LOOSE], include_downstream=True)
    for pipeline, seen in gated.finished(runs).items():
        assert {seen.states[task] for task in (LOOSE, BESIDE, INSIDE, DEEPER)} == {"success"}, pipeline
        assert seen.states[RATES] == "failed"
        ended = seen.records[LOOSE][-1].ended
        assert all(ended <= seen.records[task][-1].started for task in (BESIDE, INSIDE))
        assert len({seen.records[task][-1].invocation_id for task in (LOOSE, BESIDE, INSIDE)}) == (
            3 if pipeline == "goes_on_alone" else 2 if pipeline == "goes_on" else 1
        )
