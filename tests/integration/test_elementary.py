"""Elementary's tables and report, with its real dbt package and its real command."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import elementary
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.integration.shared_lab import Lab, Seen

from goldsmith.dbt.environment import dbt_environment
from goldsmith.dbt.executable import dbt_command
from goldsmith.rest.transport import run_path

pytestmark = pytest.mark.integration

REPORT, TABLES = "elementary_report", "elementary_tables"
ENGINES = ("observed", "observed_alone")
MADE = """
    create schema written;
    create table written.ours (
        name text, numbers float, is_good boolean, document text, at_time varchar(4096), created_at timestamp
    );
    create table written.theirs (like written.ours)
"""
BOTH_WAYS = """
{% macro both_ways(rows) %}
    {% do rows.append({"name": "undefined", "document": there_is_no_such_thing}) %}
    {% do elementary.insert_rows(api.Relation.create(schema='written', identifier='ours'), rows) %}
    {% do elementary.default__insert_rows(api.Relation.create(schema='written', identifier='theirs'), rows) %}
    {% do adapter.commit() %}
{% endmacro %}
"""


@pytest.fixture(scope="module")
def first(observed: Lab) -> dict[str, Seen]:
    """The first run of each, before which there are no tables; a test of one warns of rows."""
    before = _written_to(observed)
    found = observed.finished(observed.start(ENGINES))
    assert _written_to(observed) == before, "edr wrote where it was installed"
    return found


def _written_to(observed: Lab) -> str:
    """A hash of the names in edr's own folder, and in that of the dbt packages."""
    folders = Path(elementary.__file__).parent, observed.stack.root / "dbt_project" / "dbt_packages"
    names = sorted(
        str(path) for folder in folders for path in folder.rglob("*") if "__pycache__" not in path.parts
    )
    return hashlib.sha256("\n".join(names).encode()).hexdigest()


def rows(observed: Lab, pipeline: str, query: str) -> list[tuple[Any, ...]]:
    """What Elementary's tables of a pipeline hold."""
    with psycopg.connect(observed.stack.server.conninfo("warehouse")) as session:
        return session.execute(query.format(schema=f"{pipeline}_elementary").encode()).fetchall()


def page_of(observed: Lab, seen: Seen) -> Path:
    """The file of a run's report."""
    return Path(observed.api.reports(seen.run.dag_id, seen.run.run_id)["files"]["elementary.html"])


def data_of(page: Path) -> dict[str, Any]:
    """What a report is made of."""
    match = re.search(r"elementaryData = JSON.parse\(atob\('([^']+)'\)\)", page.read_text())
    assert match
    found: dict[str, Any] = json.loads(base64.b64decode(match[1]))
    return found


@pytest.mark.parametrize("pipeline", ENGINES)
def test_the_report_holds_every_node_of_the_first_run(
    observed: Lab, first: dict[str, Seen], pipeline: str
) -> None:
    """With its time, in both engines; its tables hold nothing twice, and know the run."""
    seen = first[pipeline]
    assert seen.run.state == "success", seen.not_green
    assert seen.states[REPORT] == seen.states[TABLES] == "success"
    executed = {node.unique_id for node in observed.plans[pipeline].nodes}
    found = rows(
        observed,
        pipeline,
        "select unique_id from {schema}.dbt_run_results join {schema}.dbt_invocations using (invocation_id) "
        f"where unique_id like '%.lab.%' and job_run_id = '{seen.run.run_id}'",
    )
    assert Counter(one[0] for one in found) == Counter(executed)
    for table in ("dbt_models", "dbt_tests"):
        twice = rows(
            observed, pipeline, f"select unique_id from {{schema}}.{table} group by 1 having count(*) > 1"
        )
        assert twice == []
    jobs = rows(observed, pipeline, "select distinct job_name, orchestrator from {schema}.dbt_invocations")
    assert jobs == [(pipeline, "airflow")]
    data = data_of(page_of(observed, seen))
    assert {uid for uid in data["models"] if ".lab." in uid} >= {
        uid for uid in executed if uid.startswith("model.")
    }
    assert {one["unique_id"] for one in data["model_runs"]} >= {
        uid for uid in executed if uid.startswith("model.")
    }


