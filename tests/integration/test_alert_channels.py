"""Channels, each against a real counterpart on loopback: web services, a mail server with TLS and login, Amazon SES."""

from __future__ import annotations

import email
import json
import time
from collections.abc import Callable, Iterator
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from tests.integration.mailbox import Mailbox
from tests.unit.alerts.receiver import Receiver

from goldsmith.alerts.channels import sender
from goldsmith.alerts.channels.email import Mail, send_mail
from goldsmith.alerts.deliver import deliver
from goldsmith.alerts.event import Event
from goldsmith.alerts.message import Message
from goldsmith.errors import ConfigurationError, EnvironmentProblem, MayPass
from goldsmith.results.record import FailingRows
from goldsmith.spec.alerts import Alerts, Channel

pytestmark = pytest.mark.integration

SECRET = "T000/B000/verysecret"


@pytest.fixture(autouse=True)
def _airflow() -> None:
    import airflow.settings  # noqa: F401 - sets up logging, which is to happen before a test reads its log


@pytest.fixture
def service() -> Iterator[Receiver]:
    """A web service."""
    with Receiver() as made:
        yield made


@pytest.fixture
def failed() -> Event:
    """A failed test, with all that can be known of one."""
    return Event(
        kind="test_failed",
        subject="test.shop.not_null_orders_id",
        title="test not_null_orders_id failed",
        pipeline="shop",
        run_id="manual__2026-11-28T12:00:00+00:00",
        environment="prod",
        name="not_null_orders_id",
        task_id="silver.orders.not_null_id",
        layer="silver",
        owner="finance",
        message="Got 2 results, configured to fail if != 0 <&>",
        rows=FailingRows(columns=("id", "customer"), rows=(("", "ann"), ("", "<b>bob</b>"))),
        since="2026-11-28T11:00:00+00:00",
        last_green="scheduled__2026-11-28T10:00:00+00:00",
        blocks=("fct_orders", "revenue"),
        links={"task": "http://airflow/task", "run": "http://airflow/run", "runbook": "http://wiki/orders"},
        command="dbt build --select not_null_orders_id",
    )


@pytest.fixture
def message(failed: Event) -> Message:
    """The failed test and a model that is green again."""
    green = Event(
        kind="recovered",
        subject="model.shop.a",
        title="a is green again",
        pipeline="shop",
        run_id="r",
        name="a",
    )
    return Message.of("finance", [green, failed])


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Make an Airflow connection `chan`, and give its name."""

    def make(**fields: Any) -> str:
        monkeypatch.setenv("AIRFLOW_CONN_CHAN", json.dumps({"conn_type": "http", **fields}))
        return "chan"

    return make


def test_slack_gets_blocks_by_its_webhook(
    service: Receiver, connection: Callable[..., str], message: Message
) -> None:
    """Within Slack's limits, and with its signs escaped."""
    channel = Channel(type="slack", connection=connection(host=f"{service.url}/services", password=SECRET))
    sender(channel)(channel, message)
    [sent] = service.requests
    assert sent.path == f"/services/{SECRET}"
    assert sent.body["text"] == "[prod] shop: 1 test failed, 1 recovered"
    blocks = sent.body["blocks"]
    assert [one["type"] for one in blocks] == [
        "header",
        "divider",
        "section",
        "actions",
        "divider",
        "section",
    ]
    words = blocks[2]["text"]["text"]
    assert "fail if != 0 &lt;&amp;&gt;" in words
    assert "&lt;b&gt;bob&lt;/b&gt;" in words
    assert "owner: finance" in words
    assert [button["url"] for button in blocks[3]["elements"]] == [
        "http://airflow/task",
        "http://airflow/run",
        "http://wiki/orders",
    ]


def test_a_hundred_events_stay_within_slacks_and_teams_limits(failed: Event) -> None:
    """50 blocks of 3,000 letters, and 28 KB."""
    from goldsmith.alerts.channels.slack import blocks
    from goldsmith.alerts.channels.teams import card

    many = Message.of("r", [Event.from_dict({**failed.to_dict(), "message": "x" * 5000})] * 100)
    found = blocks(many)
    assert len(found) <= 50
    assert all(len(one["text"]["text"]) <= 3000 for one in found if "text" in one)
    assert len(json.dumps(card(many)).encode()) < 28_000
    assert len(many.html) < 200_000


def test_slack_gets_them_as_a_bot(
    service: Receiver, connection: Callable[..., str], message: Message
) -> None:
    """In the channel that is named; without one it says so."""
    service.reply = '{"ok": true}'
    bot = connection(password="xoxb-secret", extra=json.dumps({"base_url": f"{service.url}/api/"}))
    channel = Channel(type="slack", connection=bot, to=("#data",))
    sender(channel)(channel, message)
    [sent] = service.requests
    assert sent.path == "/api/chat.postMessage"
    assert sent.headers["Authorization"] == "Bearer xoxb-secret"
    assert sent.body["channel"] == "#data"
    nowhere = Channel(type="slack", connection=bot)
    with pytest.raises(ConfigurationError, match="does not say where it posts"):
        sender(nowhere)(nowhere, message)


