"""Whether a model was built before what it reads."""

from __future__ import annotations

from datetime import datetime

from goldsmith.engine.site import Site
from goldsmith.kinds import RELATIONS
from goldsmith.plan.model import PlannedNode

REBUILT = RELATIONS
"""Kinds of nodes whose build changes what others read."""


def is_rebuilt_since(site: Site, run_id: str, node: PlannedNode) -> bool:
    """Whether something that a node reads was built again in this run since dbt was done with the node.

    Args:
        site: Where they are built.
        run_id: The run.
        node: The node.
    """
    graph = site.graph
    last = site.results.last(run_id, [node]).get(node.unique_id)
    if last is None or not last.ended:
        return False
    before = [one for task in graph.upstream[node.task_id] for one in graph.tasks.get(task, ())]
    lasts = site.results.last(run_id, [one for one in before if one.kind in REBUILT])
    ended = datetime.fromisoformat(last.ended)
    return any(one.ended and datetime.fromisoformat(one.ended) > ended for one in lasts.values())
