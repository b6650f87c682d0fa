"""Compile a pipeline: spec and nodes become a plan. No I/O in here."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches

from goldsmith.dbt.node import Node
from goldsmith.errors import PlanError
from goldsmith.plan.assets import asset_uri, updaters
from goldsmith.plan.deadlines import node_meant
from goldsmith.plan.docs import nodes_docs
from goldsmith.plan.edges import dbt_edges, topological_order
from goldsmith.plan.gates import check_gates
from goldsmith.plan.groups import Place, place_tasks
from goldsmith.plan.layers import assign_layers
from goldsmith.plan.model import Plan, PlannedBuild, PlannedGate, PlannedNode
from goldsmith.plan.names import TESTS, TaskName, name_tasks
from goldsmith.plan.select import selections
from goldsmith.plan.stages import (
    ELEMENTARY_TABLES,
    assign_stages,
    build_id,
    plan_builds,
    plan_gates,
)
from goldsmith.plan.tasks import put_into_tasks
from goldsmith.spec.pipeline import Pipeline


@dataclass(frozen=True, kw_only=True)
class Selected:
    """What the manifest gives for one pipeline: its nodes, and which of them each layer matches."""

    nodes: Mapping[str, Node]
    graph: Mapping[str, Node]
    """All nodes of the manifest, also those the pipeline leaves out."""
    layer_matches: Mapping[str, set[str]]
    exposures: tuple[Node, ...]
    manifest_checksum: str
    dbt_version: str
    project_name: str
    elementary_schema: str = ""


def spec_checksum(pipeline: Pipeline) -> str:
    """SHA-256 over the spec as it was checked."""
    return hashlib.sha256(pipeline.model_dump_json().encode()).hexdigest()


def compile_plan(pipeline: Pipeline, selected: Selected) -> Plan:
    """Put a pipeline's nodes into layers, name their tasks and draw the edges.

    Raises:
        PlanError: Two layers match one node, an edge runs against the layers, a cycle, a gate's limit on something
            that the layer does not have, or a deadline for no node.
    """
    nodes = selected.nodes
    executable = {uid: node for uid, node in nodes.items() if node.is_executable}
    _check_deadlines(pipeline, executable)
    layers = assign_layers(nodes, selected.layer_matches)
    check_gates(pipeline, executable, layers)
    names = name_tasks(executable, layers, nodes)
    edges = _edges(pipeline, selected, layers)
    first = _before_everything(pipeline, selected)
    upstream = _upstream(pipeline, selected, edges, names, first)
    stages = assign_stages(edges, layers, pipeline) if pipeline.engine == "shared" else {}
    gates = plan_gates(upstream, pipeline, layers=layers, names=names, stages=stages)
    builds = plan_builds(upstream, pipeline, gates=gates, stages=stages, first=first)
    places = _places(executable, layers, names, upstream, (*gates, *builds))
    selects = selections(executable)
    docs = nodes_docs(executable, nodes, selects)
    built_by = {names[uid].task_id: build_id(stage) for uid, stage in stages.items()}
    updated_by = updaters(gates, builds, built_by)
    planned = tuple(
        _planned(
            node,
            layer=layers[uid],
            name=names[uid],
            place=places[names[uid].task_id],
            upstream=upstream[uid],
            build=built_by.get(names[uid].task_id, ""),
            updated_by=updated_by.get(names[uid].task_id, names[uid].task_id),
            owner=_owner(node, nodes) or pipeline.owner,
            select=selects[uid],
            docs=docs[uid],
            dbt_group=_dbt_group(node, nodes),
            pipeline=pipeline,
        )
        for uid, node in sorted(executable.items(), key=lambda item: names[item[0]].task_id)
    )
    tasks = put_into_tasks(planned, gates, pipeline)
    return Plan(
        pipeline=pipeline.name,
        manifest_checksum=selected.manifest_checksum,
        spec_checksum=spec_checksum(pipeline),
        dbt_version=selected.dbt_version,
        project_name=selected.project_name,
        layers=tuple(pipeline.layers),
        tasks=tasks.how,
        tasks_because=tasks.because,
        nodes=tasks.nodes,
        gates=tasks.gates,
        builds=builds,
        not_run=tuple(sorted(set(nodes) - set(executable))),
        exposures=tuple(_exposure_line(exposure, nodes) for exposure in selected.exposures),
        elementary=selected.elementary_schema,
    )


def _edges(pipeline: Pipeline, selected: Selected, layers: Mapping[str, str]) -> dict[str, set[str]]:
    """Unique id to those it waits for."""
    edges = dbt_edges(selected.graph, selected.nodes)
    if pipeline.gate == "layer":
        _check_order(edges, layers, list(pipeline.layers), selected.nodes)
        _cut_at_gates(edges, layers, list(pipeline.layers), selected.nodes)
    return edges


def _upstream(
    pipeline: Pipeline,
    selected: Selected,
    edges: Mapping[str, set[str]],
    names: Mapping[str, TaskName],
    first: tuple[str, ...],
) -> dict[str, set[str]]:
    """Unique id to the ids of the tasks that it waits for, without gates and builds."""
    roots = first if pipeline.engine == "isolated" else ()  # elsewhere the first build waits for it
    upstream = {
        uid: {names[parent].task_id for parent in before} or {*roots} for uid, before in edges.items()
    }
    _add_ingest(upstream, pipeline, selected.graph)
    return upstream


def _before_everything(pipeline: Pipeline, selected: Selected) -> tuple[str, ...]:
    """Ids of the tasks that come before the first dbt command."""
    is_wanted = pipeline.report is not None and pipeline.report.elementary is not None
    return (ELEMENTARY_TABLES,) if is_wanted and selected.elementary_schema else ()


def _check_order(
    edges: Mapping[str, set[str]], layers: Mapping[str, str], order: list[str], nodes: Mapping[str, Node]
) -> None:
    rank = {layer: index for index, layer in enumerate(order)}
    for uid, before in sorted(edges.items()):
        for parent in sorted(before):
            if rank.get(layers[parent], -1) > rank.get(layers[uid], len(order)):
                raise PlanError(
                    f"{nodes[uid].name} ({layers[uid]}) reads {nodes[parent].name} ({layers[parent]}), "
                    f"but {layers[uid]} builds before {layers[parent]}.",
                    hint="Move one of the two, reorder `layers`, or let dbt's own order rule: gate: node",
                )


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
    sources = {node.table: uid for uid, node in graph.items() if node.kind == "source"}
    for ingest in pipeline.ingest:
        uid = sources.get(ingest.source)
        if uid is None:
            near = get_close_matches(ingest.source, sources, n=1)
            raise PlanError(
                f"The ingest of {ingest.file} fills {ingest.source}, which is no source of the dbt project.",
                hint=f"Did you mean {near[0]}?"
                if near
                else f"Sources: {', '.join(sorted(sources)) or 'none'}.",
            )
        for reader in [uid] if uid in upstream else _readers(uid, graph, upstream):
            upstream[reader].add(ingest.last_task_id)


def _readers(uid: str, graph: Mapping[str, Node], planned: Container[str]) -> set[str]:
    """Planned nodes that read a node that is not planned, through others of that kind too."""
    found: set[str] = set()
    for reader, node in graph.items():
        if uid in node.parents and node.kind != "unit_test":
            found |= {reader} if reader in planned else _readers(reader, graph, planned)
    return found


def _places(
    executable: Mapping[str, Node],
    layers: Mapping[str, str],
    names: Mapping[str, TaskName],
    upstream: Mapping[str, set[str]],
    between: tuple[PlannedGate | PlannedBuild, ...],
) -> dict[str, Place]:
    """The groups of every task; raises a PlanError where the tasks form a cycle.

    Builds and gates stand in no group: a group can then be marked as a whole. Each counts as a group of its own,
    because nothing that comes before one may be shown together with what comes after it.
    """
    before: dict[str, Iterable[str]] = {names[uid].task_id: tasks for uid, tasks in upstream.items()}
    before |= {one.task_id: one.upstream for one in between}
    unit_of = {
        names[uid].task_id: names[node.attached if node.kind == "unit_test" else uid].task_id
        for uid, node in executable.items()
        if node.kind != "test" and (node.kind != "unit_test" or node.attached in executable)
    }
    alone = {one.task_id: one.task_id for one in between}
    unit_of |= alone
    home = {names[uid].task_id: layers[uid] for uid in executable} | alone
    return place_tasks(topological_order(before), before, home=home, unit_of=unit_of)


def _owner(node: Node, nodes: Mapping[str, Node]) -> str:
    """A test belongs to whoever owns the node it is defined on."""
    defined_on = nodes.get(node.attached)
    return node.owner or (defined_on.owner if defined_on else "")


def _dbt_group(node: Node, nodes: Mapping[str, Node]) -> str:
    """A test belongs to the group of the node it is defined on."""
    defined_on = nodes.get(node.attached)
    return node.group or (defined_on.group if defined_on else "")


def _planned(
    node: Node,
    *,
    layer: str,
    name: TaskName,
    place: Place,
    upstream: set[str],
    build: str,
    updated_by: str,
    owner: str,
    select: str,
    docs: str,
    dbt_group: str,
    pipeline: Pipeline,
) -> PlannedNode:
    return PlannedNode(
        unique_id=node.unique_id,
        kind=node.kind,
        name=node.name,
        layer=layer,
        task_id=name.task_id,
        display_name=_display_name(name, place),
        label=_display_name(name, place),
        group=place.top,
        unit=place.unit,
        select=select,
        build=build,
        asset=asset_uri(pipeline, node.kind, node.relation),
        updated_by=updated_by,
        upstream=tuple(sorted(upstream)),
        file=node.file,
        materialized=node.materialized,
        owner=owner,
        tags=node.tags,
        severity=node.severity,
        relation=node.relation,
        docs=docs,
        operator_kwargs=node.operator_kwargs,
        retry_errors=node.meta.retry_errors or "",
        timeout=_seconds(node.meta.timeout or pipeline.node_timeout),
        slow_after=_seconds(node.meta.slow_after or pipeline.slow_after),
        dbt_group=dbt_group,
    )


def _check_deadlines(pipeline: Pipeline, executable: Mapping[str, Node]) -> None:
    """Refuse a deadline for no node, or for several.

    Raises:
        PlanError: There is one.
    """
    for deadline in pipeline.deadlines:
        if deadline.node:
            node_meant(deadline.node, {uid: node.name for uid, node in executable.items()})


def _seconds(limit: timedelta | None) -> int:
    return int(limit.total_seconds()) if limit else 0


def _display_name(name: TaskName, place: Place) -> str:
    """A test that is shown with another node than the one that defines it says so."""
    is_at_home = place.unit.startswith(f"{name.layer}.{name.group}.") or name.group == TESTS
    return name.display if is_at_home else f"{name.group}: {name.display}"


def _exposure_line(exposure: Node, nodes: Mapping[str, Node]) -> str:
    reads = ", ".join(nodes[parent].name for parent in exposure.parents if parent in nodes)
    owner = f" ({exposure.owner})" if exposure.owner else ""
    name = f"[{exposure.name}]({exposure.url})" if exposure.url else exposure.name
    return f"**{name}**{owner}: {reads}"
