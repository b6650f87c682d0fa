"""PagerDuty: an incident for each event that is wrong, resolved when it has recovered; nothing else is sent there.

Format: Events API v2, https://developer.pagerduty.com/docs/send-alert-event
"""

from __future__ import annotations

from typing import Any

from goldsmith.alerts.channels.request import address_of, connection_of, post
from goldsmith.alerts.event import Event
from goldsmith.alerts.message import Message, event_text
from goldsmith.errors import ConfigurationError
from goldsmith.spec.alerts import RECOVERED, Channel

_DEFAULT = "https://events.pagerduty.com"
_SUMMARY = 1024  # letters


def send(channel: Channel, message: Message) -> None:
    """Trigger or resolve an incident for each event; the connection's password is the routing key."""
    connection = connection_of(channel.connection)
    if not connection.password:
        raise ConfigurationError(
            f"The Airflow connection {channel.connection!r} has no password: PagerDuty's routing key.",
            hint="The integration of type Events API v2 shows it.",
        )
    url = f"{address_of(connection, default=_DEFAULT)}/v2/enqueue"
    for event in message.events:
        if event.is_bad or event.kind == RECOVERED:
            post(url, request(event, routing_key=connection.password))


def request(event: Event, *, routing_key: str) -> dict[str, Any]:
    """The body of a request."""
    body: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": "resolve" if event.kind == RECOVERED else "trigger",
        "dedup_key": f"{event.environment}/{event.key}"[:255],
    }
    if event.kind == RECOVERED:
        return body
    return {
        **body,
        "payload": {
            "summary": f"[{event.environment}] {event.pipeline}: {event.title}"[:_SUMMARY],
            "source": event.pipeline,
            "severity": "warning" if event.severity == "warn" else "error",
            "component": event.name or event.subject,
            "group": event.owner,
            "class": event.kind,
            "custom_details": {"details": event_text(event)},
        },
        "links": [{"href": url, "text": name} for name, url in event.links.items()],
        "client": "Goldsmith",
    }
