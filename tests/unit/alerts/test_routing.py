"""Which routes an event takes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.unit.report.conftest import planned

from goldsmith.alerts.event import Event
from goldsmith.alerts.routing import names_without_nodes, reasons_against, routes_of
from goldsmith.spec.alerts import Alerts, Route


@pytest.mark.parametrize(
    ("wanted", "is_taken"),
    [
        ({}, True),
        ({"owners": "finance"}, True),
        ({"owners": ["crm", "fin*"]}, True),
        ({"owners": "crm"}, False),
        ({"groups": "money"}, True),
        ({"tags": "pii"}, True),
        ({"tags": "hourly"}, False),
        ({"layers": "gold"}, False),
        ({"severities": "warn"}, False),
        ({"environments": "prod"}, True),
        ({"environments": "staging"}, False),
        ({"events": "test_failed"}, False),
        ({"owners": "finance", "layers": "gold"}, False),
    ],
)
def test_all_that_a_route_names_has_to_match(
    event: Callable[..., Event], wanted: dict[str, Any], *, is_taken: bool
) -> None:
    """Each of one kind may."""
    assert (not reasons_against(event(), Route.model_validate(wanted))) == is_taken


def test_an_event_takes_every_route_that_matches(event: Callable[..., Event]) -> None:
    """And why it does not take another can be said."""
    alerts = Alerts.model_validate(
        {"routes": [{"name": "a"}, {"name": "b", "owners": "crm", "layers": "gold"}, {"name": "c"}]}
    )
    assert [route.name for route in routes_of(event(), alerts)] == ["a", "c"]
    assert reasons_against(event(), alerts.routes[1]) == [
        "its owner would have to be crm, and is finance",
        "its layer would have to be gold, and is silver",
    ]
    assert reasons_against(event(kind="test_warned"), alerts.routes[0]) == ["it does not take test_warned"]


def test_what_no_node_has_is_found() -> None:
    """A mistyped layer would be an alert that nobody gets."""
    nodes = [planned("orders", "silver"), planned("lake", "sources", kind="source")]
    alerts = Alerts.model_validate(
        {"routes": [{"layers": ["silver", "gld"], "owners": "fin*"}, {"name": "b", "tags": "pii"}]}
    )
    assert names_without_nodes(alerts, nodes) == ["gld of the layers of route_1", "pii of the tags of b"]
