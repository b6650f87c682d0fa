"""Runs that are given parameters, in a real Airflow: from the form, over the REST API and on the command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import psycopg
import pytest
from tests.integration.shared_lab import Lab, Seen
from tests.integration.shared_project import DAYS, MICRO, REFUSED, STEERED

from goldsmith.report.store import ReportStore
from goldsmith.rest import Run
from goldsmith.rest.transport import run_path

pytestmark = pytest.mark.integration

FIRST = {"steered": "bronze.build", "steered_node": "build"}
RATES, ORDERS, APPENDED = "bronze.rates.run", "silver.orders.run", "bronze.appended.run"


@pytest.fixture(scope="module")
def first(steered: Lab) -> dict[str, Seen]:
    """A run of everything."""
    return steered.finished(steered.start(STEERED))


def numbers(steered: Lab, pipeline: str = "steered") -> list[int]:
    """What the incremental model has."""
    with psycopg.connect(steered.stack.server.conninfo("warehouse")) as session:
        return [
            row[0]
            for row in session.execute(f"select number from {pipeline}_bronze.appended order by 1").fetchall()
        ]


def chosen(steered: Lab, seen: Seen, names: Iterable[str]) -> set[str]:
    """The ids of the tasks of some models and their tests."""
    wanted = set(names)
    return {
        node.task_id
        for node in steered.plans[seen.run.dag_id].nodes
        if node.name in wanted or any(node.task_id.startswith(f"{node.group}.{name}.") for name in wanted)
    }


def built(seen: Seen) -> set[str]:
    """The ids of the tasks whose nodes dbt came to."""
    return {task for task, kept in seen.records.items() if kept}


def call(steered: Lab, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call the command in the pipelines' repository."""
    command = [sys.executable, "-m", "goldsmith.cli", *arguments]
    return subprocess.run(command, cwd=steered.stack.root, capture_output=True, text=True, check=False)


def first_log(steered: Lab, seen: Seen) -> str:
    """The log of the first build."""
    return steered.log(seen.run, seen.tasks[FIRST[seen.run.dag_id]])


def test_only_what_is_selected_is_built_and_the_rest_is_skipped(steered: Lab, first: dict[str, Seen]) -> None:
    """Also where what lies above it is skipped; no task of a node ran on a worker, and the run is green."""
    assert {seen.run.state for seen in first.values()} == {"success"}
    runs = steered.start(STEERED, select="orders+ tag:loud", exclude="revenue")
    for pipeline, seen in steered.finished(runs).items():
        wanted = chosen(steered, seen, ("orders", "summary", "appended"))
        assert len(wanted) == {"steered": 4, "steered_node": 3}[pipeline]
        nodes = steered.nodes(pipeline)
        assert seen.run.state == "success", seen.not_green
        assert built(seen) == wanted
        assert {task for task in nodes if seen.states[task] == "success"} == wanted
        assert {seen.states[task] for task in nodes - wanted} == {"skipped"}
        assert {seen.tasks[task].try_number for task in nodes} == {0}
        assert set(seen.not_green) == nodes - wanted


def test_a_task_that_was_left_out_is_built_where_it_is_cleared(steered: Lab, first: dict[str, Seen]) -> None:
    """A person wants it after all; what the run left out beside it stays so."""
    assert first
    runs = steered.start(STEERED, select="orders")
    before = steered.finished(runs)
    for run in runs.values():
        steered.clear(run, ["silver.customers.run"])
    for pipeline, seen in steered.finished(runs).items():
        assert seen.run.state == "success", seen.not_green
        assert seen.states["silver.customers.run"] == "success"
        number = sum(node.task_id == "silver.customers.run" for node in steered.plans[pipeline].nodes)
        assert seen.built_since(before[pipeline]) == {"silver.customers.run": number}
        assert seen.states["silver.priced.run"] == "skipped"


def test_a_failed_node_of_a_selection_is_retried_with_what_waits_for_it(
    steered: Lab, first: dict[str, Seen]
) -> None:
    """And with nothing that the run leaves out, although that waits for it too."""
    assert first
    steered.control(STEERED, divisor=0)
    runs = steered.start(STEERED, select="rates priced")
    for run in runs.values():
        steered.until_state(run, RATES, "up_for_retry")
    steered.control(STEERED, divisor=1)
    for seen in steered.finished(runs).values():
        assert seen.run.state == "success", seen.not_green
        assert built(seen) == chosen(steered, seen, ("rates", "priced"))
        assert seen.states["gold.revenue.run"] == "skipped"


