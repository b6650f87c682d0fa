"""The runs before this one: how each node did in them, and how long it usually takes. No I/O in here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import median

from goldsmith.report.facts import NODE_BAD, NODE_GOOD, NODE_WARN
from goldsmith.report.summary import Failures, NodeSum, Summary

RUNS = 20
"""Runs that are shown, with this one."""
_ENOUGH = 3  # runs for a median that means something
_RAN = (NODE_GOOD, NODE_WARN)


@dataclass(frozen=True, kw_only=True)
class Past:
    """A run and those before it.

    Args:
        now: The run.
        earlier: Those before it, the latest first.
    """

    now: Summary
    earlier: tuple[Summary, ...] = ()

    @classmethod
    def of(cls, now: Summary, earlier: Sequence[Summary]) -> Past:
        """The past of a run whose summary does not know the failures before it.

        Args:
            now: The run.
            earlier: Those before it, the latest first.
        """
        return cls(now=now.after(earlier), earlier=tuple(earlier[: RUNS - 1]))

    @cached_property
    def runs(self) -> tuple[Summary, ...]:
        """The runs that are shown, oldest first, this one last."""
        return (*reversed(self.earlier), self.now)

    def sums(self, unique_id: str) -> Iterator[NodeSum | None]:
        """How a node did in each of these runs; none where it was not in the project."""
        return (run.nodes.get(unique_id) for run in self.runs)

    def usual(self, unique_id: str) -> float | None:
        """The median of the seconds that a node took in the runs before; none if too few of them say it."""
        found = [
            one.seconds
            for run in self.earlier
            if (one := run.nodes.get(unique_id)) and one.seconds and one.condition in _RAN
        ]
        return median(found) if len(found) >= _ENOUGH else None

    def failures(self, key: str) -> Failures | None:
        """When a node, or a task that is no dbt node, failed; none if it never did.

        Args:
            key: The node's unique id, or the task's id.
        """
        return self.now.failures.get(key)

    def times_failed(self, unique_id: str) -> int:
        """In how many of the runs that are shown a node failed."""
        return sum(one is not None and one.condition == NODE_BAD for one in self.sums(unique_id))
