"""The lineage of a run as a picture: boxes in columns and the lines between them. No I/O in here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from goldsmith.plan.edges import topological_order
from goldsmith.report.facts import NODE_BAD, NODE_HELD, NODE_IDLE, NODE_WARN, NodeFacts, RunFacts

MOST = 150
"""Boxes in a picture that a person can read."""
BOX, HIGH, COLUMN, ROW = 158.0, 22.0, 206.0, 30.0
_LETTERS = 25
_RANK = {NODE_BAD: 0, NODE_HELD: 1, NODE_WARN: 2, NODE_IDLE: 3}


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """A node."""

    x: float
    y: float
    style: str
    label: str
    title: str
    unique_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Lineage:
    """The picture."""

    width: float
    height: float
    boxes: tuple[Box, ...]
    lines: tuple[str, ...]
    """Paths of the lines, as SVG writes them."""
    total: int
    """How many nodes there are, shown or not."""


def lineage(run: RunFacts) -> Lineage | None:
    """The picture of a run's models, seeds, snapshots and sources; of many, those that matter most.

    None where there is none of them.
    """
    nodes = {one.node.task_id: one for one in run.nodes if not one.is_test}
    if not nodes:
        return None
    parents = {uid: [one for one in node.node.upstream if one in nodes] for uid, node in nodes.items()}
    order = list(topological_order(parents))
    shown = _most_telling(nodes, parents, order)
    inside = {uid: [one for one in parents[uid] if one in shown] for uid in order if uid in shown}
    places = _places(inside)
    boxes = tuple(_box(nodes[uid], *places[uid]) for uid in inside)
    lines = tuple(_line(places[before], places[uid]) for uid, befores in inside.items() for before in befores)
    return Lineage(
        width=max(x for x, _ in places.values()) + BOX + 2,
        height=max(y for _, y in places.values()) + HIGH + 2,
        boxes=boxes,
        lines=lines,
        total=len(nodes),
    )


def longest_chain(run: RunFacts) -> tuple[NodeFacts, ...]:
    """The nodes, one reading the other, that took the most time together: what a faster run has to begin with."""
    nodes = {one.node.task_id: one for one in run.nodes if not one.is_test}
    parents = {uid: [one for one in node.node.upstream if one in nodes] for uid, node in nodes.items()}
    took: dict[str, float] = {}
    before: dict[str, str] = {}
    for uid in topological_order(parents):
        longest = max(parents[uid], key=lambda one: took[one], default="")
        before[uid] = longest
        took[uid] = nodes[uid].seconds + (took[longest] if longest else 0.0)
    chain: list[NodeFacts] = []
    at = max(took, key=lambda one: took[one], default="")
    while at:
        chain.append(nodes[at])
        at = before[at]
    return tuple(reversed(chain))


def _most_telling(
    nodes: Mapping[str, NodeFacts], parents: Mapping[str, Sequence[str]], order: Sequence[str]
) -> set[str]:
    """All where they fit; else what is not green with what it reads, then the slowest."""
    if len(nodes) <= MOST:
        return set(order)
    chosen: dict[str, None] = {}
    ranked = sorted(order, key=lambda uid: (_RANK.get(nodes[uid].condition, 9), -nodes[uid].seconds))
    for uid in ranked:
        for one in (uid, *parents[uid]):
            if len(chosen) < MOST:
                chosen[one] = None
    return set(chosen)


def _places(parents: Mapping[str, Sequence[str]]) -> dict[str, tuple[float, float]]:
    """Columns by depth; in each, a node near the middle of what it reads, then of what reads it."""
    depth: dict[str, int] = {}
    columns: dict[int, list[str]] = defaultdict(list)
    children: dict[str, list[str]] = defaultdict(list)
    for uid, befores in parents.items():
        depth[uid] = max((depth[one] + 1 for one in befores), default=0)
        columns[depth[uid]].append(uid)
        for one in befores:
            children[one].append(uid)
    rows = {uid: float(row) for column in columns.values() for row, uid in enumerate(column)}
    forward = sorted(columns)
    for neighbours, way in ((parents, forward), (children, forward[::-1]), (parents, forward)):
        for column in way:
            middles = sorted(
                (_middle(neighbours.get(uid, ()), rows, rows[uid]), rows[uid], uid) for uid in columns[column]
            )
            columns[column] = [uid for _, _, uid in middles]
            rows.update({uid: float(row) for row, uid in enumerate(columns[column])})
    highest = max(len(column) for column in columns.values())
    return {
        uid: (1 + place * COLUMN, 1 + (row + (highest - len(column)) / 2) * ROW)
        for place, column in columns.items()
        for row, uid in enumerate(column)
    }


def _middle(neighbours: Iterable[str], rows: Mapping[str, float], own: float) -> float:
    found = [rows[one] for one in neighbours]
    return sum(found) / len(found) if found else own


def _box(facts: NodeFacts, x: float, y: float) -> Box:
    name = facts.node.name
    return Box(
        x=x,
        y=y,
        style=facts.condition,
        label=name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…",
        title=f"{name} ({facts.node.kind}, {facts.node.layer}): {facts.status}, {facts.seconds:.2f} s",
        unique_id=facts.node.unique_id,
    )


def _line(start: tuple[float, float], end: tuple[float, float]) -> str:
    x1, y1, x2, y2 = start[0] + BOX, start[1] + HIGH / 2, end[0], end[1] + HIGH / 2
    bend = min((x2 - x1) / 2, 60.0)
    return f"M{x1:.0f} {y1:.0f}C{x1 + bend:.0f} {y1:.0f} {x2 - bend:.0f} {y2:.0f} {x2:.0f} {y2:.0f}"
