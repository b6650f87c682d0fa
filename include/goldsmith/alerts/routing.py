"""Which routes an event takes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from goldsmith.alerts.event import Event
from goldsmith.plan.model import PlannedNode
from goldsmith.spec.alerts import Alerts, Route


def routes_of(event: Event, alerts: Alerts) -> list[Route]:
    """The routes that an event takes, in the order of the spec."""
    return [route for route in alerts.routes if not reasons_against(event, route)]


def reasons_against(event: Event, route: Route) -> list[str]:
    """Why an event does not take a route; nothing where it does."""
    found = [] if event.kind in route.wanted else [f"it does not take {event.kind}"]
    for what, wanted, values in (
        ("owner", route.owners, [event.owner]),
        ("dbt group", route.groups, [event.group]),
        ("tags", route.tags, event.tags),
        ("layer", route.layers, [event.layer]),
        ("severity", route.severities, [event.severity]),
        ("environment", route.environments, [event.environment]),
    ):
        if wanted and not _any_matches(values, wanted):
            is_now = ", ".join(value for value in values if value) or "none"
            found.append(f"its {what} would have to be {' or '.join(wanted)}, and is {is_now}")
    return found


def _any_matches(values: Sequence[str], patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(value, pattern) for pattern in patterns for value in values)


def names_without_nodes(alerts: Alerts, nodes: Sequence[PlannedNode]) -> list[str]:
    """What routes name of nodes, and no node has: such a route hears of none."""
    known = {
        "owners": {node.owner for node in nodes},
        "groups": {node.dbt_group for node in nodes},
        "tags": {tag for node in nodes for tag in node.tags},
        "layers": {node.layer for node in nodes},
    }
    return [
        f"{pattern} of the {key} of {route.name}"
        for route in alerts.routes
        for key, values in known.items()
        for pattern in getattr(route, key)
        if not _any_matches(sorted(values), [pattern])
    ]
