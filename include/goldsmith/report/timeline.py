"""When dbt was at which node, as bars in lanes: a Gantt chart as an SVG's numbers. No I/O in here.

Nodes that ran at the same time stand in different lanes, so a run needs as many lanes as dbt had threads, however many
nodes there are.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from datetime import datetime

from goldsmith.report.facts import RunFacts, spans_of
from goldsmith.results.record import GOOD

WIDTH = 1000.0
LANE, TOP = 17.0, 20.0
_LETTER = 5.6  # width of one, in the chart's own units
_TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One time dbt was at a node."""

    x: float
    y: float
    width: float
    style: str
    label: str
    """The node's name as far as it fits."""
    title: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """The lanes of a layer."""

    name: str
    y: float
    height: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """A mark on the axis of time."""

    x: float
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeline:
    """The chart."""

    height: float
    bars: tuple[Bar, ...]
    bands: tuple[Band, ...]
    ticks: tuple[Tick, ...]


def timeline(run: RunFacts) -> Timeline | None:
    """The chart of a run; none where dbt got to nothing."""
    spans = [span for node in run.nodes for span in spans_of(node)]
    if not spans:
        return None
    first, last = min(start for start, _, _ in spans), max(end for _, end, _ in spans)
    scale = WIDTH / max((last - first).total_seconds(), 0.1)
    bars: list[Bar] = []
    bands: list[Band] = []
    y = TOP
    for layer in run.layers:
        mine = sorted(
            ((start, end, node, record) for node in layer.nodes for start, end, record in spans_of(node)),
            key=lambda one: one[:2],
        )
        if not mine:
            continue
        lanes = _Lanes()
        top = y + 16.0
        for start, end, node, record in mine:
            x = (start - first).total_seconds() * scale
            width = max((end - start).total_seconds() * scale, 1.2)
            bars.append(
                Bar(
                    x=round(min(x, WIDTH - width), 1),
                    y=round(top + lanes.place(start, end) * LANE, 1),
                    width=round(width, 1),
                    style=_style(record.status, is_test=node.is_test),
                    label=_fitting(node.node.name, width),
                    title=f"{node.node.name}: {record.status}, {record.seconds:.2f} s",
                )
            )
        height = 16.0 + lanes.number * LANE + 6.0
        bands.append(Band(name=layer.name, y=y, height=height))
        y += height
    return Timeline(
        height=y + 4.0, bars=tuple(bars), bands=tuple(bands), ticks=_ticks((last - first).total_seconds())
    )


class _Lanes:
    """Puts each span into the first lane that is free, in order of their starts."""

    def __init__(self) -> None:
        self._free: list[datetime] = []

    @property
    def number(self) -> int:
        return len(self._free)

    def place(self, start: datetime, end: datetime) -> int:
        for lane, until in enumerate(self._free):
            if until <= start:
                self._free[lane] = end
                return lane
        self._free.append(end)
        return len(self._free) - 1


def _style(status: str, *, is_test: bool) -> str:
    colour = "warn" if status == "warn" else "good" if status in GOOD else "bad"
    return f"{colour} test" if is_test else colour


def _fitting(name: str, width: float) -> str:
    room = int((width - 6) / _LETTER)
    if room >= len(name):
        return name
    return f"{name[: room - 1]}…" if room >= 4 else ""


def _ticks(seconds: float) -> tuple[Tick, ...]:
    """About eight marks at round times."""
    step = _TICKS[min(bisect.bisect_left(_TICKS, seconds / 8), len(_TICKS) - 1)]
    scale = WIDTH / max(seconds, 0.1)
    return tuple(
        Tick(x=round(at * scale, 1), label=_clock(at))
        for at in range(0, int(seconds) + 1, step)
        if at * scale <= WIDTH - 30
    )


def _clock(seconds: int) -> str:
    if seconds < 60:
        return f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}:{rest:02d}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02d} h"
