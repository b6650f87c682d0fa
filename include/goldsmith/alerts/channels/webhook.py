"""A web service of one's own: events as JSON."""

from __future__ import annotations

from goldsmith.alerts.channels.request import address_of, connection_of, post
from goldsmith.alerts.message import Message
from goldsmith.spec.alerts import Channel


def send(channel: Channel, message: Message) -> None:
    """Post `{subject, route, text, events: [...]}`; the connection's password is the bearer token."""
    connection = connection_of(channel.connection)
    token = {"Authorization": f"Bearer {connection.password}"} if connection.password else {}
    headers = {str(key): str(value) for key, value in (connection.extra_dejson.get("headers") or {}).items()}
    body = {
        "subject": message.subject,
        "route": message.route,
        "text": message.text,
        "events": [{**event.to_dict(), "key": event.key} for event in message.events],
    }
    post(address_of(connection), body, headers=headers | token)
