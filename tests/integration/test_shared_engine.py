"""The shared engine in a real Airflow: green, red, retried, cleared in every way, and without the right to mark."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import psutil
import psycopg
import pytest
from tests.integration.shared_lab import Lab, Seen
from tests.integration.shared_project import OTHER_DBT, REFUSED, WIDE

from goldsmith.gates.verdict import Verdict
from goldsmith.notify.deadlines import missed
from goldsmith.stack.environment import API_ACCESS

pytestmark = pytest.mark.integration

GATES = ("by_layer", "by_node")
BUILDS = {"by_layer": 3, "by_node": 1}
RATES, PRICED, SUMMARY = "bronze.rates.run", "silver.priced.run", "gold.summary.run"
NOT_NULL, UNIQUE = "bronze.people.not_null_customer", "bronze.people.unique_id"
WARNS = "silver.customers.unique_customer"
REFUSAL = "Finished nodes cannot be shown by marking their tasks"


@pytest.fixture(scope="module")
def first(lab: Lab) -> dict[str, Seen]:
    """A run of each gate's pipeline in which nothing fails, as it was when it had ended."""
    return lab.finished(lab.start(GATES))


@pytest.fixture(scope="module")
def broken(lab: Lab, first: dict[str, Seen]) -> dict[str, Seen]:
    """A run in which a model and, beside it, a test have failed for good."""
    assert first
    lab.control(GATES, divisor=0, unknown=1)
    seen = lab.finished(lab.start(GATES))
    lab.control(GATES, divisor=1, unknown=0)
    return seen


def test_all_green_by_one_dbt_a_layer_and_no_worker(lab: Lab, first: dict[str, Seen]) -> None:
    """Every model, seed, snapshot and test is a green task, and none of them ran."""
    for pipeline, seen in first.items():
        nodes = lab.nodes(pipeline)
        assert seen.run.state == "success"
        assert set(seen.states.values()) == {"success"}
        assert {task_id for task_id in nodes if seen.tasks[task_id].try_number} == set()
        assert {task_id: len(kept) for task_id, kept in seen.records.items()} == dict.fromkeys(nodes, 1)
        assert len(seen.invocations()) == len(lab.builds(pipeline)) == BUILDS[pipeline]


def test_a_build_compares_its_green_layer_and_the_task_whoever_clears_it(
    lab: Lab, first: dict[str, Seen]
) -> None:
    """A relation that is gone then makes the run red."""
    run = first["by_layer"].run
    for build in lab.plans["by_layer"].builds:
        assert first["by_layer"].tasks[build.reconcile_id].try_number == 0
        assert "Airflow, dbt and the warehouse agree" in lab.log(run, first["by_layer"].tasks[build.task_id])
    lab.sql("alter table by_layer_bronze.rates rename to hidden")
    lab.clear(run, ["bronze.reconcile"])
    red = lab.finished({"by_layer": run})["by_layer"]
    lab.sql("alter table by_layer_bronze.hidden rename to rates")
    assert red.run.state == "failed"
    assert "the warehouse has nothing there" in lab.log(run, red.tasks["bronze.reconcile"])
    lab.clear(run, ["bronze.reconcile"])
    assert lab.finished({"by_layer": run})["by_layer"].run.state == "success"


def test_the_gate_of_a_green_layer_passes_without_a_worker(lab: Lab, first: dict[str, Seen]) -> None:
    """Its build gives the verdict: kept in XCom and in the warehouse, with an event for each asset."""
    [(pipeline, seen)] = [(name, seen) for name, seen in first.items() if lab.plans[name].gates]
    for gate in lab.plans[pipeline].gates:
        assert (seen.states[gate.task_id], seen.tasks[gate.task_id].try_number) == ("success", 0)
        values = lab.api.xcom(pipeline, seen.run.run_id, gate.task_id)
        assert values is not None
        verdict = Verdict.from_dict(values)
        assert (verdict.verdict, verdict.counts) == ("pass", {"success": len(gate.judged)})
        with psycopg.connect(lab.stack.server.conninfo("warehouse")) as session:
            rows = f"select distinct verdict from {pipeline}.goldsmith_gates where run_id = %s and layer = %s"
            assert session.execute(rows, (seen.run.run_id, gate.layer)).fetchall() == [("pass",)]
        assets = {
            node.asset for node in lab.plans[pipeline].nodes if node.updated_by == gate.task_id and node.asset
        }
        query = {"source_dag_id": pipeline, "source_run_id": seen.run.run_id, "source_task_id": gate.task_id}
        events = lab.api.send("GET", "/api/v2/assets/events", query={**query, "limit": 1000})["asset_events"]
        # Other tests may have cleared tasks of this run since.
        assert {event["uri"] for event in events} == assets


