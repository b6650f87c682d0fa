"""The isolated engine: a small dbt project through a real Airflow, green, broken, mended, one node retried alone."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import LiteralString
from urllib.parse import quote

import httpx
import psycopg
import pytest

from goldsmith.client.parsed import wait_until_parsed
from goldsmith.dbt.project import DbtProject
from goldsmith.pipeline import load_plan, project_of
from goldsmith.plan.model import Plan
from goldsmith.rest import RestClient, Run, TaskInstance
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline
from goldsmith.stack.stack import Stack

pytestmark = pytest.mark.integration

PASSWORD = "never-to-be-seen-5d1f"
RUN_LIMIT = 400.0
SPEC = {"name": "shop", "engine": "isolated", "retries": {"models": 0}}
DAG_FILE = f"""\
\"\"\"Airflow DAG: the shop.\"\"\"

from goldsmith import Pipeline, build_dag

shop = build_dag(Pipeline.parse({SPEC!r}))
"""


@dataclass(frozen=True)
class Shop:
    """The running shop: its Airflow, its warehouse and its plan."""

    api: RestClient
    stack: Stack
    plan: Plan

    def sql(self, statement: LiteralString) -> None:
        """Change the warehouse."""
        with psycopg.connect(self.stack.server.conninfo("warehouse"), autocommit=True) as connection:
            connection.execute(statement)

    def finished(self, run: Run) -> Run:
        """Wait for the end of a run."""
        end = time.monotonic() + RUN_LIMIT
        while not (now := self.api.run("shop", run.run_id)).is_finished:
            assert time.monotonic() < end, f"{now} is not finished"
            time.sleep(0.5)
        return now

    def tasks(self, run: Run) -> dict[str, TaskInstance]:
        """The tasks of a run by id."""
        return {task.task_id: task for task in self.api.task_instances("shop", run.run_id)}


@pytest.fixture(scope="module")
def shop_run(
    shop: DbtProject,
    copied: Callable[[DbtProject, Path], DbtProject],
    tmp_path_factory: pytest.TempPathFactory,
    settings_for: Callable[[Path], Settings],
) -> Iterator[Shop]:
    """The shop's DAG in a local stack, its warehouse reached with a password."""
    root = tmp_path_factory.mktemp("running_shop")
    copied(shop, root / "dbt_project")
    (root / "dags").mkdir()
    (root / "dags" / "shop.py").write_text(DAG_FILE)
    stack = Stack(root=root)
    connection = {
        "conn_type": "postgres",
        "host": str(stack.server.socket_dir),
        "port": 5432,
        "login": "postgres",
        "password": PASSWORD,
        "schema": "warehouse",
    }
    stack = Stack(
        root=root, extra_env={"AIRFLOW_CONN_WAREHOUSE": json.dumps(connection), "GOLDSMITH_ALLOW_PROD": "yes"}
    )
    try:
        stack.up()
        with stack.api() as api:
            yield Shop(api=api, stack=stack, plan=_plan(settings_for(root)))
    finally:
        stack.down()
        stack.server.destroy()


def _plan(here: Settings) -> Plan:
    spec = Pipeline.parse(SPEC)
    return load_plan(spec, project_of(spec, here), here)


@pytest.fixture(scope="module")
def green(shop_run: Shop) -> Run:
    """A run with good data."""
    shop_run.sql("create schema shop_lake")
    shop_run.sql(
        "create table shop_lake.currencies as select 'EUR' as code, 'Euro' as name, now() as loaded_at"
    )
    wait_until_parsed(shop_run.api, "shop", shop_run.stack.dags_dir, changed=None)
    run = shop_run.api.trigger("shop")
    shop_run.api.unpause("shop")
    return shop_run.finished(run)


def _ended(task: TaskInstance) -> datetime:
    assert task.ended is not None
    return task.ended


