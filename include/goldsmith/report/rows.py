"""The list of all nodes of a run, each with what is known of its last runs. No I/O in here."""

from __future__ import annotations

from dataclasses import dataclass

from goldsmith.report.facts import NodeFacts, RunFacts
from goldsmith.report.past import Past
from goldsmith.report.strips import line, strip
from goldsmith.report.summary import Failures

_SLOWER, _SECONDS = 1.5, 1.0  # times as long, and seconds: less is noise


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A node and its last runs."""

    anchor: str
    """Its id on the page."""
    facts: NodeFacts
    strip: tuple[tuple[str, str], ...]
    line: str
    """Of the seconds; empty for tests, which take about none."""
    usual: float | None
    """The median of its seconds in the runs before; none if too few of them say it."""
    failures: Failures | None
    runs: int
    """Runs that are shown."""
    times_failed: int
    """In how many of them it failed."""
    failing: tuple[int, ...]
    """Tests only: rows that failed, in each of the last runs in which some did."""

    @property
    def change(self) -> float | None:
        """How much longer than usual it took, as a share of that; none if nothing is usual."""
        if not self.usual or not self.facts.seconds:
            return None
        return self.facts.seconds / self.usual - 1

    @property
    def is_slower(self) -> bool:
        """Whether it took so much longer than usual that somebody should look."""
        seconds = self.facts.seconds
        return self.usual is not None and seconds > _SLOWER * self.usual and seconds - self.usual > _SECONDS


def rows_of(run: RunFacts, past: Past) -> dict[str, Row]:
    """Unique id to row, of all nodes layer by layer.

    Args:
        run: The run.
        past: The runs before it.
    """
    return {facts.node.unique_id: _row(number, facts, past) for number, facts in enumerate(run.nodes)}


def _row(number: int, facts: NodeFacts, past: Past) -> Row:
    uid = facts.node.unique_id
    sums = tuple(past.sums(uid))
    return Row(
        anchor=f"n{number}",
        facts=facts,
        strip=strip(sums),
        line="" if facts.is_test else line(sums),
        usual=past.usual(uid),
        failures=past.failures(uid),
        runs=len(past.runs),
        times_failed=past.times_failed(uid),
        failing=tuple(one.failures for one in sums if one and one.failures),
    )
