"""Which layer each node belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from goldsmith.dbt.node import Node
from goldsmith.errors import PlanError
from goldsmith.kinds import TEST_KINDS
from goldsmith.plan.edges import topological_order
from goldsmith.plan.names import folder_as_id
from goldsmith.spec.pipeline import DEFAULT_LAYERS, RESERVED

SOURCES = "sources"
"""The group of the sources' freshness checks and tests."""
_ROOT_FOLDERS = ("models", "tests")


def assign_layers(
    nodes: Mapping[str, Node], matches: Mapping[str, set[str]], *, is_for_ids: bool = False
) -> dict[str, str]:
    """Give every node the name of its layer, or of the group it stands in outside the layers.

    An ephemeral model has nothing to run, so its folder decides nothing: its tests run between what it reads and
    what reads it, wherever these are.

    Args:
        nodes: Unique id to node; all nodes of the pipeline.
        matches: Layer to the unique ids its selection matches, in the order of the layers.
        is_for_ids: Leave out of account what reads a node: ids do not depend on that.

    Raises:
        PlanError: A node matches two layers, or the nodes form a cycle.
    """
    layers = {uid: _layer_of(node, matches) for uid, node in nodes.items() if node.kind not in TEST_KINDS}
    layers |= _ephemerals(nodes, layers, list(matches), with_readers=not is_for_ids)
    reached = _reached(nodes, layers, {layer: index for index, layer in enumerate(matches)})
    for uid, node in nodes.items():
        if node.kind == "unit_test":
            layers[uid] = layers.get(node.attached) or _outside("tests", matches)
        elif node.kind == "test":
            layers[uid] = _latest(node, layers, reached) or _outside("tests", matches)
    return layers


def _layer_of(node: Node, matches: Mapping[str, set[str]]) -> str:
    if node.kind == "source":
        return SOURCES
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
    name = folder_as_id(folders[0]) if folders else node.kind
    return _outside(name, matches)


def _outside(name: str, matches: Mapping[str, set[str]]) -> str:
    """The name of a group outside the layers: not that of a layer, whose selection does not match it, or of a task.

    The usual layers count also if nothing is in them: the first node there must not rename those of another folder.
    """
    return f"other_{name}" if name in matches or name in RESERVED or name in DEFAULT_LAYERS else name


def _ephemerals(
    nodes: Mapping[str, Node], layers: Mapping[str, str], order: list[str], *, with_readers: bool
) -> dict[str, str]:
    """Unique id of each ephemeral model in a layer to the layer in which its tests can run, as near as may be."""
    rank = {layer: index for index, layer in enumerate(order)}
    mine = {uid for uid in layers if nodes[uid].is_ephemeral and layers[uid] in rank}
    if not mine:
        return {}
    parents = {uid: [before for before in nodes[uid].parents if before in layers] for uid in layers}
    built = {uid: rank[layers[uid]] for uid in layers if layers[uid] in rank and not nodes[uid].is_ephemeral}
    upwards = topological_order(parents)
    most = dict.fromkeys(layers, len(order) - 1)
    for uid in reversed(upwards) if with_readers else ():
        for before in parents[uid]:
            most[before] = min(most[before], built.get(uid, most[uid]))
    found: dict[str, int] = {}
    for uid in upwards:
        # Tests of an ephemeral model come before those of the next one.
        least = max((found[before] for before in parents[uid]), default=0)
        wish = min(rank[layers[uid]], most[uid]) if uid in mine else least
        found[uid] = built.get(uid, max(least, wish))
    return {uid: order[found[uid]] for uid in mine}


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
    """The latest layer among what a test reads, else where its first parent is; empty if it reads nothing planned."""
    reads = [parent for parent in test.parents if parent in layers]
    return layers[max(reads, key=lambda uid: reached[uid])] if reads else ""