def test_a_warning_is_green_and_said_on_its_task(lab: Lab, first: dict[str, Seen]) -> None:
    """In the record, and as a note where people look."""
    for seen in first.values():
        record = seen.records[WARNS][0]
        assert (seen.states[WARNS], record.status, record.failures) == ("success", "warn", 1)
        assert record.failing_rows is not None
        assert record.failing_rows.rows[0][0] == "ann"
        assert "warn" in lab.note(seen.run, WARNS)
        assert lab.note(seen.run, NOT_NULL) == ""


def test_a_failed_model_is_red_and_holds_back_what_is_below(lab: Lab, broken: dict[str, Seen]) -> None:
    """dbt's message and the SQL are in the log of its own task; other branches are green."""
    for pipeline, seen in broken.items():
        assert seen.run.state == "failed"
        assert (seen.states[RATES], seen.tasks[RATES].try_number) == ("failed", 2)
        log = lab.log(seen.run, seen.tasks[RATES])
        assert "division by zero" in log
        assert "select 1 as id, lab.rate(" in log
        below = lab.graph(pipeline).below([RATES])
        assert {seen.states[task_id] for task_id in below} == {"upstream_failed"}
        assert {one.status for task_id in below for one in seen.records.get(task_id, ())} <= {"skipped"}
        beside = {"seeds.raw_orders.seed", "bronze.stg_orders.run", "bronze.stg_orders.unique_id"}
        later = {"silver.orders.run", "silver.customers.run", WARNS, SUMMARY}
        assert {seen.states[task_id] for task_id in beside} == {"success"}
        held_by_the_gate = "upstream_failed" if pipeline == "by_layer" else "success"
        assert {seen.states[task_id] for task_id in later} == {held_by_the_gate}


def test_a_failed_test_is_red_and_shows_the_rows(lab: Lab, broken: dict[str, Seen]) -> None:
    """In its log and its record; its model's other test is green, and what reads the model is held back."""
    for seen in broken.values():
        assert (seen.states[NOT_NULL], seen.tasks[NOT_NULL].try_number) == ("failed", 1)
        assert {seen.states[task_id] for task_id in ("bronze.people.run", UNIQUE)} == {"success"}
        assert seen.states["silver.greeted.run"] == "upstream_failed"
        [record] = seen.records[NOT_NULL]
        assert (record.status, record.failures) == ("fail", 1)
        assert record.failing_rows is not None
        assert (record.failing_rows.columns, record.failing_rows.rows) == (("customer",), (("NULL",),))
        log = lab.log(seen.run, seen.tasks[NOT_NULL])
        assert "Got 1 result, configured to fail if != 0" in log
        assert "Failing rows, the first 1:\ncustomer\nNULL" in log


def test_clearing_only_what_failed_builds_that_and_no_more(lab: Lab, broken: dict[str, Seen]) -> None:
    """The failed model and test, what they held back, and nothing that was green."""
    for pipeline, seen in broken.items():
        lab.sql(f"update {pipeline}_bronze.people set customer = 'eve' where customer is null")
        lab.clear_run(seen.run, only_failed=True)
    for pipeline, after in lab.finished({pipeline: seen.run for pipeline, seen in broken.items()}).items():
        before = broken[pipeline]
        not_green = {task_id for task_id in lab.nodes(pipeline) if before.states[task_id] != "success"}
        assert after.run.state == "success", after.not_green
        assert after.built_since(before) == dict.fromkeys(not_green, 1)
        assert after.untouched_since(before) >= lab.nodes(pipeline) - not_green


def test_a_retry_that_succeeds_builds_what_was_blocked_in_order(lab: Lab, first: dict[str, Seen]) -> None:
    """Only the failed node is tried again; then what it had blocked is built, and all of it is green."""
    assert first
    lab.control(GATES, divisor=0)
    runs = lab.start(GATES)
    for run in runs.values():
        lab.until_state(run, RATES, "up_for_retry")
    lab.control(GATES, divisor=1)
    for pipeline, seen in lab.finished(runs).items():
        assert seen.run.state == "success", seen.not_green
        assert seen.tasks[RATES].try_number == 2
        built = {
            task_id: [one for one in kept if one.status != "skipped"]
            for task_id, kept in seen.records.items()
        }
        assert {task_id: len(kept) for task_id, kept in built.items()} == {
            **dict.fromkeys(lab.nodes(pipeline), 1),
            RATES: 2,
        }
        assert len(seen.invocations()) == BUILDS[pipeline] + 1
        for node in lab.plans[pipeline].nodes:
            for before in set(node.upstream) & set(built):
                ended, started = built[before][-1].ended, built[node.task_id][-1].started
                assert datetime.fromisoformat(ended) <= datetime.fromisoformat(started), (
                    before,
                    node.task_id,
                )


