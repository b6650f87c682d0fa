"""The isolated engine on a real Airflow: what dbt said is kept, and what is cancelled reaches the warehouse; assets."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from goldsmith.client.parsed import wait_until_parsed
from goldsmith.dbt.executable import dbt_executable
from goldsmith.dbt.project import DbtProject
from goldsmith.pipelines.refresh import make_pipeline_manifest
from goldsmith.rest import RestClient, Run, TaskInstance
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline
from goldsmith.stack.stack import Stack

pytestmark = pytest.mark.integration

LIMIT = 400.0
DAG_FILE = """\
\"\"\"Airflow DAG: the shop.\"\"\"

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset

from goldsmith import Pipeline, build_dag

alone = build_dag(Pipeline(name="alone", report=None, engine="isolated", retries={"models": 0}))
limited = build_dag(
    Pipeline(
        name="limited",
        report=None,
        engine="isolated",
        select=["+regions"],
        node_timeout="20s",
        dbt="bin/dbt",
    )
)
together = build_dag(Pipeline(name="together", report=None, retries={"models": 0}))
at_once = build_dag(Pipeline(name="at_once", report=None, gate="node", retries={"models": 0}))
with DAG("reader", schedule=[Asset("goldsmith://at_once/shop_silver/orders")]) as reader:
    EmptyOperator(task_id="read")
"""
CURRENCIES = "select 'EUR' as code, 'Euro' as name, now() as loaded_at"
SLOW = f"create or replace view shop_lake.currencies as {CURRENCIES} where pg_sleep(300) is not null"
FAST = f"create or replace view shop_lake.currencies as {CURRENCIES}"
OURS = """
    select count(*) from pg_stat_activity
    where application_name like 'goldsmith {}%regions%' and state = 'active'
"""
NODE = "silver.regions.run"


class Shop:
    """The running shop."""

    def __init__(self, api: RestClient, stack: Stack) -> None:
        self.api = api
        self.stack = stack

    def sql(self, statement: Any) -> Any:
        """Ask or change the warehouse."""
        with psycopg.connect(self.stack.server.conninfo("warehouse"), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else None

    def running(self, dag_id: str) -> int:
        """How many queries a pipeline's node has in the warehouse."""
        return int(self.sql(OURS.format(dag_id))[0][0])

    def until(self, is_so: Callable[[], bool], *, limit: float = LIMIT) -> float:
        """Wait for something; give the seconds it took."""
        began = time.monotonic()
        while not is_so():
            assert time.monotonic() - began < limit
            time.sleep(0.3)
        return time.monotonic() - began

    def finished(self, run: Run) -> Run:
        """Wait for the end of a run."""
        self.until(lambda: self.api.run(run.dag_id, run.run_id).is_finished)
        return self.api.run(run.dag_id, run.run_id)

    def green_run(self, dag_id: str) -> Run:
        """A run of a pipeline."""
        wait_until_parsed(self.api, dag_id, self.stack.dags_dir, changed=None)
        run = self.api.trigger(dag_id)
        self.api.unpause(dag_id)
        assert self.finished(run).state == "success"
        return run

    def cleared(self, run: Run, *task_ids: str, downstream: bool = False) -> None:
        """Clear tasks, and wait until the run is green again."""
        self.api.clear(run.dag_id, run.run_id, task_ids, downstream=downstream)
        assert self.finished(run).state == "success"

    def updates(self, run: Run) -> list[tuple[str, str]]:
        """Table and task of each update of an asset in a run, in their order."""
        query: dict[str, Any] = {
            "source_dag_id": run.dag_id,
            "source_run_id": run.run_id,
            "limit": 100,
            "order_by": "timestamp",
        }
        events = self.api.send("GET", "/api/v2/assets/events", query=query)["asset_events"]
        return [(event["uri"].rsplit("/", 1)[1], event["source_task_id"]) for event in events]


@pytest.fixture(scope="module")
def shop_airflow(
    shop: DbtProject,
    copied: Callable[[DbtProject, Path], DbtProject],
    tmp_path_factory: pytest.TempPathFactory,
    settings_for: Callable[[Path], Settings],
) -> Iterator[Shop]:
    """Two pipelines of the shop, one of each engine."""
    root = tmp_path_factory.mktemp("isolated_shop")
    copied(shop, root / "dbt_project")
    with (root / "dbt_project" / "dbt_project.yml").open("a") as settings:
        settings.write('\non-run-end: ["select 1 / divisor from shop_lake.hook"]\n')
    # What `+regions` means only dbt says.
    limited = Pipeline(name="limited", select=("+regions",))
    make_pipeline_manifest(limited, settings_for(root), print)
    program = root / "bin" / "dbt"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$*" >> {root}/called\nexec {dbt_executable()} "$@"\n')
    program.chmod(0o755)
    (root / "dags").mkdir()
    (root / "dags" / "shop.py").write_text(DAG_FILE)
    stack = Stack(root=root)
    try:
        stack.up()
        with stack.api() as api:
            found = Shop(api, stack)
            found.sql("create schema shop_lake")
            found.sql("create table shop_lake.hook as select 1 as divisor")
            found.sql(FAST)
            yield found
    finally:
        stack.down()
        stack.server.destroy()


