"""The last runs of a node as small pictures: a strip of cells, a line. No I/O in here.

A page has one of each for thousands of nodes, so a strip is as few paths as it has colours, and its style sheet draws
the gaps between the cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from goldsmith.report.facts import NODE_BAD, NODE_GOOD, NODE_WARN
from goldsmith.report.past import RUNS, Past
from goldsmith.report.summary import NodeSum, Summary
from goldsmith.wording import counted

CELL = 4
"""Width of a cell, with the gap after it."""
HIGH, WIDE = 14, 76
"""Of a line."""
BARS = 40
"""Height of the chart of runs."""
_LEAST = 1.0  # seconds: a line that is no higher than that would show noise


@dataclass(frozen=True, kw_only=True, slots=True)
class RunBar:
    """A run, as a bar."""

    summary: Summary
    x: int
    y: float
    height: float
    style: str
    said: str


def strip(sums: Sequence[NodeSum | None]) -> tuple[tuple[str, str], ...]:
    """How a node did in the last runs: condition to a path over the cells of these runs; the last one is on the right.

    Args:
        sums: Of each run, oldest first; none for a run that did not know the node.
    """
    paths: dict[str, str] = {}
    x = (RUNS - len(sums)) * CELL
    for condition, some in groupby(one.condition if one else "" for one in sums):
        wide = len(list(some)) * CELL
        if condition:
            paths[condition] = f"{paths.get(condition, '')}M{x} 5h{wide}"
        x += wide
    return tuple(paths.items())


def line(sums: Sequence[NodeSum | None]) -> str:
    """A path over the seconds that a node took in the last runs; empty for fewer than two runs in which it ran."""
    step = WIDE / (RUNS - 1)
    first = RUNS - len(sums)
    points = [((first + at) * step, one.seconds) for at, one in enumerate(sums) if one and one.seconds]
    if len(points) < 2:
        return ""
    most = max(_LEAST, *(seconds for _, seconds in points))
    placed = [(round(x), round(HIGH - 1 - (HIGH - 2) * seconds / most)) for x, seconds in points]
    return f"M{placed[0][0]} {placed[0][1]}L" + " ".join(f"{x} {y}" for x, y in placed[1:])


def run_bars(past: Past) -> tuple[RunBar, ...]:
    """The last runs as bars, as high as they took long; the last one is on the right."""
    most = max(0.001, *(run.seconds for run in past.runs))
    bars = []
    for at, run in enumerate(past.runs):
        height = round(max(BARS * run.seconds / most, 3.0), 1)
        style, said = _ended(run)
        bars.append(RunBar(summary=run, x=at * 9, y=BARS - height, height=height, style=style, said=said))
    return tuple(bars)


def _ended(run: Summary) -> tuple[str, str]:
    bad = sum(one.condition == NODE_BAD for one in run.nodes.values())
    if run.is_red:
        return NODE_BAD, f"failed, with {counted(bad, 'failed node')}" if bad else "failed"
    return (NODE_WARN, f"success, {bad} tolerated") if bad else (NODE_GOOD, "success")