def test_a_failing_test_is_in_the_report_with_its_rows(observed: Lab, first: dict[str, Seen]) -> None:
    """The run is red, and the report is made all the same, without making the tables again."""
    assert first
    observed.control(["observed"], unknown=1)
    [seen] = observed.finished(observed.start(["observed"])).values()
    observed.control(["observed"], unknown=0)
    assert seen.run.state == "failed"
    assert seen.states[REPORT] == "success"
    said = observed.api.send(
        "GET", f"{run_path('observed', seen.run.run_id)}/taskInstances/{TABLES}/xcomEntries"
    )
    assert said["total_entries"] == 1
    results = data_of(page_of(observed, seen))["test_results"]
    failed = [
        one for tests in results.values() for one in tests if one["metadata"]["latest_run_status"] == "fail"
    ]
    assert len(failed) == 1
    assert failed[0]["metadata"]["test_name"] == "not_null"
    assert failed[0]["test_results"]["results_sample"]


def test_the_report_opens_without_network(observed: Lab, first: dict[str, Seen], tmp_path: Path) -> None:
    """In a browser it shows the models of the project."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no chromium here")
    page = tmp_path / "elementary.html"
    shutil.copyfile(page_of(observed, first["observed"]), page)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=20000", "--dump-dom"]
    offline = ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [browser, *flags, *offline, page.as_uri()], capture_output=True, text=True, check=True, timeout=120
    )
    assert "Test results breakdown" in done.stdout


def test_tables_that_somebody_dropped_are_made_again(observed: Lab, first: dict[str, Seen]) -> None:
    """Before the run's first dbt command."""
    assert first
    observed.sql("alter schema observed_elementary rename to elsewhere")
    try:
        [seen] = observed.finished(observed.start(["observed"], select="rates")).values()
        assert rows(observed, "observed", "select count(*) > 0 from {schema}.dbt_models") == [(True,)]
    finally:
        observed.sql("drop schema if exists observed_elementary cascade")
        observed.sql("alter schema elsewhere rename to observed_elementary")
    assert seen.run.state == "success"
    assert seen.states[TABLES] == seen.states[REPORT] == "success"


def test_rows_are_written_as_the_package_writes_them(observed: Lab, tmp_path: Path) -> None:
    """By the project's macro, which is much faster: whatever stands in them, and more than one statement holds."""
    project = tmp_path / "dbt_project"
    shutil.copytree(observed.stack.root / "dbt_project", project)
    (project / "macros" / "both_ways.sql").write_text(BOTH_WAYS)
    observed.sql(MADE)
    nasty = {
        "name": """it's "quoted" \\n {{ x }} 100% é \n\ttwo lines \\ -- ;""",
        "numbers": 1.5,
        "is_good": True,
        "document": {"a": ["x'y", None]},
        "at_time": "2026-11-28T21:00:00.123456Z",
        "unknown_column": 1,
    }
    written = [nasty, {"name": None}, *({"name": f"row {number}"} for number in range(600))]
    arguments = json.dumps({"rows": written}, ensure_ascii=False)
    parts = conninfo_to_dict(observed.stack.server.conninfo("warehouse"))
    login = {"type": "postgres", "dbname": "warehouse", "schema": "lab", "password": "", "threads": 1}
    login |= {"host": parts["host"], "port": int(str(parts["port"])), "user": parts["user"]}
    (project / "profiles.yml").write_text(json.dumps({"lab": {"target": "dev", "outputs": {"dev": login}}}))
    done = subprocess.run(
        [*dbt_command(), "run-operation", "both_ways", "--args", arguments],
        cwd=project,
        env=dbt_environment(project),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    with psycopg.connect(observed.stack.server.conninfo("warehouse")) as session:
        columns = "name, numbers, is_good, document, at_time, created_at is not null"
        [ours, theirs] = [
            session.execute(f"select {columns} from written.{name} order by name".encode()).fetchall()
            for name in ("ours", "theirs")
        ]
    assert len(ours) == len(written) + 1
    assert ours == theirs


def test_a_report_that_cannot_be_made_fails_its_task_and_not_the_run(observed: Lab) -> None:
    """The task says what is missing; another report is there."""
    [seen] = observed.finished(observed.start(["observed_broken"])).values()
    assert seen.run.state == "success"
    assert seen.states[REPORT] == "failed"
    assert "Elementary's command `edr` is not there" in observed.log(seen.run, seen.tasks[REPORT])
    assert set(observed.api.reports("observed_broken", seen.run.run_id)["files"]) == {"report.html"}
