"""What a spec says about alerts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from goldsmith.spec.alerts import Alerts, Quiet

MAIL = {"data": {"type": "email", "connection": "smtp_default", "to": "data@example.com"}}


def test_a_route_without_more_takes_what_is_wrong_to_the_log() -> None:
    """And is named by its place."""
    [route] = Alerts.model_validate({"routes": [{}]}).routes
    assert Alerts().routes == (route,)
    assert (route.name, route.channels) == ("route_1", ("log",))
    assert "model_failed" in route.wanted
    assert not {"run_finished", "test_warned"} & route.wanted


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"channels": {"data": {"type": "email", "connection": "smtp_default"}}}, "needs `to`"),
        ({"channels": {"data": {"type": "slack"}}}, "needs a `connection`"),
        ({"channels": {"data": {**MAIL["data"], "to": "somebody"}}}, "'somebody' is no e-mail address"),
        ({"channels": {"x": {"type": "pagerduty", "connection": "pd", "to": "a@b"}}}, "`to` means nothing"),
        ({"channels": {"log": {"type": "log"}}}, "choose another name"),
        ({"channels": {"x": {"type": "pigeon"}}}, "Input should be 'log', 'email'"),
        ({"channels": MAIL, "routes": [{"channels": "dat"}]}, "Did you mean data?"),
        ({"routes": [{"events": "model_fail"}]}, "Did you mean model_failed?"),
        ({"routes": [{"severities": "fatal"}]}, "is no severity of a test"),
        ({"routes": []}, "without routes nobody hears anything"),
        ({"routes": [{"name": "a"}, {"name": "a"}]}, "two routes are called 'a'"),
        ({"routes": [{"quiet": {"after": "25:00", "until": "07:00"}}]}, "is not a time of day"),
        ({"routes": [{"quiet": {"after": "22:00", "until": "07:00", "timezone": "Mars"}}]}, "no time zone"),
        ({"runbook": "wiki/{node}"}, "is no URL"),
        ({"routes": [{"channels": []}]}, "a route leads to a channel"),
        ({"runbook": "https://wiki/{model}"}, "may hold {node}, {owner} and {pipeline}"),
    ],
)
def test_what_cannot_be_is_refused(values: dict[str, Any], said: str) -> None:
    """With what to write instead."""
    with pytest.raises(ValidationError) as caught:
        Alerts.model_validate(values)
    assert said in str(caught.value)


def test_the_example_of_the_docs_stays_what_it_is_on_its_way_through_json(repository: Path) -> None:
    """Deadlines carry the alerts so, and samples."""
    text = (repository / "docs" / "alerts.md").read_text()
    example = yaml.safe_load(text.split("```yaml")[1].split("```")[0])["alerts"]
    alerts = Alerts.model_validate(example)
    assert any(route.quiet for route in alerts.routes)
    assert Alerts.model_validate(json.loads(alerts.model_dump_json())) == alerts


@pytest.mark.parametrize(
    ("after", "until", "hour", "expected"),
    [
        ("22:00", "07:00", 23, True),
        ("22:00", "07:00", 6, True),
        ("22:00", "07:00", 7, False),
        ("22:00", "07:00", 12, False),
        ("12:00", "14:00", 12, True),
        ("12:00", "14:00", 14, False),
    ],
)
def test_quiet_hours_may_go_over_midnight(after: str, until: str, hour: int, *, expected: bool) -> None:
    """Their end does not belong to them."""
    quiet = Quiet.model_validate({"after": after, "until": until, "timezone": "Europe/Berlin"})
    moment = datetime(2026, 1, 10, hour - 1, 30 if hour == 23 else 0, tzinfo=UTC)  # Berlin is an hour ahead
    assert quiet.holds(moment) == expected
