"""Send a message to its channels: a few tries each, and never an error."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    wait_exponential,
    wait_random,
)

from goldsmith.alerts.channels import sender
from goldsmith.alerts.event import Event
from goldsmith.alerts.message import Message
from goldsmith.errors import GoldsmithError, MayPass
from goldsmith.masking import masked
from goldsmith.spec.alerts import LOG, Alerts, Channel

log = logging.getLogger(__name__)

_TRIES = 4
_WAIT = 1.0  # seconds before the second try
LONGEST = 60.0
"""Seconds for all tries."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """What became of a message to a channel."""

    channel: str
    route: str
    events: tuple[Event, ...]
    error: str = ""
    """Why it could not be sent; empty where it was."""


def channels_of(alerts: Alerts) -> Mapping[str, Channel]:
    """All channels by name, with the log."""
    return {LOG: Channel(type="log"), **alerts.channels}


def deliver(
    alerts: Alerts, name: str, route: str, events: Iterable[Event], *, patience: float = LONGEST
) -> Delivery:
    """Send events as one message to a channel.

    Args:
        alerts: The spec.
        name: Of the channel.
        route: By which they go.
        events: At least one.
        patience: Seconds after which it is not tried again.
    """
    shown = tuple(event if alerts.failing_rows else event.without_rows() for event in events)
    message = _masked(Message.of(route, shown))
    channel = channels_of(alerts)[name]
    try:
        for attempt in tried(patience):
            with attempt:
                sender(channel)(channel, message)
    except GoldsmithError as error:
        return _not_sent(name, message, str(error))
    except Exception as error:  # noqa: BLE001 - a channel's library may raise anything; a pipeline never fails for it
        return _not_sent(name, message, f"{type(error).__name__}: {error}")
    return Delivery(channel=name, route=route, events=message.events)


def tried(patience: float = LONGEST) -> Retrying:
    """A few attempts at what may pass.

    Args:
        patience: Seconds after which there is no other.
    """
    return Retrying(
        retry=retry_if_exception_type(MayPass),
        stop=stop_after_attempt(_TRIES) | stop_after_delay(patience),
        wait=wait_exponential(multiplier=_WAIT, max=15) + wait_random(0, _WAIT),
        before_sleep=lambda state: log.info(
            "Not sent, and tried again: %s", state.outcome and state.outcome.exception()
        ),
        reraise=True,
    )


def _not_sent(name: str, message: Message, why: str) -> Delivery:
    why = masked(why)
    log.error("An alert could not be sent to %s: %s\nIt was: %s", name, why, message.text)
    return Delivery(channel=name, route=message.route, events=message.events, error=why)


def _masked(message: Message) -> Message:
    """Without the secrets that are known. Kind and subject are what a channel knows an event by."""

    def mask(event: Event) -> Event:
        rows = event.rows and replace(event.rows, rows=masked(event.rows.rows))
        texts = {name: masked(getattr(event, name)) for name in ("title", "message", "command", "links")}
        return replace(event, **texts, rows=rows)

    return replace(message, events=tuple(mask(event) for event in message.events))