def test_only_an_error_that_may_pass_is_tried_again(lab: Lab) -> None:
    """A division by zero is final at once; two transactions in each other's way are tried again soon."""
    lab.control(["strict"], divisor=0)
    seen = lab.finished(lab.start(["strict"]))["strict"]
    assert (seen.run.state, seen.tasks[RATES].try_number) == ("failed", 1)
    assert "not tried again: rates (data error)" in lab.log(seen.run, seen.tasks[RATES])
    lab.control(["strict"], divisor=-1)
    [run] = lab.start(["strict"]).values()
    lab.until_state(run, RATES, "up_for_retry")
    lab.control(["strict"], divisor=1)
    seen = lab.finished({"strict": run})["strict"]
    assert (seen.run.state, seen.tasks[RATES].try_number) == ("success", 2)


def test_a_pipeline_that_names_another_dbt_has_a_host_for_that(lab: Lab) -> None:
    """Its first command had it started."""
    lab.finished(lab.start(["strict"]))
    other = str(lab.stack.root / OTHER_DBT)
    hosts = [one for one in psutil.process_iter(["cmdline"]) if other in (one.info["cmdline"] or ())]
    assert [one.name() for one in hosts] != []
    assert {"--listen", "--dbt"} <= set(hosts[0].cmdline())


@pytest.fixture(scope="module")
def hanging(lab: Lab) -> Seen:
    """A run in which a node hangs until it is cancelled; it misses two deadlines, and the third is far."""
    lab.control(["strict"], divisor=-2)
    [run] = lab.start(["strict"]).values()
    found = lab.api.send("GET", f"/ui/dags/strict/dagRuns/{run.run_id}/deadlines")["deadlines"]
    [at_five] = [one["deadline_time"] for one in found if "05:00" in one["alert_name"]]
    local = datetime.fromisoformat(at_five).astimezone(ZoneInfo("Asia/Tokyo"))
    assert (local.hour, local.minute) == (5, 0)
    assert timedelta(0) < local - datetime.now(UTC) <= timedelta(days=1)
    seen = lab.finished({"strict": run})["strict"]
    lab.control(["strict"], divisor=1)
    return seen


def test_a_node_that_takes_too_long_is_cancelled_and_the_others_go_on(lab: Lab, hanging: Seen) -> None:
    """Its query alone; the build ends well, and nothing is tried again."""
    seen = hanging
    assert {task for task, state in seen.states.items() if state == "failed"} == {RATES, "reconcile"}
    assert (seen.states["build"], seen.states["bronze.stg_orders.run"]) == ("success", "success")
    assert seen.tasks[RATES].try_number == 1
    said = lab.log(seen.run, seen.tasks[RATES])
    assert "its limit is 0:00:04: its query was cancelled in the warehouse" in said
    assert 4 < seen.records[RATES][-1].seconds < 20


def test_a_node_that_takes_long_is_told_on_the_run(lab: Lab, hanging: Seen) -> None:
    """Once, and only that one; what is built beside it is not slow."""
    said = lab.run_note(hanging.run, ("Slow: ",))
    assert said.count("Slow: ") == 1
    assert "Slow: rates runs for more than 0:00:02 (bronze.rates.run)." in said