def test_a_dry_run_builds_nothing_and_says_what_it_would(steered: Lab, first: dict[str, Seen]) -> None:
    """In the log of the first build; all nodes are skipped."""
    assert first
    for pipeline, seen in steered.finished(steered.start(STEERED, select="orders", dry_run=True)).items():
        assert seen.run.state == "success"
        assert built(seen) == set()
        assert {seen.states[task] for task in steered.nodes(pipeline)} == {"skipped"}
        lines = [" ".join(line.split()) for line in first_log(steered, seen).splitlines()]
        assert any(line.startswith(f"{ORDERS} model run selected") for line in lines), lines
        assert seen.states.get("elementary_report", "skipped") == "skipped"
        if "report" in seen.states:
            _check_page_of_dry_run(steered, seen)
        assert any(line.startswith("silver.customers.run model skip not selected") for line in lines), lines


def _check_page_of_dry_run(steered: Lab, seen: Seen) -> None:
    """It says what would run; the run's note links it, and it counts as no run with a report."""
    dag_id, run_id = seen.run.dag_id, seen.run.run_id
    page = Path(steered.api.reports(dag_id, run_id)["path"])
    text = page.read_text()
    assert "Would be skipped" in text
    assert f"<td>{ORDERS}</td><td>model</td><td>selected</td>" in text
    note = steered.api.run(dag_id, run_id).note
    assert note.startswith("A dry run: it would run ")
    assert note.endswith("/plugin/dbt-report")
    assert run_id not in dict(ReportStore(str(page.parents[2]), dag_id).runs())


def test_parameters_reach_dbt(steered: Lab, first: dict[str, Seen]) -> None:
    """Variables, a full refresh, threads and the window; the next run knows nothing of them."""
    assert first
    before = numbers(steered)
    given = {
        "vars": {"number": 7},
        "threads": 2,
        "event_time_start": "2026-11-01T00:00:00Z",
        "event_time_end": "2026-11-02T00:00:00Z",
    }
    [seen] = steered.finished(steered.start(["steered"], select="appended", **given)).values()
    assert numbers(steered) == [*before, 7]
    said = first_log(steered, seen)
    assert "--threads 2 --event-time-start 2026-11-01T00:00:00 --event-time-end 2026-11-02T00:00:00" in said

    steered.finished(steered.start(["steered"], select="appended"))
    assert numbers(steered) == sorted([*before, 7, 1])

    refresh = {"full_refresh": True, "full_refresh_approved": True}
    steered.finished(steered.start(["steered"], select="appended", **refresh))
    assert numbers(steered) == [1]


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        ({"select": "ordrs"}, "The selection matches nothing: ordrs."),
        ({"select": "orders", "exclude": "orders"}, "The selection leaves nothing of steered to build."),
        ({"select": "method:orders"}, "'method' is not a valid method name"),
        ({"exclude": "ordrs"}, "The selection matches nothing: ordrs."),
        ({"select": "state:modified"}, "which is not there"),
        ({"selct": "orders"}, "Did you mean select?"),
        ({"full_refresh": True}, "full_refresh_approved"),
    ],
)
def test_parameters_that_mean_nothing_end_the_run_before_anything_is_built(
    steered: Lab, first: dict[str, Seen], conf: dict[str, object], said: str
) -> None:
    """Its first build says why, at once and not after retries; no node is green."""
    assert first
    [seen] = steered.finished(steered.start(["steered"], **conf)).values()
    assert seen.run.state == "failed"
    assert built(seen) == set()
    assert {seen.states[task] for task in steered.nodes("steered")} == {"upstream_failed"}
    assert said in first_log(steered, seen)
    assert seen.tasks[FIRST["steered"]].try_number == 1


def test_result_means_the_run_before(steered: Lab, first: dict[str, Seen]) -> None:
    """What failed in it and what that held back, and nothing that was green."""
    assert first
    steered.control(["steered"], divisor=0)
    [broken] = steered.finished(steered.start(["steered"])).values()
    steered.control(["steered"], divisor=1)
    assert broken.run.state == "failed"
    for nothing in ({"select": "result:error+", "dry_run": True}, {"selct": "orders"}):
        steered.finished(steered.start(["steered"], **nothing))
    [seen] = steered.finished(steered.start(["steered"], select="result:error+")).values()
    assert seen.run.state == "success", seen.not_green
    below = steered.graph("steered").below([RATES])
    assert built(seen) == {RATES, *below}


