"""Who is told what, and that nobody hears a thing twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.unit.alerts.receiver import Receiver

from goldsmith.alerts.dispatch import Dispatch
from goldsmith.alerts.event import Event
from goldsmith.alerts.ledger import Ledger
from goldsmith.spec.alerts import Alerts

NOON, NIGHT = datetime(2026, 11, 28, 12, tzinfo=UTC), datetime(2026, 11, 28, 23, tzinfo=UTC)
HOOK = {"type": "webhook", "connection": "hook"}


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A web service that keeps what it is sent; the Airflow connections `hook` and `other` lead there."""
    with Receiver() as made:
        for name in ("hook", "other"):
            connection = {"conn_type": "http", "host": f"{made.url}/{name}"}
            monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
        yield made


class Pipeline:
    """A pipeline whose runs are told; the ledger is in a folder."""

    def __init__(self, folder: Path, heard: Receiver, **spec: Any) -> None:
        self.alerts = Alerts.model_validate({"channels": {"hook": HOOK}, **spec})
        self.ledger = Ledger(str(folder), "shop")
        self.heard = heard

    def tell(
        self, *events: Event, recovered: tuple[Event, ...] = (), now: datetime = NOON
    ) -> list[list[str]]:
        """Titles of the events of each message that arrived."""
        before = len(self.heard.requests)
        over = {
            one.key: replace(one, kind="recovered", title=f"{one.name} is green again") for one in recovered
        }
        Dispatch(alerts=self.alerts, ledger=self.ledger, now=now).tell(events, over)
        return self._titles(before)

    def tell_at_once(self, *events: Event) -> list[list[str]]:
        """The same, at the moment of a failure."""
        before = len(self.heard.requests)
        Dispatch(alerts=self.alerts, ledger=self.ledger, now=NOON).tell_at_once(events)
        return self._titles(before)

    def _titles(self, before: int) -> list[list[str]]:
        return [[one["title"] for one in sent.body["events"]] for sent in self.heard.requests[before:]]


def test_fifty_failures_are_one_message(tmp_path: Path, heard: Receiver, event: Callable[..., Event]) -> None:
    """And it holds all of them, for programs; a second telling of the run adds nothing."""
    shop = Pipeline(tmp_path, heard, routes=[{"channels": "hook"}])
    events = [event(subject=f"model.shop.m{n}", title=f"model m{n} failed") for n in range(50)]
    [titles] = shop.tell(*events)
    assert len(titles) == 50
    assert shop.tell(*events) == []
    assert "50 models failed" in heard.requests[0].body["subject"]


def test_a_channel_hears_an_event_once_whatever_routes_lead_there(
    tmp_path: Path, heard: Receiver, event: Callable[..., Event]
) -> None:
    """Each channel by the first route that matches."""
    spec = {"channels": {"hook": HOOK, "other": {**HOOK, "connection": "other"}}}
    routes = [{"name": "a", "channels": "hook"}, {"name": "b", "channels": ["hook", "other"]}]
    shop = Pipeline(tmp_path, heard, **spec, routes=routes)
    assert shop.tell(event()) == [["model orders failed"], ["model orders failed"]]
    assert [(one.path, one.body["route"]) for one in heard.requests] == [("/hook", "a"), ("/other", "b")]


def test_who_was_told_of_a_failure_is_told_that_it_is_over(
    tmp_path: Path, heard: Receiver, event: Callable[..., Event]
) -> None:
    """In the same run or the next, with the time since when; failing again it is told again."""
    shop = Pipeline(tmp_path, heard, routes=[{"channels": "hook"}])
    shop.tell(event())
    assert shop.tell(event(), recovered=(event(),)) == [["orders is green again"]]
    [told] = heard.requests[-1].body["events"]
    assert told["since"] == NOON.isoformat(timespec="seconds")
    assert shop.ledger.incidents() == {}
    assert shop.tell(event()) == [["model orders failed"]]
    assert shop.tell(recovered=(event(run_id="manual__2"),)) == [["orders is green again"]]


def test_a_failure_that_goes_on_says_since_when(
    tmp_path: Path, heard: Receiver, event: Callable[..., Event]
) -> None:
    """In each run's message."""
    shop = Pipeline(tmp_path, heard, routes=[{"channels": "hook"}])
    shop.tell(event(), now=NOON)
    shop.tell(event(run_id="manual__2"), now=NIGHT)
    assert [one.body["events"][0]["since"] for one in heard.requests] == [
        "",
        NOON.isoformat(timespec="seconds"),
    ]


def test_quiet_hours_hold_back_what_is_not_urgent(
    tmp_path: Path, heard: Receiver, event: Callable[..., Event]
) -> None:
    """It is told with the first run after them; what has recovered until then is never told."""
    quiet = {"after": "22:00", "until": "07:00"}
    routes: list[dict[str, Any]] = [{"name": "day", "channels": "hook", "quiet": quiet, "layers": "silver"}]
    routes += [{"name": "now", "channels": "hook", "quiet": quiet, "layers": "gold", "urgent": True}]
    shop = Pipeline(tmp_path, heard, routes=routes)
    first, second = event(), event(subject="model.shop.b", name="b", title="model b failed")
    assert shop.tell(
        first, second, event(layer="gold", subject="model.shop.g", title="gold failed"), now=NIGHT
    ) == [["gold failed"]]
    assert shop.tell(first, second, now=NIGHT) == []
    assert shop.tell(recovered=(second,), now=NIGHT) == []
    assert shop.tell(event(run_id="manual__2", subject="model.shop.c", title="model c failed"), now=NOON) == [
        ["model c failed", "model orders failed"]
    ]
    assert shop.ledger.waiting() == []


def test_what_is_urgent_is_told_at_once_and_once(
    tmp_path: Path, heard: Receiver, event: Callable[..., Event]
) -> None:
    """Airflow may call twice for one failure; the run's end then adds the others alone, and recovery is told."""
    routes = [{"name": "pager", "channels": "hook", "layers": "gold", "urgent": True}]
    routes += [{"name": "rest", "channels": "hook", "layers": "silver"}]
    shop = Pipeline(tmp_path, heard, routes=routes)
    gold, silver = event(layer="gold", subject="model.shop.g", name="g", title="gold failed"), event()
    assert shop.tell_at_once(gold, silver) == [["gold failed"]]
    assert shop.tell_at_once(gold) == []
    assert shop.tell(gold, silver) == [["model orders failed"]]
    assert shop.tell(silver, recovered=(gold,)) == [["g is green again"]]


def test_a_receiver_that_is_down_is_tried_again_and_then_given_up(
    tmp_path: Path, heard: Receiver, event: Callable[..., Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is raised; what could not be sent counts as not told, and the next run tells it."""
    monkeypatch.setattr("goldsmith.alerts.deliver._WAIT", 0.01)
    shop = Pipeline(tmp_path, heard, routes=[{"channels": "hook"}])
    heard.answers = [503, 503, 200]
    assert len(shop.tell(event())) == 3
    heard.answers = [503] * 4
    done = Dispatch(alerts=shop.alerts, ledger=shop.ledger, now=NOON).tell([event(run_id="manual__2")], {})
    assert ["answers 503" in one.error for one in done] == [True]
    heard.answers = [400]
    done = Dispatch(alerts=shop.alerts, ledger=shop.ledger, now=NOON).tell([event(run_id="manual__3")], {})
    assert ["answers 400" in one.error for one in done] == [True]
    assert shop.tell(event(run_id="manual__3")) == [["model orders failed"]]
