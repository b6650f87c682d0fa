"""Propose layers for a dbt project: its folders, packages or tags, in the order that its graph asks for."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import PurePosixPath

from goldsmith.adopt.places import LOOSE, SEEDS, Place, places_of, seeds_that_are_sources, why_flat
from goldsmith.dbt.node import Node
from goldsmith.kinds import RELATIONS
from goldsmith.spec.pipeline import RESERVED

_NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+")
_LONGEST = 50
_KINDS = {"fqn": "packages", "tag": "tags", "names": "loose models"}
"""Method of a place's selection to what it is; others are folders."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Proposal:
    """Layers for a project, and what a person has to know about them."""

    layers: Mapping[str, tuple[str, ...]]
    """Layer to dbt selection, in the order in which they build; none for a project without layers."""
    gate: str
    """The spec's `gate`: `layer` or `node`."""
    why: str
    """In one sentence."""
    against: tuple[tuple[str, str], ...] = ()
    """Edges because of which folders cannot follow each other: the node that is read, and the one that reads it."""


def propose(nodes: Mapping[str, Node], *, project: str, model_paths: Sequence[str] = ("models",)) -> Proposal:
    """Propose layers.

    Args:
        nodes: Unique id to node, of the whole manifest.
        project: Name of the root project.
        model_paths: Its folders of models.
    """
    models = [node for node in nodes.values() if node.kind == "model" and node.package != "elementary"]
    places = places_of(models, project, model_paths)
    if not places:
        return Proposal(layers={}, gate="node", why=why_flat(models, project, model_paths))
    return _in_order(places | dict.fromkeys(seeds_that_are_sources(nodes), SEEDS), nodes)


def _in_order(places: Mapping[str, Place], nodes: Mapping[str, Node]) -> Proposal:
    """The places as layers, sorted by the graph; those that wait for each other are one, or there are no gates."""
    edges = _edges(places, nodes)
    before: dict[Place, set[Place]] = {place: set() for place in places.values()}
    for start, end in edges:
        before[end].add(start)
    for place in before if SEEDS in before else ():
        before[place] |= {SEEDS} - {place}
    order = _sorted(_waiting_for_each_other(before), before)
    if any(LOOSE in group and len(group) > 1 for group in order):
        # Better outside the layers than in one with half of the folders.
        return _in_order({uid: place for uid, place in places.items() if place != LOOSE}, nodes)
    mutual = [pair for pair in edges if any({*pair} <= group for group in order)]
    against = tuple(edges[pair] for pair in mutual)
    if len([group for group in order if SEEDS not in group]) < 2:
        why = "its folders wait for each other: dbt's own order, without gates"
        return Proposal(layers={}, gate="node", why=why, against=against)
    layers = {
        name: tuple(term for place in sorted(group) for term in _selection(place, places, nodes))
        for name, group in zip(_names(order), order, strict=True)
    }
    merged = [name for name, group in zip(layers, order, strict=True) if len(group) > 1]
    return Proposal(layers=layers, gate="layer", why=_why(before, merged), against=against)


def _why(places: Iterable[Place], merged: Sequence[str]) -> str:
    """What became layers."""
    kinds = ["seeds" if place == SEEDS else _KINDS.get(place[0], "folders") for place in places]
    names = " and ".join(sorted(set(kinds)))
    if not merged:
        return f"{names} in the order in which they read each other"
    return f"{names}; those that wait for each other are one layer: {', '.join(merged)}"


def _edges(
    places: Mapping[str, Place], nodes: Mapping[str, Node]
) -> dict[tuple[Place, Place], tuple[str, str]]:
    """Pair of places to one of the edges between them, also by way of nodes that stand in none."""
    found: dict[tuple[Place, Place], tuple[str, str]] = {}
    for uid, place in places.items():
        for start in _read_by(uid, places, nodes):
            if places[start] != place:
                found.setdefault((places[start], place), (start, uid))
    return found


def _read_by(uid: str, places: Mapping[str, Place], nodes: Mapping[str, Node]) -> Iterator[str]:
    """The nearest nodes above one that stand in a place."""
    left, seen = [*nodes[uid].parents], {uid}
    while left:
        parent = left.pop()
        if parent in seen or parent not in nodes or nodes[parent].kind not in RELATIONS:
            continue
        seen.add(parent)
        if parent in places:
            yield parent
        else:
            left.extend(nodes[parent].parents)


def _waiting_for_each_other(before: Mapping[Place, set[Place]]) -> list[frozenset[Place]]:
    """The places, those together that can be reached from each other."""
    above: dict[Place, set[Place]] = {}
    for place in before:
        seen: set[Place] = set()
        left = [*before[place]]
        while left:
            one = left.pop()
            if one not in seen:
                seen.add(one)
                left.extend(before[one])
        above[place] = seen
    groups: dict[frozenset[Place], None] = {}
    for place in before:
        groups[frozenset({place, *(one for one in above[place] if place in above[one])})] = None
    return list(groups)


def _sorted(groups: Sequence[frozenset[Place]], before: Mapping[Place, set[Place]]) -> list[frozenset[Place]]:
    of = {place: group for group in groups for place in group}
    edges = {group: {of[start] for place in group for start in before[place]} - {group} for group in groups}
    sorter = TopologicalSorter(edges)
    sorter.prepare()
    found: list[frozenset[Place]] = []
    while sorter.is_active():
        # What nothing orders stands as people number and name it.
        ready = sorted(sorter.get_ready(), key=min)
        found += ready
        sorter.done(*ready)
    return found


def _names(groups: Iterable[frozenset[Place]]) -> list[str]:
    """A name for each layer: that of its folders or tag."""
    used: Counter[str] = Counter()
    names = []
    for group in groups:
        words = [_NOT_IN_A_NAME.sub("_", place[-1].lower()).strip("_") for place in sorted(group)]
        name = "_".join(words)[:_LONGEST].strip("_") or "models"
        if not name[0].isalpha():
            name = f"l{name}"
        if name in RESERVED:
            name = f"{name}_layer"
        used[name] += 1
        names.append(name if used[name] == 1 else f"{name}_{used[name]}")
    return names


def _selection(place: Place, places: Mapping[str, Place], nodes: Mapping[str, Node]) -> Iterator[str]:
    method, *parts = place
    if place == LOOSE:
        yield from sorted(nodes[uid].name for uid, one in places.items() if one == place)
    elif place == SEEDS:
        files = [nodes[uid].file for uid, one in places.items() if one == place]
        yield from sorted({f"path:{PurePosixPath(file).parts[0]}/" for file in files})
    elif method == "fqn":
        yield f"fqn:{'.'.join(parts)}"
    else:
        yield f"{method}:{'/'.join(parts)}{'/' if method == 'path' else ''}"