def test_state_means_the_manifest_of_production(steered: Lab, first: dict[str, Seen]) -> None:
    """A model whose SQL differs from it is built, with what reads it."""
    assert first
    stored = steered.stack.root / "production" / "manifest.json"
    stored.parent.mkdir()
    manifest = json.loads((steered.stack.root / "dbt_project" / "target" / "manifest.json").read_text())
    manifest["nodes"]["model.lab.priced"]["raw_code"] = "select 1 as id"
    stored.write_text(json.dumps(manifest))
    try:
        [seen] = steered.finished(steered.start(["steered"], select="state:modified+")).values()
        shown = json.loads(call(steered, "plan", "steered", "-s", "state:modified", "--json").stdout)
    finally:
        shutil.rmtree(stored.parent)
    assert seen.run.state == "success", seen.not_green
    assert built(seen) == chosen(steered, seen, ("priced", "revenue"))
    runs = {one["task_id"] for one in shown["nodes"] if one["action"] == "run"}
    assert runs == chosen(steered, seen, ("priced",))


def test_without_the_right_to_mark_each_task_skips_itself(steered: Lab) -> None:
    """Slower, and right all the same."""
    for pipeline, seen in steered.finished(steered.start(REFUSED, select="rates raw_orders")).items():
        nodes = steered.nodes(pipeline)
        wanted = chosen(steered, seen, ("rates", "raw_orders"))
        assert seen.run.state == "success", seen.not_green
        assert built(seen) == wanted
        assert {seen.states[task] for task in nodes - wanted} == {"skipped"}
        assert {seen.states[task] for task in wanted} == {"success"}


def test_the_command_line_says_what_a_selection_means(steered: Lab, first: dict[str, Seen]) -> None:
    """With seconds of the last run; one that means nothing ends with 2, and nothing is started."""
    assert first
    shown = call(steered, "plan", "steered", "--select", "orders")
    assert shown.returncode == 0, shown.stderr
    [line] = [line for line in shown.stdout.splitlines() if line.startswith(ORDERS)]
    assert line.split()[1:4] == ["model", "run", "selected"]
    assert line.endswith(" s")
    assert "2 run, " in shown.stdout
    runs = [run.run_id for run in steered.api.runs("steered", limit=1)]
    for command in ("plan", "run"):
        wrong = call(steered, command, "steered", "--select", "fct_ordes orders")
        assert (wrong.returncode, wrong.stdout) == (2, "")
        assert "matches nothing: fct_ordes" in wrong.stderr
    unknown = call(steered, "run", "steered", "--select", "summry")
    assert "Did you mean summary" in unknown.stderr
    left_out = call(steered, "run", "steered", "--exclude", "tag:loud,summry")
    assert "Did you mean summary" in left_out.stderr
    absent = call(steered, "plan", "steered", "--select", "state:modified")
    assert absent.returncode == 2
    assert "manifest.json, which is not there" in absent.stderr
    assert [run.run_id for run in steered.api.runs("steered", limit=1)] == runs


def test_the_command_goes_on_with_a_run_that_failed(steered: Lab, first: dict[str, Seen]) -> None:
    """What failed and what it held back is built, in the same run; a green one is refused."""
    assert first
    steered.control(["steered_node"], divisor=0)
    [broken] = steered.finished(steered.start(["steered_node"])).values()
    steered.control(["steered_node"], divisor=1)
    assert broken.run.state == "failed"
    steered.finished(steered.start(["steered_node"], dry_run=True))
    done = call(steered, "run", "steered_node", "--failed")
    assert done.returncode == 0, done.stderr + done.stdout
    after = steered.see(broken.run)
    assert after.run.state == "success"
    failed = {task for task in steered.nodes("steered_node") if broken.states[task] != "success"}
    assert set(after.built_since(broken)) == failed
    refused = call(steered, "run", "steered_node", "--failed")
    assert refused.returncode == 2
    assert "there is nothing to go on with" in refused.stderr
    both = call(steered, "run", "steered_node", "--failed", "--select", "orders")
    assert both.returncode == 2
    assert "leave out select" in both.stderr