def test_a_missed_deadline_is_said_on_the_run(
    lab: Lab, hanging: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the triggerer, once for each deadline; what was done in time is not late."""
    said = lab.run_note(hanging.run, ("rates within 3 s", "the run within 3 s"))
    assert "Running: build." in said
    assert "05:00" not in said
    monkeypatch.setenv(API_ACCESS, lab.stack.env()[API_ACCESS])
    context = {"dag_run": {"dag_id": "strict", "dag_run_id": hanging.run.run_id}}
    done = missed(deadline="stg_orders within 1 s", task_id="bronze.stg_orders.run", context=context)
    assert asyncio.run(done) == ""
    assert lab.run_note(hanging.run) == said


def test_two_hundred_blocked_nodes_are_built_by_one_dbt(lab: Lab) -> None:
    """Not by two hundred: the root's retry takes them along, and shows them."""
    lab.control(["wide"], divisor=0)
    runs = lab.start(["wide"])
    lab.until_state(runs["wide"], RATES.replace("rates", "root"), "up_for_retry")
    lab.control(["wide"], divisor=1)
    seen = lab.finished(runs)["wide"]
    assert seen.run.state == "success", seen.not_green
    assert set(seen.states.values()) == {"success"}
    assert len(seen.invocations()) == 2
    below = lab.nodes("wide") - {"bronze.root.run"}
    assert len(below) == 2 * WIDE
    assert {seen.records[task_id][-1].built_by for task_id in below} == {"bronze.root.run"}
    assert {task_id for task_id in below if seen.tasks[task_id].try_number} == set()


CLEARED = {
    # what is cleared, how, and how many dbt commands that takes with the gate `layer` and with `node`
    "one model": (["silver.orders.run"], {}, 1, 1),
    "one test": ([UNIQUE], {}, 1, 1),
    "a model with downstream": (["silver.orders.run"], {"include_downstream": True}, 2, 1),
    "a model with upstream": ([SUMMARY], {"include_upstream": True}, 3, 1),
    "a layer without its build": (["silver."], {}, 1, 1),
    "a layer with its build": (["silver.", "build"], {}, 1, 1),
    "the build alone": (["build"], {}, 0, 0),
}


@pytest.mark.parametrize("what", CLEARED)
def test_a_clear_builds_exactly_what_was_cleared(lab: Lab, first: dict[str, Seen], what: str) -> None:
    """Each cleared node once, nothing else, and the nodes of a layer together; a build alone builds nothing."""
    named, how, *times = CLEARED[what]
    runs = {pipeline: seen.run for pipeline, seen in first.items()}
    before = {pipeline: lab.see(run) for pipeline, run in runs.items()}
    cleared = {}
    for pipeline, run in runs.items():
        task_ids = [one for name in named for one in lab.named(pipeline, name)]
        cleared[pipeline] = lab.clear(run, task_ids, **how)
        if not how:
            assert cleared[pipeline] & lab.nodes(pipeline) == set(task_ids) & lab.nodes(pipeline)
    for number, (pipeline, after) in enumerate(lab.finished(runs).items()):
        nodes = lab.nodes(pipeline)
        assert after.run.state == "success", after.not_green
        assert set(after.states.values()) == {"success"}
        assert after.built_since(before[pipeline]) == dict.fromkeys(cleared[pipeline] & nodes, 1)
        assert after.untouched_since(before[pipeline]) >= nodes - cleared[pipeline]
        assert len(after.invocations(before[pipeline])) == times[number]


def test_clearing_the_build_alone_says_how_to_build(lab: Lab, first: dict[str, Seen]) -> None:
    """It is refused in words, and what the last build said is kept for the nodes' tasks."""
    run = first["by_node"].run
    lab.clear(run, ["build"])
    seen = lab.finished({"by_node": run})["by_node"]
    assert "Nothing to build" in lab.log(run, seen.tasks["build"])
    lab.clear(run, [UNIQUE])
    again = lab.finished({"by_node": run})["by_node"]
    assert again.run.state == "success"
    assert again.built_since(seen) == {UNIQUE: 1}


def test_clearing_the_run_builds_each_layer_once(lab: Lab, first: dict[str, Seen]) -> None:
    """As the first time, without a worker for a node."""
    before = {pipeline: lab.see(seen.run) for pipeline, seen in first.items()}
    for seen in before.values():
        lab.clear_run(seen.run, only_failed=False)
    for pipeline, after in lab.finished({pipeline: seen.run for pipeline, seen in before.items()}).items():
        nodes = lab.nodes(pipeline)
        assert after.run.state == "success", after.not_green
        assert after.built_since(before[pipeline]) == dict.fromkeys(nodes, 1)
        assert len(after.invocations(before[pipeline])) == BUILDS[pipeline]
        assert after.tries(nodes) == before[pipeline].tries(nodes)


def test_without_the_right_to_mark_all_is_well_on_workers(lab: Lab) -> None:
    """Each task finds its result, also those that a retry built along; no dbt a node; the reason stands there once."""
    lab.control(REFUSED, divisor=0)
    runs = lab.start(REFUSED)
    for run in runs.values():
        lab.until_state(run, RATES, "up_for_retry")
    lab.control(REFUSED, divisor=1)
    for pipeline, seen in lab.finished(runs).items():
        nodes = lab.nodes(pipeline)
        assert seen.run.state == "success", seen.not_green
        assert seen.tries(nodes) == {**dict.fromkeys(nodes, 1), RATES: 2}
        assert len(seen.invocations()) == 2
        assert lab.warnings(seen.run, REFUSAL) == 1
