"""Where a node's wish for a place to run (pool, queue, priority) is heard."""

from __future__ import annotations

from goldsmith.plan.model import Plan
from goldsmith.wording import some

_PLACES = frozenset(
    {
        "pool",
        "pool_slots",
        "queue",
        "priority_weight",
        "weight_rule",
        "executor",
        "executor_config",
        "run_as_user",
        "max_active_tis_per_dag",
        "max_active_tis_per_dagrun",
    }
)
_NAMED = 5


def unheard(plan: Plan) -> str:
    """Which nodes ask for a place that their build does not have: a task of their own only retries them.

    Returns:
        One line; empty where there are none. In the isolated engine, which has no builds, each wish is heard.
    """
    asking = {
        node.name: sorted(_PLACES & node.operator_kwargs.keys())
        for node in plan.nodes
        if node.build and _PLACES & node.operator_kwargs.keys()
    }
    if not asking:
        return ""
    named = some((f"{name} ({', '.join(keys)})" for name, keys in sorted(asking.items())), _NAMED)
    return f"reach only retries and cleared tasks, for builds run the nodes: {named}"
