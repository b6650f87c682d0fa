"""Which layer each node belongs to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from goldsmith.dbt.node import Node
from goldsmith.errors import PlanError
from goldsmith.plan.edges import topological_order

_ROOT_FOLDERS = ("models", "tests")


def assign_layers(nodes: Mapping[str, Node], matches: Mapping[str, set[str]]) -> dict[str, str]:
    """Give every node the name of its layer, or of the group it stands in outside the layers.

    Args:
        nodes: Unique id to node; all nodes of the pipeline.
        matches: Layer to the unique ids its selection matches, in the order of the layers.

    Raises:
        PlanError: A node matches two layers, or the nodes form a cycle.
    """
    layers = {
        uid: _layer_of(node, matches) for uid, node in nodes.items() if node.kind not in ("test", "unit_test")
    }
    reached = _reached(nodes, layers, {layer: index for index, layer in enumerate(matches)})
    for uid, node in nodes.items():
        if node.kind == "unit_test":
            layers[uid] = layers.get(node.attached, "tests")
        elif node.kind == "test":
            layers[uid] = _latest(node, layers, reached)
    return layers


def _layer_of(node: Node, matches: Mapping[str, set[str]]) -> str:
    if node.kind == "source":
        return "sources"
    found = [layer for layer, ids in matches.items() if node.unique_id in ids]
    if len(found) > 1:
        raise PlanError(
            f"{node.unique_id} ({node.file}) matches the layers {' and '.join(found)}.",
            hint="Make the selections of the layers disjoint; a node belongs to one layer.",
        )
    return found[0] if found else _folder_group(node, matches)


def _folder_group(node: Node, matches: Mapping[str, set[str]]) -> str:
    """The first folder below models/, or the top folder: seeds, snapshots."""
    folders = PurePosixPath(node.file).parent.parts
    if len(folders) > 1 and folders[0] in _ROOT_FOLDERS:
        folders = folders[1:]
    # Any folder name is allowed on disk, but not in a task id.
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", folders[0])[:60] if folders else node.kind
    # A model in a folder called like a layer, which the layer's selection does not match.
    return f"other_{name}" if name in matches or name in ("ingest", "sources") else name


def _reached(
    nodes: Mapping[str, Node], layers: Mapping[str, str], rank: Mapping[str, int]
) -> dict[str, tuple[int, bool]]:
    """Rank of the latest layer that each node stands in or, outside the layers, lies below; and whether it is in it.

    A snapshot of a silver model is built with silver, and so a test that reads it cannot belong to bronze.
    """
    parents = {uid: [before for before in nodes[uid].parents if before in layers] for uid in layers}
    found: dict[str, tuple[int, bool]] = {}
    for uid in topological_order(parents):
        own = rank.get(layers[uid])
        below = max((found[before][0] for before in parents[uid]), default=-1)
        found[uid] = (below, False) if own is None else (own, True)
    return found


def _latest(test: Node, layers: Mapping[str, str], reached: Mapping[str, tuple[int, bool]]) -> str:
    """A test belongs to the latest layer among what it reads, else where its first parent stands."""
    reads = [parent for parent in test.parents if parent in layers]
    return layers[max(reads, key=lambda uid: reached[uid])] if reads else "tests"
