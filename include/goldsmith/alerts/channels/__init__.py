"""The kinds of channels: how a message is put into words for each, and sent."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from goldsmith.alerts.message import Message
from goldsmith.spec.alerts import Channel

Send = Callable[[Channel, Message], None]


def sender(channel: Channel) -> Send:
    """The function that sends messages to channels of this type; its libraries are imported only here."""
    found: Send = import_module(f"{__name__}.{channel.type}").send
    return found
