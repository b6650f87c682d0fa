"""Compile a pipeline: spec and nodes become a plan. No I/O in here."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from goldsmith.dbt.node import Node
from goldsmith.errors import PlanError
from goldsmith.plan.assets import updaters
from goldsmith.plan.by_hand import selections
from goldsmith.plan.check_gates import check_gates
from goldsmith.plan.deadlines import node_meant
from goldsmith.plan.docs import nodes_docs
from goldsmith.plan.edges import topological_order
from goldsmith.plan.groups import Place, place_tasks
from goldsmith.plan.layers import assign_layers
from goldsmith.plan.markdown import link, plain
from goldsmith.plan.model import Plan, PlannedBuild, PlannedGate
from goldsmith.plan.names import TaskName, name_tasks
from goldsmith.plan.planned import WorkedOut
from goldsmith.plan.selected import Selected
from goldsmith.plan.stages import (
    assign_stages,
    build_id,
    plan_builds,
    plan_gates,
)
from goldsmith.plan.tasks import Tasks, put_into_tasks
from goldsmith.plan.upstream import before_everything, edges_of, upstream_of_nodes
from goldsmith.spec.pipeline import Pipeline


def spec_checksum(pipeline: Pipeline) -> str:
    """SHA-256 over the spec as it was checked."""
    return hashlib.sha256(pipeline.model_dump_json().encode()).hexdigest()


def compile_plan(pipeline: Pipeline, selected: Selected) -> Plan:
    """Put a pipeline's nodes into layers, name their tasks and draw the edges.

    Raises:
        PlanError: Nothing to run, a cycle, or layers, limits of gates or deadlines that do not fit the nodes.
    """
    selected = selected if pipeline.freshness != "off" else selected.without_freshness()
    executable = _executable(pipeline, selected.nodes)
    _check_deadlines(pipeline, executable)
    layers = assign_layers(selected.nodes, selected.layer_matches)
    check_gates(pipeline, executable, layers)
    names = _names(selected, executable)
    edges = edges_of(pipeline, selected, layers)
    first = before_everything(pipeline, selected)
    upstream = upstream_of_nodes(pipeline, selected, edges, names, first)
    stages = assign_stages(edges, layers, pipeline)
    gates = plan_gates(upstream, pipeline, layers=layers, names=names, stages=stages)
    stages = stages if pipeline.engine == "shared" else {}
    builds = plan_builds(upstream, pipeline, gates=gates, stages=stages, first=first)
    built_by = {names[uid].task_id: build_id(stage) for uid, stage in stages.items()}
    selects = selections(executable)
    known = WorkedOut(
        pipeline=pipeline,
        nodes=selected.nodes,
        layers=layers,
        names=names,
        places=_places(executable, names, upstream, gates, builds, layers=layers, built_by=built_by),
        upstream=upstream,
        built_by=built_by,
        updated_by=updaters(gates, builds, built_by),
        selects=selects,
        docs=nodes_docs(executable, selected.nodes, selects),
    )
    in_order = sorted(executable, key=lambda uid: names[uid].task_id)
    tasks = put_into_tasks(tuple(known.planned(uid) for uid in in_order), gates, pipeline)
    return _plan(pipeline, selected, tasks, builds, executable)


def _plan(
    pipeline: Pipeline,
    selected: Selected,
    tasks: Tasks,
    builds: tuple[PlannedBuild, ...],
    executable: Mapping[str, Node],
) -> Plan:
    return Plan(
        pipeline=pipeline.name,
        manifest_checksum=selected.manifest_checksum,
        spec_checksum=spec_checksum(pipeline),
        dbt_version=selected.dbt_version,
        adapter=selected.adapter,
        project_name=selected.project_name,
        layers=tuple(pipeline.layers),
        tasks=tasks.how,
        tasks_because=tasks.because,
        nodes=tasks.nodes,
        gates=tasks.gates,
        builds=builds,
        not_run=tuple(sorted(set(selected.nodes) - set(executable))),
        exposures=tuple(_exposure_line(exposure, selected.nodes) for exposure in selected.exposures),
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


def _check_deadlines(pipeline: Pipeline, executable: Mapping[str, Node]) -> None:
    """Refuse a deadline for no node, or for several.

    Raises:
        PlanError: There is one.
    """
    for deadline in pipeline.deadlines:
        if deadline.node:
            node_meant(deadline.node, {uid: node.name for uid, node in executable.items()})


def _exposure_line(exposure: Node, nodes: Mapping[str, Node]) -> str:
    reads = ", ".join(nodes[parent].name for parent in exposure.parents if parent in nodes)
    owner = f" ({plain(exposure.owner)})" if exposure.owner else ""
    return f"**{link(exposure.name, exposure.url)}**{owner}: {reads}"
