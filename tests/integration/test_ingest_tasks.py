"""The ingest as Airflow tasks, run by `dag.test()` against a real PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from airflow.sdk import DAG
from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.exceptions import AirflowFailException
from psycopg.conninfo import conninfo_to_dict

from goldsmith.ingest.task_group import ingest_group
from goldsmith.spec.ingest import Ingest
from goldsmith.stack.postgres import EmbeddedPostgres

pytestmark = pytest.mark.integration

PASSWORD = "a-password-nobody-may-see"
DAG_FILE = '''
"""Airflow DAG: two files, one of them faulty where FAULTY says so."""
import json, os, sys
from airflow.sdk import DAG
from goldsmith.ingest.task_group import ingest_group
from goldsmith.spec.ingest import Ingest

def ingest(name):
    return Ingest(source=f"data_lake.{name}", file=f"{name}.csv", key=("id",), columns=("id", "name"), chunk_mb=1)

with DAG("lake", schedule=None) as dag:
    last = ingest_group([ingest("things"), ingest("others")], connection="warehouse", root=os.environ["RAW"])
    assert {source: task.operator.task_id for source, task in last.items()} == {
        "data_lake.things": "ingest.things.merge", "data_lake.others": "ingest.others.merge",
    }

for others in sys.argv[1:] if __name__ == "__main__" else []:
    import psycopg
    from pathlib import Path
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    Path(os.environ["RAW"], "others.csv").write_text(others)
    run = dag.test()
    tasks = [
        [t.task_id, t.map_index, str(t.state), t.try_number, t.rendered_map_index]
        for t in run.get_task_instances()
    ]
    with create_session() as session:
        xcoms = [[x.task_id, x.map_index, XComModel.deserialize_value(x)] for x in session.query(XComModel)
                 if x.run_id == run.run_id]
    # Something that this run might have left, had it been killed.
    left = f"data_lake_staging.things_0123456789ab_{run.id:04d}"
    owner = json.dumps([run.dag_id, run.run_id, "data_lake.others"])
    with psycopg.connect(os.environ["WAREHOUSE"]) as connection:
        connection.execute(f"create table {left} ()")
        connection.execute(f"comment on table {left} is 'goldsmith load of {run.start_date.isoformat()} by {owner}'")
    print("RESULT " + json.dumps({"state": run.state, "tasks": sorted(tasks), "xcoms": sorted(xcoms, key=str)}))
'''


@dataclass(frozen=True, kw_only=True, slots=True)
class Lake:
    """A private Airflow with one DAG, a warehouse, and a folder of raw files."""

    conninfo: str
    raw: Path
    env: dict[str, str]
    dag_file: Path

    def run(self, *others: str) -> tuple[list[dict[str, Any]], str]:
        """Run the DAG once for each text of others.csv; return what became of the tasks, and all that was logged."""
        command = [sys.executable, str(self.dag_file), *others]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False)
        results = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
        assert len(results) == len(others), done.stderr[-5000:] + done.stdout[-5000:]
        return [json.loads(line.removeprefix("RESULT ")) for line in results], done.stdout + done.stderr

    def rows(self, table: str) -> int:
        """How many rows a table of the lake has."""
        with psycopg.connect(self.conninfo) as connection:
            row = connection.execute(f"select count(*) from data_lake.{table}").fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lake]:
    """A migrated Airflow on SQLite, and a PostgreSQL as its warehouse."""
    folder = tmp_path_factory.mktemp("tasks")
    server = EmbeddedPostgres(folder / "postgres")
    server.start()
    dags, raw = folder / "dags", folder / "raw"
    dags.mkdir()
    raw.mkdir()
    (dags / "lake.py").write_text(DAG_FILE)
    conninfo = server.conninfo("warehouse")
    parts = conninfo_to_dict(conninfo)
    connection = {
        "conn_type": "postgres",
        "login": parts["user"],
        "password": PASSWORD,
        "schema": parts["dbname"],
    }
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_WAREHOUSE": json.dumps({**connection, "host": parts["host"], "port": parts["port"]}),
        "RAW": str(raw),
        "WAREHOUSE": conninfo,
    }
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"], env=env, check=True, capture_output=True
    )
    yield Lake(conninfo=conninfo, raw=raw, env=env, dag_file=dags / "lake.py")
    server.destroy()


def test_the_task_group_loads_files_and_fails_at_once_on_a_faulty_one(lake: Lake) -> None:
    """Chunks are mapped tasks named after their lines; a faulty file fails its split without retries."""
    rows = "".join(f"{row},{'x' * 60}\n" for row in range(40_000))
    (lake.raw / "things.csv").write_text(f"id,name\n{rows}broken\n0,last\n")

    (good, faulty), log = lake.run("id,name\n", "id,title\n1,a\n")

    _check_good(good, lake, log)
    tasks = {(task, index): (state, tries) for task, index, state, tries, _ in faulty["tasks"]}
    assert faulty["state"] == "failed"
    assert tasks["ingest.others.split", -1] == ("failed", 1)
    assert tasks["ingest.things.merge", -1] == ("success", 1)
    assert "others.csv, line 1: the header is 'id,title'; expected 'id,name'" in log
    assert _xcoms(faulty)["ingest.things.merge", -1]["unchanged"] == 40_000
    assert PASSWORD not in log
    _check_leftovers(lake)


def _check_leftovers(lake: Lake) -> None:
    """The first run was over when the second one began, which therefore removed what that had left."""
    with psycopg.connect(lake.conninfo) as connection:
        rows = connection.execute(
            "select tablename from pg_tables where schemaname = 'data_lake_staging' and tablename <> 'merges'"
        ).fetchall()
    assert rows == [("things_0123456789ab_0002",)]


def test_every_task_takes_no_longer_than_its_limit_and_what_is_left_of_the_run() -> None:
    """Split, load and merge carry the task's limit, and cut it to the run's when they start."""
    half_hour, two_hours = timedelta(minutes=30), timedelta(hours=2)
    ingest = Ingest(source="data_lake.things", file="things.csv", key=("id",), columns=("id", "name"))
    with DAG("bounded", schedule=None) as dag:
        ingest_group([ingest], connection="warehouse", task_timeout=half_hour, run_timeout=two_hours)
    assert [task.label for task in dag.tasks] == ["split", "load", "merge"]
    for task in dag.tasks:
        chunk: dict[str, Any] = {"op_kwargs": {"chunk": {}}}
        started = task.unmap(chunk) if isinstance(task, MappedOperator) else task
        assert started.execution_timeout == half_hour
        hook: Any = started._pre_execute_hook
        for minutes, left in ((5, half_hour), (110, timedelta(minutes=10))):
            run = SimpleNamespace(start_date=datetime.now(UTC) - timedelta(minutes=minutes))
            hook({"dag_run": run, "ti": SimpleNamespace(task=started)})
            assert started.execution_timeout == pytest.approx(left, abs=timedelta(seconds=5))
        with pytest.raises(AirflowFailException, match="time limit of 2:00:00"):
            hook({"dag_run": SimpleNamespace(start_date=datetime.now(UTC) - two_hours)})


def _check_good(run: dict[str, Any], lake: Lake, log: str) -> None:
    counts = {"inserted": 40_000, "changed": 0, "unchanged": 0, "superseded": 1, "rejected": 1}
    xcoms = _xcoms(run)
    assert run["state"] == "success"
    assert xcoms["ingest.things.merge", -1] == {
        "source": "data_lake.things", "file": "things.csv", "rows": 40_002, **counts,
    }  # fmt: skip
    assert xcoms["ingest.others.merge", -1]["rows"] == 0
    assert (lake.rows("things"), lake.rows("others"), lake.rows("rejected_rows")) == (40_000, 0, 1)
    chunks = [part for one in xcoms["ingest.things.split", -1] for part in one["chunk"]["parts"]]
    loads = [
        name for task, _, state, _, name in run["tasks"] if (task, state) == ("ingest.things.load", "success")
    ]
    assert len(chunks) > 1
    assert loads == [f"lines {chunk['first_line']} to {chunk['last_line']}" for chunk in chunks]
    assert "things.csv, line 40002 is rejected: 1 field, expected 2" in log


def _xcoms(run: dict[str, Any]) -> dict[tuple[str, int], Any]:
    return {(task, index): value for task, index, value in run["xcoms"]}
