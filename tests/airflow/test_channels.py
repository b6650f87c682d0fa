"""What channels make of a message, and of what they are answered."""

from __future__ import annotations

import json
from smtplib import SMTPException, SMTPRecipientsRefused, SMTPSenderRefused

import pytest

from goldsmith.alerts.channels.email import _is_for_now
from goldsmith.alerts.channels.request import without_secrets
from goldsmith.alerts.channels.teams import card
from goldsmith.alerts.event import Event
from goldsmith.alerts.message import Message
from goldsmith.report.publish import _folder
from goldsmith.results.record import FailingRows


def test_a_card_for_teams_has_as_many_events_as_it_has_room_for() -> None:
    """Letters of other alphabets are several bytes each."""
    rows = FailingRows(columns=("名前",), rows=tuple(("顧客番号が見つかりません" * 5,) for _ in range(5)))
    events = [
        Event(
            kind="model_failed",
            subject=f"model.shop.m{n}",
            title=f"model m{n} failed",
            pipeline="shop",
            run_id="r1",
            message="失敗しました。" * 200,
            rows=rows,
        )
        for n in range(20)
    ]
    made = card(Message.of("all", events))
    assert 10_000 < len(json.dumps(made).encode()) < 28_000
    assert "Also: " in str(made)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/services/T000/B000/verysecret",
        "https://user:verysecret@example.com/hook",
        "https://example.com/hook?token=verysecret",
    ],
)
def test_what_a_service_repeats_of_its_address_is_not_told(url: str) -> None:
    """A page that is not found names its path."""
    for said in (
        f"Cannot POST {url}",
        "Cannot POST /services/T000/B000/verysecret",
        "token=verysecret",
        "verysecret",
    ):
        if said.split(" ")[-1].strip("/") in url:
            assert "verysecret" not in without_secrets(said, url)
    assert without_secrets("no such channel", url) == "no such channel"


@pytest.mark.parametrize(
    ("error", "passes"),
    [
        (SMTPRecipientsRefused({"a@b": (450, b"greylisted"), "c@d": (451, b"later")}), True),
        (SMTPRecipientsRefused({"a@b": (450, b"greylisted"), "c@d": (550, b"unknown")}), False),
        (SMTPSenderRefused(452, b"no space", "a@b"), True),
        (SMTPSenderRefused(553, b"not allowed", "a@b"), False),
    ],
)
def test_a_mail_server_that_refuses_for_now_is_asked_again(error: SMTPException, *, passes: bool) -> None:
    """As greylisting does."""
    assert _is_for_now(error) == passes


@pytest.mark.parametrize(("run_id", "folder"), [("..", "run_.."), ("latest", "run_latest"), ("a+b", "a_b")])
def test_no_run_is_published_into_anothers_place(run_id: str, folder: str) -> None:
    """Whatever a run is called."""
    assert _folder(run_id) == folder