def test_every_node_runs_once_as_its_own_task_in_dbts_order(shop_run: Shop, green: Run) -> None:
    """Models, tests, unit tests, seeds, snapshot, freshness and gates; each after what it waits for."""
    assert green.state == "success"
    tasks = shop_run.tasks(green)
    gates = {gate.task_id: gate.upstream for gate in shop_run.plan.gates}
    upstream = {node.task_id: node.upstream for node in shop_run.plan.nodes} | gates
    assert set(tasks) == {*upstream, "report", "elementary_report"}
    assert tasks.pop("elementary_report").state == "skipped"
    assert {(task.state, task.try_number) for task in tasks.values()} == {("success", 1)}
    for task_id, before in upstream.items():
        started = tasks[task_id].started
        assert started is not None
        assert all(_ended(tasks[parent]) <= started for parent in before), task_id


def test_a_broken_model_holds_back_what_reads_it_and_is_retried_alone(shop_run: Shop, green: Run) -> None:
    """The rest of its layer is green, the gate blocks; mended and cleared, only what is needed runs again."""
    assert green.state == "success"
    shop_run.sql("drop table shop_lake.currencies cascade")
    shop_run.sql("create table shop_lake.currencies as select 'EUR' as code, now() as loaded_at")
    run = shop_run.finished(shop_run.api.trigger("shop"))
    broken = "bronze.stg_currencies.run"
    before = shop_run.tasks(run)
    assert run.state == "failed"
    assert before[broken].state == "failed"
    assert before["bronze.stg_orders.unique_id"].state == "success"
    assert before["bronze.gate"].state == "failed"
    assert {before[task].state for task in before if task.startswith(("silver.", "gold."))} <= {
        "upstream_failed",
        "failed",
    }
    log = "\n".join(
        f"{line.text} {line.error}" for line in shop_run.api.logs("shop", run.run_id, before[broken])
    )
    assert 'column "name" does not exist' in log

    shop_run.sql("alter table shop_lake.currencies add column name text default 'Euro'")
    shop_run.api.clear("shop", run.run_id, [broken], downstream=True)
    assert shop_run.finished(run).state == "success"
    after = shop_run.tasks(run)
    assert {task.state for task_id, task in after.items() if task_id != "elementary_report"} == {"success"}
    untouched = {
        "seeds.raw_orders.seed",
        "bronze.stg_orders.run",
        "bronze.stg_orders.unique_id",
        "extra.notes.run",
    }
    assert {task: after[task] for task in untouched} == {task: before[task] for task in untouched}
    assert after[broken].try_number == 2


def test_each_run_has_its_report(shop_run: Shop, green: Run) -> None:
    """Behind Airflow's login, with every node in it; who is not logged in learns nothing, and no path leads out."""
    found = shop_run.api.reports("shop", green.run_id)
    assert found["files"] == {"report.html": found["path"]}
    page = Path(found["path"]).read_text()
    named = [f'<a data-task="{node.task_id}">{node.name}</a>' for node in shop_run.plan.nodes]
    assert [one for one in named if one not in page] == []
    address = f"http://127.0.0.1:{shop_run.stack.port}/goldsmith/report/shop/{quote(green.run_id, safe='')}"
    login = {"Authorization": f"Bearer {shop_run.api._bearer()}"}
    answer = httpx.get(f"{address}/report.html", headers=login, trust_env=False)
    assert (answer.status_code, answer.text) == (200, page)
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert httpx.get(f"{address}/report.html", trust_env=False).status_code == 401
    for other in ("summary.gz", "..%2Freport.html", "%2Fetc%2Fpasswd"):
        assert httpx.get(f"{address}/{other}", headers=login, trust_env=False).status_code == 404
    said = httpx.get(f"{address}/elementary.html", headers=login, trust_env=False).text
    assert "The task elementary_report was skipped." in said
    assert "package is not in the project&#39;s manifest. goldsmith deps installs" in said
    assert "does not share this path" not in said
    docs = httpx.get(f"{address}/dbt_docs.html", headers=login, trust_env=False).text
    assert "The pipeline makes no documentation. To have it, write `dbt_docs: true`" in docs


