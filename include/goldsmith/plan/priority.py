"""Which tasks start first where not all can: those with the longest way to the end below them, in seconds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from statistics import median

from goldsmith.plan.graph import PlanGraph


def priorities(graph: PlanGraph, seconds: Mapping[str, float]) -> dict[str, int]:
    """Weights of the nodes' tasks: the longer the way that begins with a task, the greater, from 1.

    They are ranks, at most as many as there are tasks. That is about what Airflow's own rule (`downstream`, one for
    each task below) gives, so that other DAGs of the same pool are not held back by them.

    Args:
        graph: The tasks.
        seconds: Unique id to how long dbt takes for a node; what is not known counts as the others do in the middle,
            and where nothing is known the number of tasks on the way decides.
    """
    usual = median(seconds.values()) if seconds else 1.0
    ways: dict[str, float] = defaultdict(float)
    for task_id in sorted(graph.parents, key=graph.position.__getitem__, reverse=True):
        ways[task_id] += sum(seconds.get(node.unique_id, usual) for node in graph.tasks.get(task_id, ()))
        for before in graph.parents[task_id]:
            ways[before] = max(ways[before], ways[task_id])
    ranks = {way: rank for rank, way in enumerate(sorted({ways[task] for task in graph.tasks}), start=1)}
    return {task_id: ranks[ways[task_id]] for task_id in graph.tasks}