def test_the_command_line_starts_a_run_with_parameters(steered: Lab, first: dict[str, Seen]) -> None:
    """The same as in Airflow's form, where they stand in the run's configuration."""
    assert first
    asked = ["-s", "orders", "--exclude", "unique_orders_id", "--vars", '{"number": 3}', "--threads", "3"]
    done = call(steered, "run", "steered", *asked, "--json")
    assert done.returncode == 0, done.stderr
    [newest] = steered.api.runs("steered", limit=1)
    assert newest.run_id == json.loads(done.stdout)["run_id"]
    found = steered.api.send("GET", run_path("steered", newest.run_id))
    assert found["conf"] == {
        "select": "orders",
        "exclude": "unique_orders_id",
        "vars": {"number": 3},
        "threads": 3,
    }
    assert built(steered.see(newest)) == {ORDERS}


def test_fail_fast_ends_the_run_at_the_first_failure(steered: Lab, first: dict[str, Seen]) -> None:
    """The build says which it was and is not retried; to clear what failed builds the rest."""
    assert first
    steered.control(["steered"], divisor=0)
    runs = steered.start(["steered"], select="rates priced revenue", fail_fast=True, threads=1)
    [seen] = steered.finished(runs).values()
    steered.control(["steered"], divisor=1)
    assert seen.run.state == "failed"
    assert "fail_fast: dbt stopped at model.lab.rates" in first_log(steered, seen)
    assert seen.tasks[FIRST["steered"]].try_number == 1
    assert seen.states[RATES] == "failed"
    assert {seen.states[task] for task in chosen(steered, seen, ("priced",))} == {"upstream_failed"}
    steered.clear_run(seen.run, only_failed=True)
    [after] = steered.finished(runs).values()
    assert after.run.state == "success", after.not_green
    assert built(after) == chosen(steered, seen, ("rates", "priced", "revenue"))


def test_a_hook_that_fails_after_the_nodes_makes_the_run_red(steered: Lab, first: dict[str, Seen]) -> None:
    """Also where a run leaves out all other nodes, and until a dbt command has run the hook well."""
    assert first
    steered.control(["steered"], end=0)
    runs = steered.start(["steered"], select="rates")
    [seen] = steered.finished(runs).values()
    build = FIRST["steered"]
    assert (seen.run.state, seen.states[build], seen.states[RATES]) == ("failed", "failed", "success")
    assert seen.tasks[build].try_number == 1
    for task in (build, "bronze.reconcile"):
        log = steered.log(seen.run, seen.tasks[task])
        assert "operation.lab.lab-on-run-end-0" in log
        assert "division by zero" in log
    steered.control(["steered"], end=1)
    steered.clear(seen.run, [build])
    [again] = steered.finished(runs).values()
    assert (again.run.state, again.states[build]) == ("failed", "failed")
    steered.clear(seen.run, [build, RATES], include_downstream=True)
    [healed] = steered.finished(runs).values()
    assert healed.run.state == "success", healed.not_green


def test_a_hook_that_fails_before_the_nodes_says_why(steered: Lab, first: dict[str, Seen]) -> None:
    """dbt comes to no node; the next try goes on."""
    assert first
    steered.control(["steered_node"], start=0)
    runs = steered.start(["steered_node"], select="rates")
    [run] = runs.values()
    steered.until_state(run, "build", "up_for_retry")
    log = steered.log(run, steered.see(run).tasks["build"])
    steered.control(["steered_node"], start=1)
    [seen] = steered.finished(runs).values()
    assert "lab.on-run-start.0 failed, error:" in log
    assert "division by zero" in log
    assert seen.run.state == "success", seen.not_green


def test_nodes_whose_details_are_lost_are_compared_and_named(steered: Lab, first: dict[str, Seen]) -> None:
    """dbt says where they are; the run is red, because nobody can see what dbt said of them."""
    assert first
    folder = Path(steered.results.path) / "steered_node"
    aside = folder.rename(folder.with_name("aside"))
    folder.write_text("no folder")
    try:
        runs = steered.start(["steered_node"], select="rates")
        [run] = runs.values()
        steered.until(lambda: steered.api.run(run.dag_id, run.run_id).is_finished, f"the end of {run}")
    finally:
        folder.unlink()
        aside.rename(folder)
    [seen] = steered.finished(runs).values()
    log = steered.log(seen.run, seen.tasks["reconcile"])
    assert seen.run.state == "failed"
    assert seen.states["bronze.rates.run"] == "success"
    assert "1 of them were compared with the warehouse" in log
    assert f"nothing can be read under the results path {steered.results.path}" in log


