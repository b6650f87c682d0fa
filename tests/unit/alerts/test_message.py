"""What a message says."""

from __future__ import annotations

from collections.abc import Callable

from goldsmith.alerts.event import Event
from goldsmith.alerts.message import Message
from goldsmith.results.record import FailingRows


def test_one_event_is_the_subject_and_several_are_counted(event: Callable[..., Event]) -> None:
    """What is worst comes first."""
    assert Message.of("r", [event()]).subject == "[prod] shop: model orders failed"
    message = Message.of("r", [event(kind="recovered"), event(kind="gate_blocked"), event(), event()])
    assert message.subject == "[prod] shop: 2 models failed, 1 gate blocked, 1 recovered"
    assert message.events[0].kind == "model_failed"
    assert Message.of("r", [event(kind="recovered", environment="")]).is_bad is False


def test_the_text_holds_what_a_person_needs(event: Callable[..., Event], rows: FailingRows) -> None:
    """Message, rows, owner, since when, what is held back, how to reproduce it, links."""
    text = Message.of("r", [event(rows=rows, since="2026-11-28T11:00:00+00:00", last_green="r0")]).text
    for part in (
        "division by zero",
        "id  customer\n    1\n    22  ann",
        "owner: finance",
        "since: 2026-11-28T11:00:00+00:00",
        "last green: r0",
        "holds back: revenue, fct_orders",
        "reproduce: dbt build --select orders",
        "task: http://airflow/task",
    ):
        assert part in text


def test_of_many_events_the_first_are_told_and_the_others_named(event: Callable[..., Event]) -> None:
    """So that a mail stays a mail."""
    message = Message.of("r", [event(subject=f"{n:03}", title=f"model m{n:03} failed") for n in range(100)])
    assert message.text.count("division by zero") == 20
    assert "model m059 failed" in message.text
    assert "and 40 more" in message.text


def test_the_html_escapes_what_dbt_said_and_loads_nothing(
    event: Callable[..., Event], rows: FailingRows
) -> None:
    """Mail programs show it as it is meant."""
    html = Message.of("r", [event(rows=rows, title="<script>alert(1)</script>")]).html
    assert "<script" not in html
    assert "division by zero &lt;at&gt; line 3 &amp; more" in html
    assert 'href="http://airflow/task"' in html
    assert "http" not in html.replace("http://airflow", "")


def test_an_event_survives_its_way_through_json(event: Callable[..., Event], rows: FailingRows) -> None:
    """As it is kept until quiet hours are over."""
    for one in (event(), event(rows=rows)):
        assert Event.from_dict(one.to_dict()) == one