def test_teams_gets_an_adaptive_card(
    service: Receiver, connection: Callable[..., str], message: Message
) -> None:
    """As a workflow of Teams takes it."""
    channel = Channel(type="teams", connection=connection(password=f"{service.url}/workflows/1?sig=secret"))
    sender(channel)(channel, message)
    [sent] = service.requests
    assert sent.path == "/workflows/1?sig=secret"
    [attachment] = sent.body["attachments"]
    assert (sent.body["type"], attachment["contentType"]) == (
        "message",
        "application/vnd.microsoft.card.adaptive",
    )
    card = attachment["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.4")
    assert {one["type"] for one in card["body"]} == {"TextBlock", "FactSet"}
    assert card["actions"][0]["url"] == "http://airflow/task"


def test_pagerduty_triggers_and_resolves_with_one_key(
    service: Receiver, connection: Callable[..., str], failed: Event
) -> None:
    """An incident for each failure; what finished or waits is none."""
    name = connection(host=service.url, password="routing-key")
    channel = Channel(type="pagerduty", connection=name)
    over = Event.from_dict({**failed.to_dict(), "kind": "recovered", "rows": None})
    ended = Event.from_dict({**failed.to_dict(), "kind": "run_finished", "rows": None})
    sender(channel)(channel, Message.of("r", [failed, ended]))
    sender(channel)(channel, Message.of("r", [over]))
    trigger, resolve = (one.body for one in service.requests)
    assert [one.path for one in service.requests] == ["/v2/enqueue"] * 2
    assert (trigger["event_action"], resolve["event_action"]) == ("trigger", "resolve")
    assert trigger["dedup_key"] == resolve["dedup_key"] == "prod/shop/test.shop.not_null_orders_id"
    assert trigger["routing_key"] == "routing-key"
    assert {"summary", "source", "severity"} <= set(trigger["payload"])
    assert trigger["payload"]["severity"] in ("critical", "error", "warning", "info")
    assert trigger["links"][0] == {"href": "http://airflow/task", "text": "task"}


def test_a_web_service_gets_events_as_json(
    service: Receiver, connection: Callable[..., str], message: Message
) -> None:
    """With the connection's token and headers."""
    extra = json.dumps({"headers": {"X-Team": "data"}})
    channel = Channel(
        type="webhook", connection=connection(host=f"{service.url}/hook", password="token", extra=extra)
    )
    sender(channel)(channel, message)
    [sent] = service.requests
    assert (sent.path, sent.headers["Authorization"], sent.headers["X-Team"]) == (
        "/hook",
        "Bearer token",
        "data",
    )
    assert [one["kind"] for one in sent.body["events"]] == ["test_failed", "recovered"]
    assert sent.body["events"][0]["rows"]["rows"] == [["", "ann"], ["", "<b>bob</b>"]]


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # a library of Apprise's
def test_apprise_knows_the_rest(service: Receiver, connection: Callable[..., str], message: Message) -> None:
    """By its own URLs; one that it does not know is told."""
    channel = Channel(
        type="apprise", connection=connection(password=service.url.replace("http", "json") + "/notify")
    )
    sender(channel)(channel, message)
    [sent] = service.requests
    assert sent.body["title"] == "[prod] shop: 1 test failed, 1 recovered"
    connection(password="pigeon://roof")
    with pytest.raises(ConfigurationError, match="is no Apprise URL"):
        sender(channel)(channel, message)


@pytest.fixture
def mailbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    """The mail server, whose certificate is trusted."""
    with Mailbox(tmp_path) as made:
        monkeypatch.setenv("SSL_CERT_FILE", str(made.ca))
        yield made


def smtp(mailbox: Mailbox, connection: Callable[..., str], **differing: Any) -> Channel:
    """The channel to the mail server."""
    name = connection(**{**mailbox.connection(), **differing})
    return Channel(type="email", connection=name, to=("data@example.com", "boss@example.com"))


def test_a_mail_goes_by_smtp_with_tls_and_login(
    mailbox: Mailbox, connection: Callable[..., str], message: Message, tmp_path: Path
) -> None:
    """As HTML that loads nothing, with files where there are any."""
    channel = smtp(mailbox, connection)
    sender(channel)(channel, message)
    report = tmp_path / "report.html"
    report.write_text("<p>a report</p>")
    send_mail(
        channel, Mail(subject="The report", text="", html="<p>See the file.</p>", attachments=(report,))
    )
    alert, with_file = mailbox.mails
    assert mailbox.recipients == ["data@example.com", "boss@example.com"] * 2
    assert alert["Subject"] == "[prod] shop: 1 test failed, 1 recovered"
    html = alert.get_body(("html",))
    assert html is not None
    text = html.get_content()
    assert "&lt;b&gt;bob&lt;/b&gt;" in text
    assert "<script" not in text
    assert 'src="' not in text
    [attached] = with_file.iter_attachments()
    assert attached.get_filename() == "report.html"
    assert attached.get_content() == b"<p>a report</p>"


