"""Builds and gates: which build each node belongs to, and what waits for what.

With `gate: layer` a layer is built by one `dbt build`. What stands outside the layers joins the first build that
can build it: seeds the first one, a snapshot of a silver model that of silver. Checks and tests of sources join the
build that reads the source: its table may be a seed's, or made by something that runs between two layers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import pairwise

from goldsmith.plan.edges import topological_order
from goldsmith.plan.layers import SOURCES
from goldsmith.plan.model import PlannedBuild, PlannedGate
from goldsmith.plan.names import TaskName
from goldsmith.spec.pipeline import Pipeline

BUILD = "build"
ELEMENTARY_TABLES = "elementary_tables"
"""Id of the task that makes Elementary's tables where they are missing."""
ALL = "all"
"""The one stage of a pipeline without gates between its layers."""


def assign_stages(
    edges: Mapping[str, set[str]], layers: Mapping[str, str], pipeline: Pipeline
) -> dict[str, str]:
    """Unique id of each executable node to its stage: the name of a layer, or `all`.

    Args:
        edges: Unique id to those it waits for.
        layers: Unique id to layer, or to the group outside the layers.
        pipeline: The spec.

    Raises:
        PlanError: The nodes form a cycle.
    """
    present = [layer for layer in pipeline.layers if layer in {layers[uid] for uid in edges}]
    if pipeline.gate == "node" or not present:
        return dict.fromkeys(edges, ALL)
    rank = {layer: index for index, layer in enumerate(present)}
    stages: dict[str, int] = {}
    order = topological_order(edges)
    for uid in order:
        before = (stages[parent] for parent in edges[uid])
        stages[uid] = rank.get(layers[uid], max(before, default=0))
    readers: dict[str, list[int]] = defaultdict(list)
    for uid in reversed(order):
        if layers[uid] == SOURCES:
            stages[uid] = min(readers[uid], default=stages[uid])
        for parent in edges[uid]:
            readers[parent].append(stages[uid])
    return {uid: present[stages[uid]] for uid in edges}


def plan_gates(
    upstream: dict[str, set[str]],
    pipeline: Pipeline,
    *,
    layers: Mapping[str, str],
    names: Mapping[str, TaskName],
    stages: Mapping[str, str],
) -> tuple[PlannedGate, ...]:
    """The gates in their order; without builds, the first tasks of a layer wait for the gate before it.

    A gate waits for all that is built with its layer (a snapshot of it, say), so that the next build finds it ended.
    """
    if pipeline.gate == "node":
        return ()
    has_builds = pipeline.engine == "shared"
    members = defaultdict(list)
    for uid in upstream:
        members[layers[uid]].append(uid)
    gates: list[PlannedGate] = []
    for layer in (name for name in pipeline.layers if members[name]):
        tasks = {names[uid].task_id for uid in members[layer]}
        with_it = [uid for uid, stage in stages.items() if stage == layer]
        if gates and not has_builds:
            for uid in (*members[layer], *(one for one in with_it if layers[one] == SOURCES)):
                if not upstream[uid] & tasks:
                    upstream[uid].add(gates[-1].task_id)
        beside = {names[uid].task_id for uid in with_it} if has_builds else set[str]()
        gates.append(
            PlannedGate(
                layer=layer,
                task_id=f"{layer}.gate",
                upstream=tuple(sorted(tasks | beside)),
                judged=tuple(sorted(tasks)),
                limits=pipeline.gates[layer].lines() if layer in pipeline.gates else (),
            )
        )
    return tuple(gates)


def plan_builds(
    upstream: dict[str, set[str]],
    pipeline: Pipeline,
    *,
    gates: tuple[PlannedGate, ...],
    stages: Mapping[str, str],
    first: tuple[str, ...],
) -> tuple[PlannedBuild, ...]:
    """The builds in their order; every node waits for the one that builds it.

    The first waits until every ingest, and what `first` names, has ended, well or not: it leaves out what lies below
    a failed ingest.
    """
    ingested = (*sorted(ingest.last_task_id for ingest in pipeline.ingest), *first)
    before = {build_id(gate.layer): earlier.task_id for earlier, gate in pairwise(gates)}
    builds = []
    for stage in dict.fromkeys((*pipeline.layers, ALL)):
        if stage in stages.values():
            task_id = build_id(stage)
            gate = before.get(task_id)
            builds.append(
                PlannedBuild(
                    name=stage,
                    task_id=task_id,
                    reconcile_id=reconcile_id(task_id),
                    upstream=(gate,) if gate else ingested,
                    waits_for="none_failed" if gate else "all_done",
                )
            )
    for uid, stage in stages.items():
        upstream[uid].add(build_id(stage))
    return tuple(builds)


def build_id(stage: str) -> str:
    """Task id of the build of a stage."""
    return BUILD if stage == ALL else f"{stage}.{BUILD}"


def reconcile_id(build: str) -> str:
    """Task id of the comparison after a build."""
    return build.removesuffix(BUILD) + "reconcile"
