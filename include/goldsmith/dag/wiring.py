"""The edges between the tasks of a DAG, as planned."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter

from airflow.sdk import DAG

from goldsmith.dag.ended import read_after_errors
from goldsmith.plan.graph import PlanGraph, ended_id
from goldsmith.plan.model import Plan


def wire(dag: DAG, plan: Plan) -> None:
    """Set each task's upstream as planned; what the DAG does not have is left out.

    The ids go straight into the tasks' sets: `set_upstream` hashes the whole DAG for each edge.
    """
    upstream = planned_upstream(plan)
    tasks = dag.task_dict
    for task_id, before in upstream.items():
        if task_id in tasks:
            present = [parent for parent in before if parent in tasks]
            tasks[task_id].upstream_task_ids.update(present)
            for parent in present:
                tasks[parent].downstream_task_ids.add(task_id)
    _last_first(dag, upstream)


def planned_upstream(plan: Plan) -> dict[str, Sequence[str]]:
    """Id of each planned task to the ids of all tasks right before it."""
    graph = PlanGraph(plan)
    upstream: dict[str, Sequence[str]] = {}
    built: dict[str, list[str]] = defaultdict(list)
    for task_id, nodes in graph.tasks.items():
        before = graph.upstream[task_id]
        upstream[task_id] = [ended_id(one) if one in graph.going_on else one for one in before]
        built[nodes[0].build].append(task_id)
    upstream |= {ended_id(one.task_id): [one.task_id] for one in read_after_errors(graph)}
    upstream |= {gate.task_id: gate.upstream for gate in plan.gates}
    for build in plan.builds:
        upstream[build.task_id] = build.upstream
        # What a gate may let through, it has to have judged before.
        judges = [gate.task_id for gate in plan.gates if gate.layer == build.name and gate.limits]
        upstream[build.reconcile_id] = [build.task_id, *built[build.task_id], *judges]
    return upstream


def _last_first(dag: DAG, upstream: Mapping[str, Sequence[str]]) -> None:
    """Put every task after those that wait for it.

    Airflow looks for cycles in the order of the tasks, and reads a task's downstream once more for each one in it
    that it has not seen yet: with thousands of tasks below a build, millions of steps.
    """
    order = [task_id for task_id in TopologicalSorter(upstream).static_order() if task_id in dag.task_dict]
    before = [task_id for task_id in dag.task_dict if task_id not in upstream]  # an ingest's own steps
    tasks = {task_id: dag.task_dict[task_id] for task_id in (*reversed(order), *reversed(before))}
    dag.task_dict.clear()
    dag.task_dict.update(tasks)
