"""dbt's own edges, between the nodes that have something to run.

dbt's rule for tests (dbt-core, `Linker.add_test_edges`): a node waits for a test when everything the test reads
lies upstream of the node. dbt then draws many more edges than needed; here an edge is drawn only where no parent
of the node waits for the test already, which leaves the same order.

A model with `on_error: continue` holds back nothing by failing. What dbt skips is below another failure: all that is
below that, through such a model too. So what reads such a model waits for what the model waits for as well.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from goldsmith.dbt.node import Node
from goldsmith.errors import PlanError
from goldsmith.kinds import TEST_KINDS


def dbt_edges(nodes: Mapping[str, Node], chosen: Container[str] | None = None) -> dict[str, set[str]]:
    """Unique id of each executable node to those it waits for directly.

    What has nothing to run (ephemeral models, sources without freshness) is bridged, and so is what was not chosen:
    of a, b and c in a row, c still waits for a where b is left out.

    Args:
        nodes: All nodes of the project.
        chosen: Those that are planned; all by default.

    Raises:
        PlanError: The nodes form a cycle.
    """
    parents = _parents(nodes)
    order = topological_order(parents)
    for uid, waits in _test_edges(nodes, parents, order).items():
        parents[uid] |= waits
    _unit_test_edges(nodes, parents)
    runs = {uid for uid, node in nodes.items() if node.is_executable and (chosen is None or uid in chosen)}
    order = topological_order(parents)
    edges = _bridged(runs, parents, order)
    _lead_past(edges, nodes)
    return edges


def _parents(nodes: Mapping[str, Node]) -> dict[str, set[str]]:
    """dbt's depends_on; unit tests are placed later, before the model they test."""
    return {
        uid: set() if node.kind == "unit_test" else {p for p in node.parents if p in nodes}
        for uid, node in nodes.items()
    }


def topological_order(parents: Mapping[str, Iterable[str]]) -> list[str]:
    """Ids with every parent before its children.

    Raises:
        PlanError: Names the cycle.
    """
    try:
        return list(
            TopologicalSorter({uid: sorted(before) for uid, before in sorted(parents.items())}).static_order()
        )
    except CycleError as error:
        cycle = " -> ".join(reversed(error.args[1]))
        raise PlanError(
            f"The tasks form a cycle: {cycle}.", hint="Break one of these edges in the dbt project."
        ) from error


def _test_edges(
    nodes: Mapping[str, Node], parents: Mapping[str, set[str]], order: list[str]
) -> dict[str, set[str]]:
    """For each node the tests it has to wait for, beyond those a parent of it waits for."""
    flow = [uid for uid in order if nodes[uid].kind not in TEST_KINDS]
    bit = {uid: 1 << index for index, uid in enumerate(flow)}
    no_wait = {uid for uid in flow if nodes[uid].kind == "function"}  # dbt lets a function wait for no test
    above = _ancestor_sets(flow, parents, bit)
    children = defaultdict(list)
    for uid in flow:
        for parent in parents[uid]:
            children[parent].append(uid)
    waits: dict[str, set[str]] = defaultdict(set)
    for uid, node in nodes.items():
        reads = sum(bit[parent] for parent in parents[uid] if parent in bit) if node.kind == "test" else 0
        if reads:
            latest = max((p for p in parents[uid] if p in bit), key=lambda p: bit[p])
            for child in _nearest_below(latest, reads, above, children, no_wait):
                waits[child].add(uid)
    return waits


def _ancestor_sets(
    flow: list[str], parents: Mapping[str, set[str]], bit: Mapping[str, int]
) -> dict[str, int]:
    """Each node's ancestors as the bits of one integer: unions of thousands at the price of an `or`."""
    above: dict[str, int] = {}
    for uid in flow:
        mine = 0
        for parent in parents[uid]:
            mine |= above[parent] | bit[parent]
        above[uid] = mine
    return above


def _nearest_below(
    start: str,
    reads: int,
    above: Mapping[str, int],
    children: Mapping[str, list[str]],
    passed_by: Container[str],
) -> list[str]:
    """The first nodes on each way down from `start`, but for some, that have all of `reads` above them."""
    found, seen, ahead = [], {start}, list(children[start])
    while ahead:
        uid = ahead.pop()
        if uid in seen:
            continue
        seen.add(uid)
        if above[uid] & reads == reads and uid not in passed_by:
            found.append(uid)
        else:
            ahead.extend(children[uid])
    return found


def _unit_test_edges(nodes: Mapping[str, Node], parents: dict[str, set[str]]) -> None:
    """A unit test runs when its model's parents exist, and before the model, as in `dbt build`."""
    for uid, node in nodes.items():
        if node.kind == "unit_test" and node.attached in parents:
            parents[uid] = {p for p in parents[node.attached] if nodes[p].kind != "unit_test"}
    for uid, node in nodes.items():
        if node.kind == "unit_test" and node.attached in parents:
            parents[node.attached].add(uid)


def _lead_past(edges: dict[str, set[str]], nodes: Mapping[str, Node]) -> None:
    """Let what reads a model that goes on after an error wait for what holds back the model.

    Args:
        edges: Unique id to those it waits for, parents first.
        nodes: All nodes.
    """
    for before in edges.values():
        for parent in [uid for uid in before if nodes[uid].goes_on]:
            # A failed unit test of the model is a failure of the model: dbt goes on after it.
            before |= {uid for uid in edges[parent] if nodes[uid].kind != "unit_test"}


def _bridged(runs: set[str], parents: Mapping[str, set[str]], order: list[str]) -> dict[str, set[str]]:
    reach: dict[str, set[str]] = {}
    for uid in order:
        reach[uid] = set()
        for parent in parents[uid]:
            reach[uid] |= {parent} if parent in runs else reach[parent]
    return {uid: reach[uid] for uid in order if uid in runs}
