"""What each node waits for: dbt's edges, cut at the gates, and ingest before what reads its tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Mapping

from goldsmith.dbt.node import Node
from goldsmith.errors import PlanError
from goldsmith.plan.edges import dbt_edges
from goldsmith.plan.names import TaskName
from goldsmith.plan.order import check_order
from goldsmith.plan.selected import Selected
from goldsmith.plan.stages import ELEMENTARY_TABLES
from goldsmith.spec.pipeline import Pipeline
from goldsmith.wording import did_you_mean


def edges_of(pipeline: Pipeline, selected: Selected, layers: Mapping[str, str]) -> dict[str, set[str]]:
    """Unique id to those it waits for.

    Raises:
        PlanError: The layers do not fit the order of the nodes.
    """
    edges = dbt_edges(selected.graph, selected.nodes)
    if pipeline.gate == "layer":
        check_order(edges, layers, list(pipeline.layers), selected.nodes)
        _cut_at_gates(edges, layers, list(pipeline.layers), selected.nodes)
    return edges


def upstream_of_nodes(
    pipeline: Pipeline,
    selected: Selected,
    edges: Mapping[str, set[str]],
    names: Mapping[str, TaskName],
    first: tuple[str, ...],
) -> dict[str, set[str]]:
    """Unique id to the ids of the tasks that it waits for, without gates and builds.

    Raises:
        PlanError: An ingest fills no source of the project.
    """
    roots = first if pipeline.engine == "isolated" else ()  # elsewhere the first build waits for it
    upstream = {
        uid: {names[parent].task_id for parent in before} or {*roots} for uid, before in edges.items()
    }
    _add_ingest(upstream, pipeline, selected.graph)
    return upstream


def before_everything(pipeline: Pipeline, selected: Selected) -> tuple[str, ...]:
    """Ids of the tasks that come before the first dbt command."""
    is_wanted = pipeline.report is not None and pipeline.report.elementary is not None
    return (ELEMENTARY_TABLES,) if is_wanted and selected.elementary_schema else ()


def _cut_at_gates(
    edges: dict[str, set[str]], layers: Mapping[str, str], order: list[str], nodes: Mapping[str, Node]
) -> None:
    """Drop edges from a test to a later layer: there the gate decides, and may tolerate a red test."""
    ranked = set(order)
    for uid, before in edges.items():
        edges[uid] = {
            parent
            for parent in before
            if nodes[parent].kind != "test"
            or not {layers[parent], layers[uid]} <= ranked
            or layers[parent] == layers[uid]
        }


def _add_ingest(upstream: dict[str, set[str]], pipeline: Pipeline, graph: Mapping[str, Node]) -> None:
    """What reads an ingested table waits for the task that loads it; its freshness check first of all.

    Raises:
        PlanError: No source of the project is the table.
    """
    sources: dict[str, list[str]] = defaultdict(list)
    for uid, node in graph.items():
        if node.kind == "source":
            sources[node.table].append(uid)
    for ingest in pipeline.ingest:
        if ingest.source not in sources:
            raise PlanError(
                f"The ingest of {ingest.file} fills {ingest.source}, which is no source of the dbt project.",
                hint=did_you_mean(
                    ingest.source, sources, f"Sources: {', '.join(sorted(sources)) or 'none'}."
                ),
            )
        for uid in sources[ingest.source]:
            for reader in [uid] if uid in upstream else _readers(uid, graph, upstream):
                upstream[reader].add(ingest.last_task_id)


def _readers(uid: str, graph: Mapping[str, Node], planned: Container[str]) -> set[str]:
    """Planned nodes that read a node that is not planned, through others of that kind too."""
    children: dict[str, list[str]] = defaultdict(list)
    for reader, node in graph.items():
        if node.kind != "unit_test":
            for parent in node.parents:
                children[parent].append(reader)
    found: set[str] = set()
    seen: set[str] = {uid}
    left = [uid]
    while left:
        for reader in children[left.pop()]:
            if reader in planned:
                found.add(reader)
            elif reader not in seen:
                seen.add(reader)
                left.append(reader)
    return found