def test_what_dbt_said_is_kept_and_a_cancelled_query_ends(shop_airflow: Shop) -> None:
    """A record for each node, with its lines and SQL; a run that is marked as failed leaves nothing running."""
    run = shop_airflow.green_run("alone")
    tasks = [task.task_id for task in shop_airflow.api.task_instances("alone", run.run_id)]
    kept = {
        task: shop_airflow.api.node_results("alone", run.run_id, task)["records"]
        for task in tasks
        if not task.endswith(".gate")
    }
    assert {len(records) for records in kept.values()} == {1}
    assert {records[0]["status"] for records in kept.values()} == {"success", "pass"}
    [model] = kept[NODE]
    assert "stg_currencies" in model["compiled_sql"]
    assert any("OK created" in line for line in model["lines"])
    assert (model["built_by"], model["rows"], model["materialized"]) == (NODE, 1, "table")

    shop_airflow.sql(SLOW)
    shop_airflow.api.clear("alone", run.run_id, [NODE])
    shop_airflow.until(lambda: shop_airflow.running("alone") == 1)
    path = f"/api/v2/dags/alone/dagRuns/{run.run_id}"
    shop_airflow.api.send("PATCH", path, body={"state": "failed"})
    assert shop_airflow.until(lambda: shop_airflow.running("alone") == 0) < 10
    assert shop_airflow.api.run("alone", run.run_id).state == "failed"
    shop_airflow.sql(FAST)


def test_a_node_over_its_limit_is_cancelled_in_the_warehouse_and_not_tried_again(shop_airflow: Shop) -> None:
    """Its record says why: dbt itself only has an exception of Airflow's to tell of, and no result of the node."""
    run = shop_airflow.green_run("limited")
    shop_airflow.sql(SLOW)
    shop_airflow.api.clear("limited", run.run_id, [NODE])
    shop_airflow.finished(run)
    assert shop_airflow.running("limited") == 0
    shop_airflow.sql(FAST)
    [good, late] = shop_airflow.api.node_results("limited", run.run_id, NODE)["records"]
    assert (good["status"], late["status"]) == ("success", "error")
    assert late["message"] == (
        "Its task's time limit of 0:00:20 was over: its query was cancelled in the warehouse."
    )
    assert 0 < late["seconds"] < 40
    task = _task(shop_airflow, run, NODE)
    assert (task.state, task.try_number) == ("failed", 2)
    said = [line.text for line in shop_airflow.api.logs("limited", run.run_id, task)]
    assert "not tried again: regions (cancelled)" in said


def test_a_pipeline_that_names_a_program_around_dbt_runs_that(shop_airflow: Shop) -> None:
    """For each of its nodes."""
    called = shop_airflow.stack.root / "called"
    before = len(called.read_text().splitlines()) if called.exists() else 0
    run = shop_airflow.green_run("limited")
    tasks = [task.task_id for task in shop_airflow.api.task_instances("limited", run.run_id)]
    nodes = [task for task in tasks if not task.endswith(".gate")]
    calls = called.read_text().splitlines()[before:]
    assert len([one for one in calls if "--select result:success" in one]) >= len(nodes) > 2


def test_a_hook_that_fails_is_named_by_the_task_whose_node_is_built(shop_airflow: Shop) -> None:
    """dbt says of the node itself that it is well."""
    run = shop_airflow.green_run("limited")
    shop_airflow.sql("update shop_lake.hook set divisor = 0")
    shop_airflow.api.clear("limited", run.run_id, [NODE])
    shop_airflow.finished(run)
    shop_airflow.sql("update shop_lake.hook set divisor = 1")
    task = _task(shop_airflow, run, NODE)
    assert task.state == "failed"
    said = "\n".join(line.error for line in shop_airflow.api.logs("limited", run.run_id, task) if line.error)
    assert "on-run-end-0: " in said
    assert "division by zero" in said


def test_assets_are_declared_and_updated_when_built_and_never_otherwise(shop_airflow: Shop) -> None:
    """By the gates in a run; by the node's own task where it is cleared alone; again only for what is built again."""
    run = shop_airflow.green_run("together")
    listed = shop_airflow.api.send("GET", "/api/v2/assets", query={"limit": 100})["assets"]
    mine = {
        asset["uri"].rsplit("/", 1)[1]: asset["producing_tasks"][0]["task_id"]
        for asset in listed
        if asset["uri"].startswith("goldsmith://together/")
    }
    assert (mine["orders"], mine["stg_orders"], mine["revenue_v2"]) == (
        "silver.gate",
        "bronze.gate",
        "gold.gate",
    )
    assert sorted(shop_airflow.updates(run)) == sorted(mine.items())

    before = len(mine)
    shop_airflow.cleared(run, "silver.orders.run")
    assert shop_airflow.updates(run)[before:] == [("orders", "silver.orders.run")]
    shop_airflow.cleared(run, "silver.orders.run", downstream=True)
    again = {("orders", "silver.gate"), ("revenue_v1", "gold.gate"), ("revenue_v2", "gold.gate")}
    assert set(shop_airflow.updates(run)[before + 1 :]) == again
    shop_airflow.cleared(run, "silver.gate")
    assert len(shop_airflow.updates(run)) == before + 1 + len(again)


def test_many_assets_are_updated_at_once_and_who_waits_for_one_starts(shop_airflow: Shop) -> None:
    """Without gates the comparison updates them; only the one that a DAG waits for goes Airflow's slow way."""
    shop_airflow.api.unpause("reader")
    run = shop_airflow.green_run("at_once")
    updates = shop_airflow.updates(run)
    assert len(updates) == len(set(updates)) > 10
    assert {task_id for _, task_id in updates} == {"reconcile"}
    shop_airflow.until(lambda: bool(shop_airflow.api.runs("reader")))
    log = shop_airflow.api.logs("at_once", run.run_id, _task(shop_airflow, run, "reconcile"))
    assert not [line.text for line in log if "one by one" in line.text]


def _task(shop: Shop, run: Run, task_id: str) -> TaskInstance:
    return next(task for task in shop.api.task_instances(run.dag_id, run.run_id) if task.task_id == task_id)
