"""What a task that updates assets keeps of that in its task state store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from goldsmith.engine.build_state import StateStore
from goldsmith.engine.packed import pack, unpack

KEY = "assets"
"""Under which it is kept."""
EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """What a task knows of the assets that it has updated."""

    until: datetime
    """End of the last build that it looked at."""
    build_id: str
    """Of the last build whose word was taken for nodes without details."""
    held: frozenset[str]
    """Unique ids of nodes that were built and not told of."""

    def to_dict(self) -> dict[str, str]:
        """Plain values for the task state store."""
        held = pack(sorted(self.held))
        return {"until": self.until.isoformat(), "build_id": self.build_id, "held": held}

    def save(self, store: StateStore) -> None:
        """Keep it."""
        store.set(KEY, self.to_dict())

    @classmethod
    def load(cls, store: StateStore) -> Memory:
        """What is kept; of nothing, if nothing is."""
        kept: Mapping[str, Any] | None = store.get(KEY)
        if not kept:
            return cls(until=EARLIEST, build_id="", held=frozenset())
        held = unpack(kept["held"])
        until = datetime.fromisoformat(kept["until"])
        return cls(until=until, build_id=kept["build_id"], held=frozenset(held))