def test_a_mail_server_that_refuses_the_login_is_told_without_the_password(
    mailbox: Mailbox, connection: Callable[..., str], message: Message
) -> None:
    """And not tried again: it would refuse that too."""
    channel = smtp(mailbox, connection, password="wrong-password")
    with pytest.raises(EnvironmentProblem, match="refuses") as caught:
        sender(channel)(channel, message)
    assert not isinstance(caught.value, MayPass)
    assert "wrong-password" not in str(caught.value)


def test_a_mail_goes_by_amazon_ses(connection: Callable[..., str], message: Message) -> None:
    """Text and HTML, and files."""
    from moto.core.models import DEFAULT_ACCOUNT_ID
    from moto.server import ThreadedMotoServer
    from moto.ses.models import ses_backends

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        extra = {"region_name": "eu-west-1", "endpoint_url": f"http://{host}:{port}"}
        aws = connection(conn_type="aws", login="key", password="aws-secret", extra=json.dumps(extra))
        channel = Channel(type="email", connection=aws, to=("data@example.com",), sender="alerts@example.com")
        backend = ses_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"]
        with pytest.raises(EnvironmentProblem, match="MessageRejected"):
            sender(channel)(channel, message)
        backend.verify_email_identity("alerts@example.com")
        sender(channel)(channel, message)
        [sent] = backend.sent_messages
    finally:
        server.stop()
    mail = email.message_from_string(sent.raw_data, policy=default)
    assert (mail["From"], mail["To"]) == ("alerts@example.com", "data@example.com")
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    with pytest.raises(ConfigurationError, match="needs a sender"):
        send_mail(channel.model_copy(update={"sender": ""}), Mail(subject="", text="", html=""))


def test_a_secret_in_what_dbt_said_is_masked(
    service: Receiver, connection: Callable[..., str], failed: Event
) -> None:
    """In its message and in rows; and the address of a receiver is in no error."""
    from airflow.sdk.log import mask_secret

    mask_secret("hunter2secret")
    alerts = Alerts.model_validate(
        {"channels": {"hook": {"type": "webhook", "connection": connection(host=f"{service.url}/{SECRET}")}}}
    )
    told = Event.from_dict(
        {**failed.to_dict(), "message": "password=hunter2secret", "title": "hunter2secret"}
    )
    deliver(alerts, "hook", "r", [told])
    assert "hunter2secret" not in json.dumps(service.requests[0].body)
    hidden = alerts.model_copy(update={"failing_rows": False})
    deliver(hidden, "hook", "r", [told])
    assert service.requests[1].body["events"][0]["rows"] is None
    service.answers = [403]
    done = deliver(alerts, "hook", "r", [told])
    assert "answers 403" in done.error
    assert SECRET not in done.error


def test_a_receiver_that_is_slow_or_absent_is_given_up(
    service: Receiver, connection: Callable[..., str], failed: Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its time, with an error that says which."""
    monkeypatch.setattr("goldsmith.alerts.channels.request.TIMEOUT", 0.3)
    monkeypatch.setattr("goldsmith.alerts.deliver._WAIT", 0.01)
    channels = {"hook": {"type": "webhook", "connection": connection(host=service.url)}}
    alerts = Alerts.model_validate({"channels": channels})
    service.delay = 2.0
    began = time.monotonic()
    assert deliver(alerts, "hook", "r", [failed]).error == "127.0.0.1 does not answer: ReadTimeout"
    assert time.monotonic() - began < 20
    connection(host="http://127.0.0.1:9")
    assert deliver(alerts, "hook", "r", [failed]).error == "127.0.0.1 does not answer: ConnectError"
    monkeypatch.delenv("AIRFLOW_CONN_CHAN")
    assert "Airflow has no connection 'chan'" in deliver(alerts, "hook", "r", [failed]).error


def test_what_a_service_repeats_of_a_request_is_masked(
    service: Receiver, connection: Callable[..., str], failed: Event, caplog: pytest.LogCaptureFixture
) -> None:
    """Headers, the token, the address: in the error, which becomes the task's return value, and in the log."""
    extra = {"headers": {"X-Api-Key": "key-of-planted", "X-Quoted": 'a "planted" one'}}
    service.echoes = "/in"
    channel = connection(
        host=f"{service.url}/in?code=planted-code", password="planted-token", extra=json.dumps(extra)
    )
    alerts = Alerts.model_validate({"channels": {"hook": {"type": "webhook", "connection": channel}}})
    done = deliver(alerts, "hook", "r", [failed])
    assert "answers 403" in done.error
    assert service.requests[0].headers["X-Api-Key"] == "key-of-planted"
    for text in (done.error, caplog.text):
        assert "***" in text
        assert "planted" not in text
