"""A run in a few bytes a node, kept to compare the next one with it; and what changed between two. No I/O in here."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from goldsmith.report.facts import NODE_BAD, NODE_GOOD, NODE_WARN, WORDS, RunFacts

_SLOWER, _MUCH = 2.0, 2.0  # times as long, and seconds: less is noise
_ROWS_CHANGED = 0.5
_ROWS_OF = ("table", "seed")  # what others report are no rows, or the new ones only


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """A run, to compare another one with."""

    run_id: str
    started: str
    seconds: float
    is_red: bool
    nodes: Mapping[str, tuple[str, float, int | None]]
    """Unique id to condition, seconds and rows."""

    @classmethod
    def of(cls, run: RunFacts) -> Summary:
        """Sum up a run."""
        return cls(
            run_id=run.run_id,
            started=run.started.isoformat() if run.started else "",
            seconds=run.seconds,
            is_red=run.is_red,
            nodes={
                one.node.unique_id: (
                    one.condition,
                    round(one.seconds, 3),
                    one.record.rows if one.record and one.record.materialized in _ROWS_OF else None,
                )
                for one in run.nodes
            },
        )

    def pack(self) -> bytes:
        """As bytes for a file."""
        values = {
            "run_id": self.run_id,
            "started": self.started,
            "seconds": self.seconds,
            "is_red": self.is_red,
            "nodes": {uid: list(one) for uid, one in self.nodes.items()},
        }
        return gzip.compress(json.dumps(values, separators=(",", ":")).encode(), mtime=0)

    @classmethod
    def unpack(cls, content: bytes) -> Summary:
        """Read what `pack` gave.

        Raises:
            ValueError: It is something else.
        """
        try:
            values: Mapping[str, Any] = json.loads(gzip.decompress(content))
            nodes = {uid: (str(one[0]), float(one[1]), one[2]) for uid, one in values["nodes"].items()}
            return cls(**{**values, "nodes": nodes})
        except (OSError, EOFError, ValueError, KeyError, IndexError, TypeError) as error:
            raise ValueError(f"no summary of a run: {error}") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What is different about a node."""

    unique_id: str
    what: str
    condition: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """What changed since the last run."""

    before: Summary
    changes: tuple[Change, ...]


def changes_since(before: Summary, now: Summary) -> Changes:
    """Compare two runs: what failed and what recovered first, then what is new, gone, slower or of another size."""
    found: list[tuple[int, Change]] = []
    for uid, (condition, seconds, _) in now.nodes.items():
        if uid not in before.nodes:
            found.append((2, Change(unique_id=uid, what="new", condition=condition)))
            continue
        was, took, _ = before.nodes[uid]
        if condition != was and NODE_BAD in (condition, was):
            rank = 0 if condition == NODE_BAD else 1
            found.append(
                (
                    rank,
                    Change(unique_id=uid, what=f"{WORDS[was]} → {WORDS[condition]}", condition=condition),
                )
            )
        elif condition != was and NODE_WARN in (condition, was):
            found.append(
                (1, Change(unique_id=uid, what=f"{WORDS[was]} → {WORDS[condition]}", condition=condition))
            )
        elif condition == NODE_GOOD and seconds > took * _SLOWER and seconds - took > _MUCH:
            found.append(
                (
                    4,
                    Change(
                        unique_id=uid, what=f"slower: {took:.1f} s → {seconds:.1f} s", condition=condition
                    ),
                )
            )
    found += [
        (3, Change(unique_id=uid, what="gone", condition="")) for uid in before.nodes if uid not in now.nodes
    ]
    found += [(5, one) for one in _of_other_size(before, now)]
    ordered = sorted(found, key=lambda one: (one[0], one[1].unique_id))
    return Changes(before=before, changes=tuple(one for _, one in ordered))


def _of_other_size(before: Summary, now: Summary) -> list[Change]:
    """Models whose number of rows is another one by half or more."""
    found = []
    for uid, (condition, _, rows) in now.nodes.items():
        _, _, were = before.nodes.get(uid, ("", 0.0, None))
        if condition == NODE_GOOD and rows is not None and were and abs(rows - were) / were >= _ROWS_CHANGED:
            found.append(Change(unique_id=uid, what=f"rows: {were:,} → {rows:,}", condition=condition))
    return found
