"""Where reports are carried: a folder, S3, a mail with files, Slack."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from tests.integration.mailbox import Mailbox
from tests.unit.alerts.receiver import Receiver

from goldsmith.errors import ConfigurationError, EnvironmentProblem
from goldsmith.report.publish import RunReports, put, send
from goldsmith.spec.report import Publish, Send

pytestmark = pytest.mark.integration

PAGE, LARGE = b"<p>a report</p>", b"<p>" + b"x" * 2_000_000


@pytest.fixture(autouse=True)
def _airflow() -> None:
    import airflow.settings  # noqa: F401 - sets up logging, which is to happen before a test reads its log


def reports(number: int = 1, **differing: Any) -> RunReports:
    """The reports of a run."""
    values: dict[str, Any] = {
        "dag_id": "shop",
        "run_id": f"scheduled__2026-11-{number:02}T00:00:00+00:00",
        "started": f"2026-11-{number:02}T00:00:00+00:00",
        "headline": "[prod] shop: success (9 green)",
        "files": {"report.html": PAGE, "elementary.html": LARGE},
        "links": {"report": "https://reports.example.com/x"},
    }
    return RunReports(**{**values, **differing})


def test_a_folder_has_the_latest_run_and_the_last_few(tmp_path: Path) -> None:
    """Names need no escaping in a URL; a run that is published again counts once."""
    target = Publish(to=str(tmp_path), keep=2, url="https://reports.example.com/")
    for number in (1, 2, 3, 3):
        placed = put(reports(number), target)
    run = "scheduled__2026-11-03T00_00_00_00_00"
    assert placed["report.html"] == f"https://reports.example.com/shop/{run}/report.html"
    kept = {path.parent.name for path in (tmp_path / "shop").glob("scheduled*/report.html")}
    assert kept == {"scheduled__2026-11-02T00_00_00_00_00", run}
    assert (tmp_path / "shop" / "latest" / "elementary.html").read_bytes() == LARGE
    put(reports(4, files={"report.html": PAGE}), target)
    assert [path.name for path in (tmp_path / "shop" / "latest").iterdir()] == ["report.html"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """With its name."""
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(EnvironmentProblem, match="cannot be"):
        put(reports(), Publish(to=str(tmp_path / "file")))


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An S3 with the bucket `reports`, and the Airflow connection `aws_reports`."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    extra = {"region_name": "us-east-1", "endpoint_url": f"http://{host}:{port}"}
    connection = {"conn_type": "aws", "login": "key", "password": "aws-secret", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_REPORTS", json.dumps(connection))
    client = boto3.client("s3", **extra, aws_access_key_id="key", aws_secret_access_key="aws-secret")
    client.create_bucket(Bucket="reports")
    yield client
    server.stop()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of aiobotocore
def test_s3_has_pages_that_a_browser_shows(s3: Any) -> None:
    """By an Airflow connection; those of older runs go."""
    target = Publish(to="s3://aws_reports@reports/dbt", keep=1)
    put(reports(1), target)
    placed = put(reports(2), target)
    assert placed["report.html"] == (
        "s3://aws_reports@reports/dbt/shop/scheduled__2026-11-02T00_00_00_00_00/report.html"
    )
    keys = {one["Key"] for one in s3.list_objects_v2(Bucket="reports")["Contents"]}
    assert keys == {
        *(
            f"dbt/shop/{run}/{name}"
            for run in ("latest", "scheduled__2026-11-02T00_00_00_00_00")
            for name in reports().files
        ),
        "dbt/shop/~published/runs",
    }
    latest = s3.get_object(Bucket="reports", Key="dbt/shop/latest/report.html")
    assert (latest["ContentType"], latest["Body"].read()) == ("text/html; charset=utf-8", PAGE)
    with pytest.raises(EnvironmentProblem, match="nowhere"):
        put(reports(), Publish(to="s3://aws_reports@nowhere/dbt"))


def test_a_mail_has_the_reports_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A large one zipped; without files it says where they are."""
    with Mailbox(tmp_path) as mailbox:
        monkeypatch.setenv("SSL_CERT_FILE", str(mailbox.ca))
        monkeypatch.setenv("AIRFLOW_CONN_MAIL", json.dumps(mailbox.connection()))
        to = Send(type="email", connection="mail", to=("data@example.com",))
        send(reports(), to)
        send(reports(), to.model_copy(update={"attach": False}))
        with_files, without = mailbox.mails
    assert with_files["Subject"] == "[prod] shop: success (9 green)"
    page, archive = with_files.iter_attachments()
    assert page.get_content() == PAGE
    assert archive.get_filename() == "elementary.html.zip"
    with zipfile.ZipFile(io.BytesIO(archive.get_content())) as opened:
        assert opened.read("elementary.html") == LARGE
    assert list(without.iter_attachments()) == []
    html = without.get_body(("html",))
    assert html is not None
    assert "https://reports.example.com/x" in html.get_content()


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Receiver, Callable[[str], None]]]:
    """Slack, and a function that sets the password of the connection `slack`."""
    with Receiver() as made:
        answer = {"ok": True, "upload_url": f"{made.url}/upload", "file_id": "F1", "files": [{"id": "F1"}]}
        made.reply = json.dumps(answer)

        def connect(password: str) -> None:
            extra = json.dumps({"base_url": f"{made.url}/api/"})
            monkeypatch.setenv(
                "AIRFLOW_CONN_SLACK", json.dumps({"conn_type": "slack", "password": password, "extra": extra})
            )

        connect("xoxb-secret")
        yield made, connect


def test_slack_gets_files_from_a_bot(slack: tuple[Receiver, Callable[[str], None]]) -> None:
    """A webhook takes none, and says so."""
    receiver, connect = slack
    to = Send(type="slack", connection="slack", to=("C0DATA",))
    send(reports(files={"report.html": PAGE}), to)
    paths = [request.path for request in receiver.requests]
    assert paths == ["/api/files.getUploadURLExternal", "/upload", "/api/files.completeUploadExternal"]
    assert PAGE.decode() in str(receiver.requests[1].body)
    assert "C0DATA" in str(receiver.requests[2].body)
    send(reports(), to.model_copy(update={"attach": False}))
    assert receiver.requests[-1].path == "/api/chat.postMessage"
    connect("T000/B000/XXX")
    with pytest.raises(ConfigurationError, match="from bots alone"):
        send(reports(), to)
