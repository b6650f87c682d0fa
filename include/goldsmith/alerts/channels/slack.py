"""Slack: blocks, by an incoming webhook or as a bot.

Format: https://docs.slack.dev/reference/block-kit/blocks
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import Connection

from goldsmith.alerts.channels.request import TIMEOUT, connection_of, secret_address_of, without_secrets
from goldsmith.alerts.event import Event
from goldsmith.alerts.message import Message, event_facts, event_message, mark_of, rows_text
from goldsmith.errors import ConfigurationError, EnvironmentProblem, MayPass
from goldsmith.extras import need_extra
from goldsmith.spec.alerts import Channel

if TYPE_CHECKING:
    from slack_sdk import WebClient

_MOST = 10  # events in full: Slack takes 50 blocks
_HEADER, _SECTION = 150, 2900  # letters
_BUTTONS = 5
_TOKEN = "xox"  # noqa: S105 - how a bot's token begins


def send(channel: Channel, message: Message) -> None:
    """Post it: where the connection's password is a bot's token to the channels in `to`, else to its webhook."""
    need_extra("slack", "A channel of type slack")
    from slack_sdk.errors import SlackClientError
    from slack_sdk.webhook import WebhookClient

    connection = connection_of(channel.connection)
    try:
        if is_bot(connection):
            client = bot(connection)
            for name in channels_of(channel):
                client.chat_postMessage(channel=name, text=message.subject, blocks=blocks(message))
            return
        address = secret_address_of(connection)
        hook = WebhookClient(address, timeout=int(TIMEOUT))
        answer = hook.send(text=message.subject, blocks=blocks(message))
    except (SlackClientError, OSError) as error:
        raise problem(error) from None
    if answer.status_code != 200:
        kind = MayPass if answer.status_code == 429 or answer.status_code >= 500 else EnvironmentProblem
        raise kind(f"Slack answers {answer.status_code}: {without_secrets(answer.body, address)[:300]}")


def is_bot(connection: Connection) -> bool:
    """Whether a connection holds a bot's token."""
    return (connection.password or "").startswith(_TOKEN)


def bot(connection: Connection) -> WebClient:
    """A client of Slack's API."""
    from slack_sdk import WebClient

    given = {"base_url": url} if (url := connection.extra_dejson.get("base_url")) else {}
    return WebClient(token=connection.password, timeout=int(TIMEOUT), **given)


def channels_of(channel: Channel) -> tuple[str, ...]:
    """The Slack channels a bot posts to.

    Raises:
        ConfigurationError: None is named.
    """
    if not channel.to:
        raise ConfigurationError(
            f"The connection {channel.connection!r} is a Slack bot's, and the channel does not say where it posts.",
            hint="Add to it: to: ['#data-alerts']",
        )
    return channel.to


def problem(error: Exception) -> EnvironmentProblem:
    """What Slack, or the way to it, refused."""
    code = getattr(getattr(error, "response", None), "status_code", None)
    said = getattr(getattr(error, "response", None), "data", None)
    word = said.get("error") if isinstance(said, dict) else type(error).__name__
    is_busy = code is None or code == 429 or code >= 500
    return (MayPass if is_busy else EnvironmentProblem)(f"Slack did not take it: {word}")


def blocks(message: Message) -> list[dict[str, Any]]:
    """The message as Slack's blocks."""
    header = {
        "type": "header",
        "text": {"type": "plain_text", "text": message.subject[:_HEADER], "emoji": False},
    }
    found: list[dict[str, Any]] = [header]
    for event in message.events[:_MOST]:
        found += [{"type": "divider"}, _section(_words(event))]
        if event.links:
            found.append({"type": "actions", "elements": _buttons(event)})
    others = [event.title for event in message.events[_MOST:]]
    if others:
        found.append(_section("Also: " + _escaped("; ".join(others))))
    return found


def _words(event: Event) -> str:
    parts = [f"*{mark_of(event)} {_escaped(event.title)}*"]
    parts += [f"```{_escaped(said)[:1000]}```" for said in (event_message(event), rows_text(event)) if said]
    parts += [f"{name}: {_escaped(value)}" for name, value in event_facts(event)]
    return "\n".join(parts)


def _buttons(event: Event) -> list[dict[str, Any]]:
    return [
        {
            "type": "button",
            "text": {"type": "plain_text", "text": name},
            "url": url,
            "action_id": f"open_{number}",
        }
        for number, (name, url) in enumerate(list(event.links.items())[:_BUTTONS])
    ]


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:_SECTION]}}


def _escaped(text: str) -> str:
    """As https://docs.slack.dev/messaging/formatting-message-text says, *escaping*."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
