"""A run in a few bytes a node, kept to compare the next ones with it; and what changed between two. No I/O in here."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from goldsmith.report.facts import NODE_BAD, NODE_GOOD, NODE_HELD, NODE_IDLE, NODE_WARN, WORDS, RunFacts

_SLOWER, _MUCH = 2.0, 2.0  # times as long, and seconds: less is noise
_ROWS_CHANGED = 0.5
_DID_NOT_RUN = (NODE_HELD, NODE_IDLE)
_ROWS_OF = ("table", "seed")  # what others report are no rows, or the new ones only


class NodeSum(NamedTuple):
    """A node in a run."""

    condition: str
    seconds: float
    rows: int | None
    failures: int | None = None
    """Tests only: rows that failed. Summaries that an earlier Goldsmith wrote have none."""


class Failures(NamedTuple):
    """When a node, or a task that is no dbt node, failed. Times are ISO 8601, of the start of the run."""

    first: str
    last: str
    in_a_row: int = 0
    """In how many runs in a row until now; runs that did not get to it neither count nor end the row."""
    since: str = ""
    """Start of the first of these runs; empty if it does not fail now."""
    since_run: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """A run, to compare another one with."""

    run_id: str
    started: str
    seconds: float
    is_red: bool
    nodes: Mapping[str, NodeSum]
    """By unique id."""
    red_tasks: tuple[str, ...] = ()
    """Ids of failed tasks that are no dbt nodes, and no gates."""
    failures: Mapping[str, Failures] = field(default_factory=dict)
    """Unique id, or id of a task that is no dbt node, to its failures up to this run; of those that have any."""

    @classmethod
    def of(cls, run: RunFacts) -> Summary:
        """Sum up a run, without the failures before it."""
        return cls(
            run_id=run.run_id,
            started=run.started.isoformat() if run.started else "",
            seconds=run.seconds,
            is_red=run.is_red,
            nodes={
                one.node.unique_id: NodeSum(
                    one.condition,
                    round(one.seconds, 3),
                    one.record.rows if one.record and one.record.materialized in _ROWS_OF else None,
                    one.record.failures if one.record else None,
                )
                for one in run.nodes
            },
            red_tasks=run.red_tasks,
        )

    def after(self, earlier: Sequence[Summary]) -> Summary:
        """The same with the failures up to it.

        Args:
            earlier: The runs before, the latest first. What the first of them knows of those before it is believed.
        """
        oldest_first = [*reversed(earlier), self]
        past: Mapping[str, Failures] = earlier[-1].failures if earlier else {}
        for summary in oldest_first[bool(past) :]:
            past = summary.failures_after(past)
        return replace(self, failures=past)

    def failures_after(self, past: Mapping[str, Failures]) -> dict[str, Failures]:
        """The failures up to this run, if `past` are those up to the one before it."""
        bad = {uid for uid, one in self.nodes.items() if one.condition == NODE_BAD} | {*self.red_tasks}
        # Of a node that is gone nothing is kept, nor of a task that is not red: there is no list of those.
        found = {uid: self._still(uid, was) for uid, was in past.items() if uid in self.nodes}
        return found | {uid: self._failed(past.get(uid)) for uid in bad}

    def _still(self, uid: str, was: Failures) -> Failures:
        """The failures of a node up to a run in which it did not fail."""
        is_well = self.nodes[uid].condition in (NODE_GOOD, NODE_WARN)
        return Failures(was.first, was.last) if is_well else was

    def _failed(self, was: Failures | None) -> Failures:
        """The failures of a node up to a run in which it failed."""
        if was is None or not was.in_a_row:
            first = was.first if was else self.started
            return Failures(first, self.started, 1, self.started, self.run_id)
        return was._replace(last=self.started, in_a_row=was.in_a_row + 1)

    def pack(self) -> bytes:
        """As bytes for a file."""
        values = {
            "run_id": self.run_id,
            "started": self.started,
            "seconds": self.seconds,
            "is_red": self.is_red,
            "nodes": self.nodes,
            "red_tasks": self.red_tasks,
            "failures": self.failures,
        }
        return gzip.compress(json.dumps(values, separators=(",", ":")).encode(), mtime=0)

    @classmethod
    def unpack(cls, content: bytes) -> Summary:
        """Read what `pack` gave, also of a Goldsmith that kept less.

        Raises:
            ValueError: It is something else.
        """
        try:
            values: Mapping[str, Any] = json.loads(gzip.decompress(content))
            return cls(
                run_id=str(values["run_id"]),
                started=str(values["started"]),
                seconds=float(values["seconds"]),
                is_red=bool(values["is_red"]),
                nodes={uid: NodeSum(*one) for uid, one in values["nodes"].items()},
                red_tasks=tuple(values.get("red_tasks", ())),
                failures={uid: Failures(*one) for uid, one in values.get("failures", {}).items()},
            )
        except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
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
    again: tuple[str, ...] = ()
    """Unique ids of what failed in both."""
    not_run: int = 0
    """How many nodes ran then, and not now."""


def changes_since(before: Summary, now: Summary) -> Changes:
    """Compare two runs: what failed and what recovered first, then what is new, gone, slower or of another size."""
    found = [one for uid in now.nodes if (one := _changed(uid, before, now))]
    found += [
        (3, Change(unique_id=uid, what="gone", condition="")) for uid in before.nodes if uid not in now.nodes
    ]
    found += [(5, one) for one in _of_other_size(before, now)]
    ordered = sorted(found, key=lambda one: (one[0], one[1].unique_id))
    again = (
        uid
        for uid, one in now.nodes.items()
        if one.condition == NODE_BAD and uid in before.nodes and before.nodes[uid].condition == NODE_BAD
    )
    ran = (uid for uid, one in before.nodes.items() if one.condition not in _DID_NOT_RUN)
    return Changes(
        before=before,
        changes=tuple(one for _, one in ordered),
        again=tuple(again),
        not_run=sum(uid in now.nodes and now.nodes[uid].condition in _DID_NOT_RUN for uid in ran),
    )


def _changed(uid: str, before: Summary, now: Summary) -> tuple[int, Change] | None:
    """What is different about a node, and its weight; none if nothing is."""
    one, was = now.nodes[uid], before.nodes.get(uid)
    if was is None:
        return 2, Change(unique_id=uid, what="new", condition=one.condition)
    pair = {one.condition, was.condition}
    if len(pair) > 1 and pair & {NODE_BAD, NODE_WARN}:
        what = f"{WORDS[was.condition]} → {WORDS[one.condition]}"
        return int(one.condition != NODE_BAD), Change(unique_id=uid, what=what, condition=one.condition)
    is_slow = one.seconds > was.seconds * _SLOWER and one.seconds - was.seconds > _MUCH
    if one.condition == was.condition == NODE_GOOD and is_slow:
        what = f"slower: {was.seconds:.1f} s → {one.seconds:.1f} s"
        return 4, Change(unique_id=uid, what=what, condition=one.condition)
    return None


def _of_other_size(before: Summary, now: Summary) -> list[Change]:
    """Models whose number of rows is another one by half or more."""
    found = []
    for uid, one in now.nodes.items():
        were = before.nodes[uid].rows if uid in before.nodes else None
        if (
            one.condition == NODE_GOOD
            and one.rows is not None
            and were
            and abs(one.rows - were) / were >= _ROWS_CHANGED
        ):
            what = f"rows: {were:,} → {one.rows:,}"
            found.append(Change(unique_id=uid, what=what, condition=one.condition))
    return found
