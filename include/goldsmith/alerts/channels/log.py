"""The task's log."""

from __future__ import annotations

import logging

from goldsmith.alerts.message import Message
from goldsmith.spec.alerts import Channel

log = logging.getLogger(__name__)


def send(channel: Channel, message: Message) -> None:  # noqa: ARG001 - all channels are alike
    """Write it."""
    log.log(logging.WARNING if message.is_bad else logging.INFO, "%s", message.text)
