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
        self.folder = folder
        self.heard = heard

    @property
    def ledger(self) -> Ledger:
        """As each task has one of its own."""
        return Ledger(str(self.folder), "shop")

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


def test_an_urgent_alert_that_could_not_be_sent_is_told_with_the_run_and_counted(
    tmp_path: Path, heard: Receiver, event: Callable[..., Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is lost with the callback; another callback may try too."""
    monkeypatch.setattr("goldsmith.alerts.deliver._WAIT", 0.01)
    shop = Pipeline(tmp_path, heard, routes=[{"channels": "hook", "urgent": True}])
    heard.answers = [503] * 4
    shop.tell_at_once(event())
    heard.answers = [503] * 4
    done = Dispatch(alerts=shop.alerts, ledger=shop.ledger, now=NOON).tell([event()], {})
    assert ["answers 503" in one.error for one in done] == [True]
    assert shop.tell_at_once(event()) == [["model orders failed"]]
    assert shop.tell(event()) == []


def test_what_was_told_at_once_and_is_mended_before_the_runs_end_is_told_to_be_over(
    tmp_path: Path, heard: Receiver, event: Callable[..., Event]
) -> None:
    """The run's end sees no failure any more."""
    shop = Pipeline(tmp_path, heard, routes=[{"channels": "hook", "urgent": True}])
    shop.tell_at_once(event())
    assert list(shop.ledger.incidents()) == [event().key]
    assert shop.tell(recovered=(event(),)) == [["orders is green again"]]
    assert shop.ledger.incidents() == {}


def test_who_could_not_be_told_that_it_is_over_is_told_later(
    tmp_path: Path, heard: Receiver, event: Callable[..., Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nobody else is told twice."""
    monkeypatch.setattr("goldsmith.alerts.deliver._WAIT", 0.01)
    spec = {"channels": {"hook": HOOK, "other": {**HOOK, "connection": "other"}}}
    shop = Pipeline(tmp_path, heard, **spec, routes=[{"channels": ["hook", "other"]}])
    shop.tell(event())
    heard.answers = [200, 503, 503, 503, 503]
    shop.tell(recovered=(event(run_id="manual__2"),))
    [incident] = shop.ledger.incidents().values()
    assert incident.channels == ("other",)
    heard.requests.clear()
    assert shop.tell(recovered=(event(run_id="manual__3"),)) == [["orders is green again"]]
    assert [one.path for one in heard.requests] == ["/other"]
    assert shop.ledger.incidents() == {}


def test_within_a_run_it_may_fail_and_recover_again_and_again(
    tmp_path: Path, heard: Receiver, event: Callable[..., Event]
) -> None:
    """Each time is news."""
    shop = Pipeline(tmp_path, heard, routes=[{"channels": "hook"}])
    for _ in range(3):
        assert shop.tell(event()) == [["model orders failed"]]
        assert shop.tell(recovered=(event(),)) == [["orders is green again"]]


@pytest.mark.parametrize(("kind", "sent"), [("pagerduty", 2), ("webhook", 1)])
def test_an_incident_in_pagerduty_is_closed_whatever_events_its_route_takes(
    tmp_path: Path,
    heard: Receiver,
    event: Callable[..., Event],
    monkeypatch: pytest.MonkeyPatch,
    *,
    kind: str,
    sent: int,
) -> None:
    """Others hear that it is over where they have asked for that."""
    connection = {"conn_type": "http", "host": f"{heard.url}/pager", "password": "key"}
    monkeypatch.setenv("AIRFLOW_CONN_PAGER", json.dumps(connection))
    channels = {"pager": {"type": kind, "connection": "pager"}}
    shop = Pipeline(
        tmp_path, heard, channels=channels, routes=[{"channels": "pager", "events": "model_failed"}]
    )
    now = Dispatch(alerts=shop.alerts, ledger=shop.ledger, now=NOON)
    now.tell([event()], {})
    over = replace(event(run_id="manual__2"), kind="recovered")
    now.tell([], {over.key: over})
    assert len(heard.requests) == sent
    assert shop.ledger.incidents() == {}
    if kind == "pagerduty":
        keys = [(one.body["event_action"], one.body["dedup_key"]) for one in heard.requests]
        assert keys == [(action, f"prod/{event().key}") for action in ("trigger", "resolve")]


def test_a_missed_deadline_is_told_once_and_waits_where_it_cannot_be(
    tmp_path: Path, heard: Receiver, event: Callable[..., Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the end of quiet hours, or for a receiver that is down; who knew of an earlier miss still knows."""
    monkeypatch.setattr("goldsmith.alerts.deliver._WAIT", 0.01)
    quiet = {"after": "22:00", "until": "07:00"}
    shop = Pipeline(tmp_path, heard, routes=[{"channels": "hook", "quiet": quiet}])
    late = event(kind="deadline_missed", subject="deadline 06:00", title="deadline missed", name="")
    night = Dispatch(alerts=shop.alerts, ledger=shop.ledger, now=NIGHT)
    assert night.tell_missed(late) == []
    assert shop.tell() == [["deadline missed"]]
    noon = Dispatch(alerts=shop.alerts, ledger=shop.ledger, now=NOON)
    again = replace(late, run_id="manual__2")
    heard.answers = [503] * 4
    assert [bool(one.error) for one in noon.tell_missed(again)] == [True]
    assert shop.ledger.incidents()[late.key].channels == ("hook",)
    assert shop.tell() == [["deadline missed"]]
    third = replace(late, run_id="manual__3")
    assert [one.error for one in (*noon.tell_missed(third), *noon.tell_missed(third))] == [""]
    assert shop.ledger.waiting() == []


def test_what_failed_in_quiet_hours_and_fails_again_after_them_is_told_once(
    tmp_path: Path, heard: Receiver, event: Callable[..., Event]
) -> None:
    """But the ends of two runs are two."""
    quiet = {"after": "22:00", "until": "07:00"}
    taken = ["model_failed", "run_finished"]
    shop = Pipeline(tmp_path, heard, routes=[{"channels": "hook", "quiet": quiet, "events": taken}])
    ended = {"kind": "run_finished", "subject": "shop", "name": ""}
    for run_id in ("r1", "r2"):
        shop.tell(event(run_id=run_id), event(run_id=run_id, title=f"{run_id} has ended", **ended), now=NIGHT)
    [titles] = shop.tell(event(run_id="r3"), now=NOON)
    assert titles == ["model orders failed", "r1 has ended", "r2 has ended"]


def test_what_another_version_has_written_is_left_alone(
    tmp_path: Path, heard: Receiver, event: Callable[..., Event]
) -> None:
    """It says nothing here, and fails nothing."""
    shop = Pipeline(tmp_path, heard, routes=[{"channels": "hook"}])
    shop.tell(event())
    folder = tmp_path / "shop" / "~incidents"
    [file] = folder.iterdir()
    document = json.loads(file.read_text())
    document["event"]["colour"] = "red"
    (folder / "other.json").write_text(json.dumps(document))
    (folder / "broken.json").write_text("{")
    assert list(shop.ledger.incidents()) == [event().key]


def test_what_nobody_was_told_ends_without_a_word(
    tmp_path: Path, heard: Receiver, event: Callable[..., Event]
) -> None:
    """No route takes it; the others that are over are told all the same."""
    shop = Pipeline(tmp_path, heard, routes=[{"channels": "hook", "layers": "silver"}])
    lonely = event(subject="model.shop.a", layer="bronze")
    assert shop.tell(lonely, event()) == [["model orders failed"]]
    over = replace(lonely, run_id="manual__2"), event(run_id="manual__2")
    assert shop.tell(recovered=over) == [["orders is green again"]]
    assert shop.ledger.incidents() == {}


def test_who_was_told_before_quiet_hours_hears_that_it_is_over_although_a_repeat_was_held(
    tmp_path: Path, heard: Receiver, event: Callable[..., Event]
) -> None:
    """The repeat is no news any more."""
    quiet = {"after": "22:00", "until": "07:00"}
    shop = Pipeline(tmp_path, heard, routes=[{"channels": "hook", "quiet": quiet}])
    shop.tell(event())
    assert shop.tell(event(run_id="manual__2"), now=NIGHT) == []
    assert shop.tell(recovered=(event(run_id="manual__3"),)) == [["orders is green again"]]
    assert shop.ledger.waiting() == []


def test_a_deadline_that_could_not_be_told_is_told_although_the_run_ended_well(
    tmp_path: Path, heard: Receiver, event: Callable[..., Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a question that could not be sent is asked with the run's end."""
    monkeypatch.setattr("goldsmith.alerts.deliver._WAIT", 0.01)
    shop = Pipeline(tmp_path, heard, routes=[{"channels": "hook"}])
    late = event(kind="deadline_missed", subject="deadline 06:00", title="deadline missed", name="")
    heard.answers = [503] * 4
    Dispatch(alerts=shop.alerts, ledger=shop.ledger, now=NOON).tell_missed(late)
    assert shop.tell(recovered=(late,)) == [["deadline missed"]]
    assert (shop.ledger.waiting(), shop.ledger.incidents()) == ([], {})
    heard.answers = [503] * 4
    question = event(kind="gate_waiting", subject="silver.gate", title="a gate asks", name="")
    shop.tell_at_once(question)
    assert shop.tell() == [["a gate asks"]]


def test_what_waits_for_a_channel_that_is_gone_is_forgotten(
    tmp_path: Path, heard: Receiver, event: Callable[..., Event]
) -> None:
    """The others are told."""
    quiet = {"after": "22:00", "until": "07:00"}
    spec = {"channels": {"old": HOOK, "hook": HOOK}}
    routes = [{"name": "day", "channels": ["old", "hook"], "quiet": quiet}]
    Pipeline(tmp_path, heard, **spec, routes=routes).tell(event(), now=NIGHT)
    shop = Pipeline(tmp_path, heard, routes=[{"name": "day", "channels": "hook"}])
    assert shop.tell() == [["model orders failed"]]
    assert shop.ledger.waiting() == []


def test_what_the_runs_end_has_told_is_not_told_at_once_when_it_was_cleared(
    tmp_path: Path, heard: Receiver, event: Callable[..., Event]
) -> None:
    """A deadline of an earlier run that waits is no news, where that of a later one was told."""
    shop = Pipeline(tmp_path, heard, routes=[{"channels": "hook", "urgent": True}])
    assert shop.tell(event()) == [["model orders failed"]]
    assert shop.tell_at_once(event()) == []
    quiet = {"after": "22:00", "until": "07:00"}
    shop = Pipeline(tmp_path / "other", heard, routes=[{"channels": "hook", "quiet": quiet}])
    late = event(kind="deadline_missed", subject="deadline 06:00", title="deadline missed", name="")
    Dispatch(alerts=shop.alerts, ledger=shop.ledger, now=NIGHT).tell_missed(late)
    again = replace(late, run_id="manual__2")
    assert len(Dispatch(alerts=shop.alerts, ledger=shop.ledger, now=NOON).tell_missed(again)) == 1
    assert shop.tell() == []
