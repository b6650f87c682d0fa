"""Where the seconds of a dbt command go, from the times of its events."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

# Name of the event that ends a phase, in their order; the phase before it is the value.
_ENDS = {
    "MainReportVersion": "start",
    "FoundStats": "parse",
    "NodeStart": "prepare",
    "NodeFinished": "nodes",
}
_LAST = "NodeFinished"
END = "end"
PHASES = (*_ENDS.values(), END)


@dataclass
class Pace:
    """Takes note of a dbt command's events from its start on."""

    _began: float = field(default_factory=time.time)
    _seen: dict[str, float] = field(default_factory=dict)

    def note(self, info: Mapping[str, Any]) -> None:
        """Take note of an event: of the first of a name, and of the last node that is finished."""
        name = info["name"]
        if name in _ENDS and (name == _LAST or name not in self._seen):
            with contextlib.suppress(ValueError):
                self._seen[name] = datetime.fromisoformat(str(info.get("ts"))).timestamp()

    def seconds(self) -> dict[str, float]:
        """Phase to its seconds, of those that dbt got to; `end` is what is left until now."""
        found: dict[str, float] = {}
        before = self._began
        for name, phase in _ENDS.items():
            if name in self._seen:
                found[phase] = max(self._seen[name] - before, 0.0)
                before = self._seen[name]
        return {**found, END: max(time.time() - before, 0.0)}

    def line(self) -> str:
        """All of it, as a line of a log."""
        found = self.seconds()
        parts = ", ".join(f"{phase} {seconds:.2f}" for phase, seconds in found.items())
        return f"dbt's seconds: {parts}"
