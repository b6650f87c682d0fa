"""What is said where an extra of the package is not installed: processes in which its modules cannot be imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

BLOCK = """
import sys
class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Nothing())
"""
ABSENT = ("apprise", "boto3", "botocore", "pyarrow", "s3fs", "slack_sdk")

SEND = """
import json
from pathlib import Path
from goldsmith.alerts.deliver import deliver
from goldsmith.alerts.event import Event
from goldsmith.errors import GoldsmithError
from goldsmith.ingest.chunks import split
from goldsmith.report.publish import RunReports, put, send
from goldsmith.spec.alerts import Alerts
from goldsmith.spec.ingest import Ingest
from goldsmith.spec.report import Publish, Send
event = Event(kind="model_failed", subject="m", title="m failed", pipeline="shop", run_id="r", name="m")
reports = RunReports(dag_id="shop", run_id="r", started="", headline="", files={"report.html": b""}, links={})
alerts = Alerts.model_validate({"channels": {
    "chat": {"type": "slack", "connection": "chat"},
    "mail": {"type": "email", "connection": "ses", "to": "a@example.com", "sender": "b@example.com"},
    "rest": {"type": "apprise", "connection": "rest"},
}})
Path("a.parquet").write_bytes(b"PAR1")
load = lambda file: split(Ingest(source="lake.a", file=file, key=("id",), columns=("id",)), Path())
said = {name: deliver(alerts, name, "route", [event]).error for name in alerts.channels}
for name, act in {
    "report": lambda: send(reports, Send(type="slack", connection="chat", to=("#data",))),
    "bucket": lambda: put(reports, Publish(to="s3://aws@reports/dbt")),
    "raw": lambda: load("s3://aws@raw/*.csv"),
    "parquet": lambda: load("a.parquet"),
    "google": lambda: load("gs://google@raw/a.csv"),
}.items():
    try:
        act()
    except GoldsmithError as error:
        said[name] = str(error)
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which the modules of the extras cannot be imported, with Airflow connections."""
    folder, home = tmp_path_factory.mktemp("block"), tmp_path_factory.mktemp("home")
    (folder / "sitecustomize.py").write_text(BLOCK.format(absent=ABSENT))
    found = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AIRFLOW", "GOLDSMITH", "DBT", "WAREHOUSE"))
    }
    path = os.pathsep.join(filter(None, [str(folder), found.get("PYTHONPATH", "")]))
    own = {"PYTHONPATH": path, "AIRFLOW_HOME": str(home), "HOME": str(home), "COLUMNS": "300"}
    connections = {"CHAT": "http", "SES": "aws", "REST": "http", "AWS": "aws", "MAIL": "smtp"}
    own |= {f"AIRFLOW_CONN_{name}": json.dumps({"conn_type": kind}) for name, kind in connections.items()}
    return {**found, **own}


@pytest.fixture(scope="module")
def said(env: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What was raised, by what needs an extra."""
    done = subprocess.run(
        [sys.executable, "-c", SEND],
        cwd=tmp_path_factory.mktemp("files"),
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    ("what", "message", "extra"),
    [
        ("chat", "A channel of type slack needs slack_sdk, which is not installed.", "slack"),
        ("mail", "A mail by Amazon SES needs boto3, which is not installed.", "ses"),
        ("rest", "A channel of type apprise needs apprise, which is not installed.", "apprise"),
        ("report", "Sending reports to Slack needs slack_sdk, which is not installed.", "slack"),
        ("bucket", "The path s3://aws@reports/dbt needs s3fs, which is not installed.", "s3"),
        ("raw", "The file s3://aws@raw/*.csv needs s3fs, which is not installed.", "s3"),
        ("parquet", "The file a.parquet needs pyarrow, which is not installed.", "parquet"),
    ],
)
def test_what_needs_an_extra_says_how_to_install_it(
    said: dict[str, str], what: str, message: str, extra: str
) -> None:
    """And nothing else is touched by that: the modules with both kinds of channels are imported."""
    assert said[what] == f'{message}\npip install "goldsmith[{extra}]"'


def test_a_storage_of_another_provider_says_which(said: dict[str, str]) -> None:
    """There is no extra for it."""
    package = "apache-airflow-providers-google"
    assert said["google"] == (
        f"The file gs://google@raw/a.csv needs {package}, which is not installed.\npip install {package}"
    )


SPEC = """
name: shop
project: project
layers: {}
gate: node
alerts:
  channels:
    chat: {type: slack, connection: chat}
    aws_mail: {type: email, connection: ses, to: a@example.com}
    mail: {type: email, connection: mail, to: a@example.com}
  routes: [{channels: [chat, aws_mail, mail]}]
ingest:
  - {source: lake.a, file: "s3://aws@raw/*.csv", key: [id], columns: [id]}
  - {source: lake.b, file: in/b, format: parquet, key: [id], columns: [id]}
report:
  publish: ["s3://aws@reports/dbt"]
  send: [{type: slack, connection: chat, to: "#data"}]
"""
DAG = (
    '"""Airflow DAG."""\nfrom goldsmith import build_dag\nshop = build_dag(__file__.replace(".py", ".yml"))\n'
)


def test_check_names_every_missing_extra(env: dict[str, str], tmp_path: Path) -> None:
    """The type of a mail's connection is Airflow's to know; mails by SMTP need nothing."""
    (tmp_path / "project" / "models").mkdir(parents=True)
    (tmp_path / "project" / "models" / "one.sql").write_text("select 1 as id")
    (tmp_path / "project" / "models" / "lake.yml").write_text(
        "sources: [{name: lake, tables: [{name: a}, {name: b}]}]\n"
    )
    (tmp_path / "project" / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "shop.py").write_text(DAG)
    (tmp_path / "dags" / "shop.yml").write_text(SPEC)
    done = subprocess.run(
        [sys.executable, "-m", "goldsmith.cli", "check"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    found = [
        (line.partition(": packages ")[2], hint)
        for line, hint in pairwise(lines)
        if line.startswith("fail shop: packages ")
    ]
    assert found == [
        (f"{what}, which is not installed.", f'pip install "goldsmith[{extra}]"')
        for what, extra in (
            ("The alert channel chat needs slack_sdk", "slack"),
            ("`report.send` by slack needs slack_sdk", "slack"),
            ("The path s3://aws@reports/dbt needs s3fs", "s3"),
            ("The file s3://aws@raw/*.csv needs s3fs", "s3"),
            ("The file in/b needs pyarrow", "parquet"),
            ("The alert channel aws_mail (connection ses, Amazon SES) needs boto3", "ses"),
        )
    ], done.stdout + done.stderr
    assert done.returncode == 2
