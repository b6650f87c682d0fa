"""`goldsmith logs`: where the logs of the stack's parts are, and the end of one."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from goldsmith.errors import ConfigurationError
from goldsmith.stack.component import COMPONENTS
from goldsmith.stack.stack import Stack

OTHERS = ("postgres", "supervisor", "migrate")
NAMES = (*COMPONENTS, *OTHERS)


def log_files(stack: Stack) -> dict[str, Path]:
    """The log of each part of the stack that has one."""
    files = {name: stack.state.logs / f"{name}.log" for name in NAMES}
    files["postgres"] = stack.server.log_file
    return {name: file for name, file in files.items() if file.is_file()}


def component_log(stack: Stack, name: str, *, lines: int) -> list[str]:
    """The last lines of a part's log.

    Raises:
        ConfigurationError: It has none yet.
    """
    file = log_files(stack).get(name)
    if file is None:
        raise ConfigurationError(f"{name} has no log yet in {stack.state.logs}.", hint="goldsmith up")
    with file.open(encoding="utf-8", errors="replace") as stream:
        return [line.rstrip("\n") for line in deque(stream, maxlen=lines)]
