"""Microsoft Teams: an adaptive card, posted to a workflow's webhook.

Format: https://learn.microsoft.com/en-us/adaptive-cards/schema-explorer/adaptive-card, wrapped as
https://learn.microsoft.com/en-us/connectors/teams says it of "post to a channel when a webhook request is received".
"""

from __future__ import annotations

import json
from typing import Any

from goldsmith.alerts.channels.request import connection_of, post, secret_address_of
from goldsmith.alerts.event import Event
from goldsmith.alerts.message import Message, event_facts, event_message, mark_of, rows_text
from goldsmith.spec.alerts import Channel

_MOST = 8  # events in full
_LARGEST = 26_000  # bytes: Teams takes 28 KB
_SAID = 600
_ACTIONS = 6


def send(channel: Channel, message: Message) -> None:
    """Post the card; the webhook's URL is the connection's password, or its host with the password as path."""
    post(secret_address_of(connection_of(channel.connection)), card(message))


def card(message: Message) -> dict[str, Any]:
    """The body of the request; as many events in full as it has room for."""
    for most in range(_MOST, 0, -1):
        made = _card(message, most)
        if len(json.dumps(made).encode()) <= _LARGEST:
            break
    return made


def _card(message: Message, most: int) -> dict[str, Any]:
    style = "Attention" if message.is_bad else "Good"
    body: list[dict[str, Any]] = [_text(message.subject, size="Large", weight="Bolder", color=style)]
    for event in message.events[:most]:
        body += _event(event)
    others = [event.title for event in message.events[most:]]
    if others:
        body.append(_text("Also: " + "; ".join(others)[:_SAID], isSubtle=True))
    links = {name: url for event in message.events[:1] for name, url in event.links.items()}
    content = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": body,
        "actions": [
            {"type": "Action.OpenUrl", "title": name, "url": url}
            for name, url in list(links.items())[:_ACTIONS]
        ],
    }
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": content,
    }
    return {"type": "message", "attachments": [attachment]}


def _event(event: Event) -> list[dict[str, Any]]:
    parts = [_text(f"{mark_of(event)} {event.title}", weight="Bolder", separator=True)]
    said = filter(None, (event_message(event), rows_text(event)))
    parts += [_text(words[:_SAID], fontType="Monospace", size="Small") for words in said]
    facts = [{"title": name, "value": value} for name, value in event_facts(event)]
    return [*parts, {"type": "FactSet", "facts": facts}] if facts else parts


def _text(text: str, **how: Any) -> dict[str, Any]:
    return {"type": "TextBlock", "text": text, "wrap": True, **how}
