"""Compile a pipeline: spec and nodes become a plan. No I/O in here."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from goldsmith.dbt.node import Node
from goldsmith.errors import PlanError
from goldsmith.plan.assets import asset_uri, updaters
from goldsmith.plan.by_hand import Selection, selections
from goldsmith.plan.deadlines import node_meant
from goldsmith.plan.docs import nodes_docs
from goldsmith.plan.edges import dbt_edges, topological_order
from goldsmith.plan.gates import check_gates
from goldsmith.plan.groups import Place, place_tasks
from goldsmith.plan.layers import assign_layers
from goldsmith.plan.model import Plan, PlannedBuild, PlannedGate, PlannedNode
from goldsmith.plan.names import TESTS, TaskName, name_tasks
from goldsmith.plan.order import check_order
from goldsmith.plan.stages import (
    ELEMENTARY_TABLES,
    assign_stages,
    build_id,
    plan_builds,
    plan_gates,
)
from goldsmith.plan.tasks import put_into_tasks
from goldsmith.spec.pipeline import Pipeline
from goldsmith.wording import did_you_mean


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
    unknown_kinds: tuple[str, ...] = ()


def spec_checksum(pipeline: Pipeline) -> str:
    """SHA-256 over the spec as it was checked."""
    return hashlib.sha256(pipeline.model_dump_json().encode()).hexdigest()


def compile_plan(pipeline: Pipeline, selected: Selected) -> Plan:
    """Put a pipeline's nodes into layers, name their tasks and draw the edges.

    Raises:
        PlanError: Nothing to run, a cycle, or layers, limits of gates or deadlines that do not fit the nodes.
    """
    selected = selected if pipeline.freshness != "off" else _unchecked(selected)
    nodes = selected.nodes
    executable = _executable(pipeline, nodes)
    _check_deadlines(pipeline, executable)
    layers = assign_layers(nodes, selected.layer_matches)
    check_gates(pipeline, executable, layers)
    names = _names(selected, executable)
    edges = _edges(pipeline, selected, layers)
    first = _before_everything(pipeline, selected)
    upstream = _upstream(pipeline, selected, edges, names, first)
    stages = assign_stages(edges, layers, pipeline)
    gates = plan_gates(upstream, pipeline, layers=layers, names=names, stages=stages)
    stages = stages if pipeline.engine == "shared" else {}
    builds = plan_builds(upstream, pipeline, gates=gates, stages=stages, first=first)
    built_by = {names[uid].task_id: build_id(stage) for uid, stage in stages.items()}
    places = _places(executable, names, upstream, gates, builds, layers=layers, built_by=built_by)
    selects = selections(executable)
    docs = nodes_docs(executable, nodes, selects)
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
        unknown_kinds=selected.unknown_kinds,
    )


def _executable(pipeline: Pipeline, nodes: Mapping[str, Node]) -> dict[str, Node]:
    """What becomes a task: a run without any would be green."""
    found = {uid: node for uid, node in nodes.items() if node.is_executable}
    if not found:
        raise PlanError(
            f"Pipeline {pipeline.name} has nothing to run: none of its {len(nodes)} nodes is a task (ephemeral models, "
            "sources without freshness, types that `exclude_resource_types` leaves out).",
            hint="Select more (`select` in the pipeline spec), or delete the pipeline.",
        )
    return found


def _names(selected: Selected, executable: Mapping[str, Node]) -> dict[str, TaskName]:
    layers = assign_layers(selected.nodes, selected.layer_matches, is_for_ids=True)
    return name_tasks(executable, layers, selected.nodes, project=selected.project_name)


def _unchecked(selected: Selected) -> Selected:
    """The same without freshness checks of sources."""

    def plain(nodes: Mapping[str, Node]) -> Mapping[str, Node]:
        return {uid: replace(node, has_freshness=False) for uid, node in nodes.items()}

    return replace(selected, nodes=plain(selected.nodes), graph=plain(selected.graph))


def _edges(pipeline: Pipeline, selected: Selected, layers: Mapping[str, str]) -> dict[str, set[str]]:
    """Unique id to those it waits for."""
    edges = dbt_edges(selected.graph, selected.nodes)
    if pipeline.gate == "layer":
        check_order(edges, layers, list(pipeline.layers), selected.nodes)
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


def _places(
    executable: Mapping[str, Node],
    names: Mapping[str, TaskName],
    upstream: Mapping[str, set[str]],
    gates: tuple[PlannedGate, ...],
    builds: tuple[PlannedBuild, ...],
    *,
    layers: Mapping[str, str],
    built_by: Mapping[str, str],
) -> dict[str, Place]:
    """The groups of every task; raises a PlanError where the tasks form a cycle.

    Builds and gates stand in no group: a group can then be marked as a whole. Each counts as a group of its own,
    which no test joins.
    """
    between: tuple[PlannedGate | PlannedBuild, ...] = (*gates, *builds)
    before: dict[str, Iterable[str]] = {names[uid].task_id: tasks for uid, tasks in upstream.items()}
    before |= {one.task_id: one.upstream for one in between}
    unit_of = {
        names[uid].task_id: names[node.attached if node.kind == "unit_test" else uid].task_id
        for uid, node in executable.items()
        if node.kind != "test" and (node.kind != "unit_test" or node.attached in executable)
    }
    home = {names[uid].task_id: layers[uid] for uid in executable}
    return place_tasks(
        topological_order(before),
        before,
        home={**home, **{one.task_id: one.task_id for one in between}},
        unit_of=unit_of,
        apart=built_by or (home if gates else {}),
    )


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
    select: Selection,
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
        select=select.text,
        selects_more=select.more,
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
        full_refresh=node.full_refresh,
        expect=node.meta.expect or "",
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
    is_at_home = place.unit.startswith(f"{name.layer}.{name.group}.") or name.group.endswith(TESTS)
    return name.display if is_at_home else f"{name.group}: {name.display}"


def _exposure_line(exposure: Node, nodes: Mapping[str, Node]) -> str:
    reads = ", ".join(nodes[parent].name for parent in exposure.parents if parent in nodes)
    owner = f" ({exposure.owner})" if exposure.owner else ""
    name = f"[{exposure.name}]({exposure.url})" if exposure.url else exposure.name
    return f"**{name}**{owner}: {reads}"
