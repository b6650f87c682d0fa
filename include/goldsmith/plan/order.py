"""Whether the layers can build in their order: no node may read what a later layer builds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from goldsmith.dbt.node import Node
from goldsmith.errors import PlanError
from goldsmith.plan.edges import topological_order


def check_order(
    edges: Mapping[str, set[str]], layers: Mapping[str, str], order: Sequence[str], nodes: Mapping[str, Node]
) -> None:
    """Refuse edges against the order of the layers.

    Args:
        edges: Unique id to those it waits for.
        layers: Unique id to layer, or to the group outside the layers.
        order: The layers in the order in which they build.
        nodes: Unique id to node.

    Raises:
        PlanError: With all such edges by pair of layers, and the order of layers without any, if there is one.
    """
    rank = {layer: index for index, layer in enumerate(order)}
    between = _between_layers(edges, layers, rank, nodes)
    against = {
        (later, reader): found
        for (later, reader), found in sorted(
            between.items(), key=lambda one: (rank[one[0][1]], rank[one[0][0]])
        )
        if rank[later] > rank[reader]
    }
    if not against:
        return
    count = sum(len(found) for found in against.values())
    lines = [
        f"  {reader} reads {later} ({len(found)}): {_named(found, nodes, edges)}"
        for (later, reader), found in against.items()
    ]
    raise PlanError(
        f"{count} {'edge runs' if count == 1 else 'edges run'} against the order of the layers "
        f"{', '.join(order)}:\n" + "\n".join(lines),
        hint=_hint(order, between),
    )


def _between_layers(
    edges: Mapping[str, set[str]],
    layers: Mapping[str, str],
    rank: Mapping[str, int],
    nodes: Mapping[str, Node],
) -> dict[tuple[str, str], list[tuple[str, str]]]:
    """Layer that is read and layer that reads, to the pairs of nodes: also through nodes outside the layers.

    Tests are left out: between layers the gate waits for them.
    """
    found: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    reached: dict[str, set[str]] = {}
    for uid in topological_order(edges):
        before: set[str] = set()
        for parent in edges[uid]:
            if nodes[parent].kind != "test":
                before |= {parent} if layers[parent] in rank else reached[parent]
        reached[uid] = before
        for parent in sorted(before) if layers[uid] in rank else ():
            if layers[parent] != layers[uid]:
                found[layers[parent], layers[uid]].append((uid, parent))
    return found


def _named(pairs: Sequence[tuple[str, str]], nodes: Mapping[str, Node], edges: Mapping[str, set[str]]) -> str:
    named = [
        f"{nodes[uid].name} reads {nodes[parent].name}"
        + ("" if parent in edges[uid] else " through nodes outside the layers")
        for uid, parent in sorted(pairs)
    ]
    return ", ".join(named)


def _hint(order: Sequence[str], between: Mapping[tuple[str, str], object]) -> str:
    proposed = _possible(order, between)
    if proposed is None:
        return "No order of these layers fits. Let dbt's own order rule: gate: node"
    return f"Write `layers` in this order: {', '.join(proposed)}. Or let dbt's own order rule: gate: node"


def _possible(order: Sequence[str], between: Mapping[tuple[str, str], object]) -> list[str] | None:
    """An order in which no layer reads a later one, as near as possible to the written one; None if there is none."""
    waits: dict[str, set[str]] = {layer: set() for layer in order}
    for later, reader in between:
        waits[reader].add(later)
    placed: list[str] = []
    while len(placed) < len(order):
        ready = [layer for layer in order if layer not in placed and waits[layer] <= set(placed)]
        if not ready:
            return None
        placed.append(ready[0])
    return placed