def test_elementarys_report_is_skipped_where_its_package_is_not_installed(shop_run: Shop, green: Run) -> None:
    """With a line that says how to have it, which `goldsmith check` has too."""
    task = shop_run.tasks(green)["elementary_report"]
    assert task.state == "skipped"
    assert "elementary_tables" not in shop_run.tasks(green)
    said = "\n".join(f"{line.text} {line.error}" for line in shop_run.api.logs("shop", green.run_id, task))
    assert "Elementary's dbt package is not in the project's manifest. goldsmith deps" in said


def test_goldsmith_report_says_where_it_lies(shop_run: Shop, green: Run) -> None:
    """Of a run that is named; an unknown one and one without a report are told."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "goldsmith.cli", "report", *arguments]
        return subprocess.run(command, cwd=shop_run.stack.root, capture_output=True, text=True, check=False)

    path = call(green.run_id, "--path")
    assert path.returncode == 0, path.stderr
    assert Path(path.stdout.strip()).is_file()
    document = json.loads(call(green.run_id, "--json").stdout)
    assert document["url"].endswith("/plugin/dbt-report")
    assert document["files"]["report.html"] == document["path"] == path.stdout.strip()
    unknown = call("no-such-run")
    assert unknown.returncode != 0
    assert "no-such-run" in unknown.stderr


def test_a_red_test_stops_at_the_gate_and_a_warning_does_not(shop_run: Shop, green: Run) -> None:
    """A test of severity warn is green in Airflow; one of severity error blocks the next layer."""
    assert green.state == "success"
    shop_run.sql("update shop_lake.currencies set code = null")
    run = shop_run.finished(shop_run.api.trigger("shop"))
    tasks = shop_run.tasks(run)
    assert run.state == "failed"
    assert tasks["sources.lake.currencies.not_null_code"].state == "failed"
    assert tasks["sources.lake.currencies.not_null_code"].try_number == 1
    assert tasks["bronze.stg_currencies.run"].state == "upstream_failed"
    assert tasks["bronze.stg_orders.run"].state == "success"
    assert tasks["report"].state == "success"
    page = Path(shop_run.api.reports("shop", run.run_id)["path"]).read_text()
    assert "green → failed" in page
    assert "Got 1 result, configured to fail if != 0" in page
    shop_run.sql("update shop_lake.currencies set code = 'EUR'")


def test_the_warehouses_password_is_nowhere(shop_run: Shop, green: Run) -> None:
    """Not in a log, a rendered template, an XCom, the plan, dbt's files or Airflow's database dump."""
    assert green.state == "success"
    seen = [
        path
        for path in shop_run.stack.root.rglob("*")
        if path.is_file() and PASSWORD.encode() in path.read_bytes()
    ]
    assert seen == []
    with psycopg.connect(shop_run.stack.server.conninfo("airflow")) as connection:
        for table in ("rendered_task_instance_fields", "xcom", "log", "serialized_dag", "task_instance"):
            rows = connection.execute(f"select row_to_json(t)::text from {table} as t").fetchall()
            # No task of a node has a template, so that Airflow keeps none.
            assert bool(rows) == (table != "rendered_task_instance_fields"), table
            assert not [row for row in rows if PASSWORD in row[0]], table


def test_a_run_writes_nothing_into_the_project(shop_run: Shop, green: Run, shop: DbtProject) -> None:
    """A developer's own `dbt build` beside it is not disturbed: each task works in a private copy."""
    assert green.state == "success"
    project = shop_run.stack.root / "dbt_project"
    made = {path.relative_to(project) for path in project.rglob("*") if path.is_file()}
    given = {path.relative_to(shop.path) for path in shop.path.rglob("*") if path.is_file()}
    assert {str(path) for path in made - given} <= {"target/goldsmith_plan_shop.sqlite"}
