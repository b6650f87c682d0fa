"""Which processes the supervisor has started: what `status`, `down` and the next `up` go by."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import psutil

from goldsmith.stack.processes import ProcessName
from goldsmith.stack.state import StateDir, read_json, write_private

FILE = "processes.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """The processes of one stack; those named here may have ended since."""

    supervisor: ProcessName | None = None
    components: dict[str, ProcessName | None]
    starts: dict[str, int]
    sessions: tuple[ProcessName, ...] = ()
    """Every process that was a component, also those that have ended."""
    is_ending: bool = False
    """Whether the supervisor is ending them."""

    @classmethod
    def read(cls, state: StateDir) -> Record:
        """Read the record; that of before a reboot counts as none."""
        found = read_json(state.path / FILE)
        if not found or abs(found.get("boot", 0) - psutil.boot_time()) > 60:
            return cls(components={}, starts={})
        return cls(
            supervisor=_name(found["supervisor"]),
            components={name: _name(one) for name, one in found["components"].items()},
            starts=found["starts"],
            sessions=tuple(ProcessName(**one) for one in found["sessions"]),
            is_ending=found.get("is_ending", False),
        )

    def write(self, state: StateDir) -> None:
        """Keep the record."""
        write_private(state.path / FILE, {"boot": psutil.boot_time(), **asdict(self)})

    @staticmethod
    def remove(state: StateDir) -> None:
        """Forget: nothing runs."""
        (state.path / FILE).unlink(missing_ok=True)


def _name(found: dict[str, Any] | None) -> ProcessName | None:
    return ProcessName(**found) if found else None
