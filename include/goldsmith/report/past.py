"""What the last runs say of a node: since when it fails, how long it usually takes. No I/O in here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import median

from goldsmith.report.facts import NODE_BAD, NODE_GOOD, NODE_WARN, WORDS
from goldsmith.report.summary import Summary

RUNS = 20
"""Runs that are looked at, this one among them."""
_DONE = (NODE_GOOD, NODE_WARN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """A node in one run."""

    run_id: str
    started: str
    """Of the run, as ISO 8601."""
    condition: str
    seconds: float


@dataclass(frozen=True, kw_only=True, slots=True)
class NodePast:
    """A node in the last runs that had it, the oldest first; the last one is the run of the report."""

    moments: tuple[Moment, ...]

    @property
    def failed_in_a_row(self) -> tuple[Moment, ...]:
        """The last runs in which it failed, without one between them in which it was well, the oldest first.

        A run in which it was held back, or did not run, says nothing of it.
        """
        found: list[Moment] = []
        for one in reversed(self.moments):
            if one.condition in _DONE:
                break
            found += [one] if one.condition == NODE_BAD else []
        return tuple(reversed(found))

    @property
    def failures(self) -> tuple[Moment, ...]:
        """All runs in which it failed."""
        return tuple(one for one in self.moments if one.condition == NODE_BAD)

    @property
    def lengths(self) -> tuple[tuple[str, int], ...]:
        """Condition and in how many runs one after another, the oldest first."""
        return tuple((one, len(list(same))) for one, same in groupby(this.condition for this in self.moments))

    @property
    def in_words(self) -> str:
        """In how many of the runs it fared how."""
        counts = Counter(WORDS[one.condition] for one in self.moments)
        return ", ".join(f"{number} {word}" for word, number in counts.items())

    @property
    def line(self) -> str:
        """The trend as points of a line that is 100 wide and 20 high; empty for fewer than three runs."""
        took = self.trend
        if len(took) < 3:
            return ""
        step, high = 100 / (len(took) - 1), max(took)
        return " ".join(f"{place * step:.0f},{19 - 18 * one / high:.0f}" for place, one in enumerate(took))

    @property
    def usual_seconds(self) -> float | None:
        """Median of the runs before in which it was done; none of fewer than three."""
        took = [one.seconds for one in self.moments[:-1] if one.condition in _DONE and one.seconds > 0]
        return median(took) if len(took) >= 3 else None

    @property
    def change(self) -> float | None:
        """How many times as long as usual it took in the run of the report; none if that is not known."""
        usual, now = self.usual_seconds, self.moments[-1].seconds if self.moments else 0.0
        return now / usual if usual and now else None

    @property
    def trend(self) -> tuple[float, ...]:
        """How long it took, of the runs in which it was done."""
        return tuple(one.seconds for one in self.moments if one.condition in _DONE and one.seconds > 0)


class Past:
    """The last runs of a pipeline.

    Args:
        now: The run of the report.
        earlier: Those before it, the latest first.
    """

    def __init__(self, now: Summary, earlier: Sequence[Summary] = ()) -> None:
        self._runs = [*reversed(earlier[: RUNS - 1]), now]

    def of(self, unique_id: str) -> NodePast:
        """What these runs say of a node."""
        return NodePast(
            moments=tuple(
                Moment(run_id=run.run_id, started=run.started, condition=found[0], seconds=found[1])
                for run in self._runs
                if (found := run.nodes.get(unique_id))
            )
        )