def test_a_run_starts_when_another_pipelines_model_was_built(steered: Lab) -> None:
    """And `goldsmith check` knows whose it is."""
    assert steered.api.runs("follows", limit=1) == []
    [seen] = steered.finished(steered.start(["leads"])).values()
    assert seen.run.state == "success", seen.not_green
    steered.until(lambda: bool(steered.api.runs("follows", limit=1)), "a run of `follows`")
    [run] = steered.api.runs("follows", limit=1)
    assert steered.finished({"follows": run})["follows"].run.state == "success"
    said = " ".join(call(steered, "check", "--no-connections").stdout.split())
    assert "follows: after waits for goldsmith://leads/lab_bronze/rates (of leads)" in said


def test_airflows_own_backfill_passes_each_window_to_dbt(steered: Lab) -> None:
    """Of a pipeline whose runs cover a window each."""
    body = {
        "dag_id": "windowed",
        "from_date": "2026-11-01T00:00:00Z",
        "to_date": "2026-11-02T00:00:00Z",
        "max_active_runs": 1,
    }
    steered.api.send("POST", "/api/v2/backfills", body=body)

    def backfilled() -> dict[str, Run]:
        return {
            run.run_id: run for run in steered.api.runs("windowed", limit=9) if run.run_type == "backfill"
        }

    steered.until(lambda: len(backfilled()) == 2, "two runs of `windowed`")
    ended = steered.finished(backfilled())
    said = "".join(steered.log(seen.run, seen.tasks["build"]) for seen in ended.values())
    for day in (1, 2):
        window = f"--event-time-start 2026-11-0{day}T00:00:00 --event-time-end 2026-11-0{day + 1}T00:00:00"
        assert window in said


def test_a_backfill_is_a_run_for_each_window(steered: Lab, first: dict[str, Seen]) -> None:
    """In order, each with its window; it stops at the first that fails, and says how to go on."""
    assert first
    asked = ("--from", "2026-11-01", "--to", "2026-11-03", "--select", "appended")
    done = call(steered, "backfill", "steered", *asked)
    assert done.returncode == 0, done.stderr + done.stdout
    assert "Window 2 of 2: 2026-11-02 00:00 to 2026-11-03 00:00" in done.stdout
    assert "All 2 windows are done." in done.stdout
    confs = [
        steered.api.send("GET", run_path("steered", run.run_id))["conf"]
        for run in steered.api.runs("steered", limit=2)
    ]
    assert [(conf["event_time_start"], conf["select"]) for conf in confs] == [
        ("2026-11-02T00:00:00Z", "appended"),
        ("2026-11-01T00:00:00Z", "appended"),
    ]
    steered.control(["steered_node"], divisor=0)
    broken = call(steered, "backfill", "steered_node", *asked[:4], "--select", "rates")
    steered.control(["steered_node"], divisor=1)
    assert broken.returncode == 1
    assert "0 of 2 windows are done." in broken.stdout
    assert "goldsmith backfill --from 2026-11-02T00:00:00+00:00" in broken.stdout


def test_a_microbatch_model_is_red_until_its_failed_batches_are_built(steered: Lab) -> None:
    """By either engine: with one batch built again and another that fails, by an automatic retry and by the command."""
    steered.control(MICRO, bad=1)
    before = steered.finished(steered.start(MICRO))
    for pipeline, seen in before.items():
        assert seen.run.state == "failed", pipeline
        assert seen.states["silver.after.run"] != "success"
        records = seen.records["bronze.by_day.run"]
        assert [one.status for one in records] == ["partial success", "error"]
        assert [one.batches and len(one.batches.missing) for one in records] == [2, 2], "all were built again"
        assert "division by zero" in records[-1].message
        assert steered.rows(f"select to_regclass('{pipeline}_silver.after') is null") == [(True,)]
    untouched = {one: _versions(steered, one) for one in MICRO}
    steered.control(MICRO, bad=99)
    for pipeline in MICRO:
        done = call(steered, "retry", "by_day", "--downstream", "--pipeline", pipeline)
        assert done.returncode == 0, done.stderr + done.stdout
        after = steered.see(before[pipeline].run)
        assert after.run.state == "success", after.not_green
        last = after.records["bronze.by_day.run"][-1]
        assert (last.status, last.rows, last.batches) == ("success", 2, None)
        assert steered.rows(f"select days from {pipeline}_silver.after") == [(DAYS,)]
        assert len(untouched[pipeline]) == DAYS - 2
        assert untouched[pipeline] < _versions(steered, pipeline)


def _versions(steered: Lab, pipeline: str) -> set[tuple[object, ...]]:
    """The days of the microbatch model, each with the transaction that wrote it."""
    return set(steered.rows(f"select day, xmin::text from {pipeline}_bronze.by_day"))
