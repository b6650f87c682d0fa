"""Spare Airflow's scheduler a walk through the whole DAG for each task, where the DAG has no setup tasks.

At every look at a run Airflow 3.3 asks each task that waits for the setup tasks above it, and goes through all that
lies above and below the task to find them: the square of the tasks in a DAG whose layers wait for each other. At 3,000
tasks that is more than half of what the scheduler does, and a look takes seconds. A DAG without a setup task has none
above any of its tasks, so there nothing is walked through; one that has some is looked at as before.

It changes a method of Airflow in the process that imports it and calls `spare_walks`: the scheduler of the local stack
and of our image.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_ATTRIBUTE = "_goldsmith_has_setups"


def spare_walks() -> None:
    """Let tasks of a DAG without setup tasks answer at once that there are none above them."""
    from airflow.serialization.definitions.node import DAGNode

    walk = getattr(DAGNode, "get_upstreams_only_setups", None)
    if walk is None or hasattr(
        walk, _ATTRIBUTE
    ):  # another Airflow, whose scheduler has to start all the same
        return

    def get_upstreams_only_setups(self: DAGNode) -> Iterable[Any]:
        return walk(self) if _has_setups(self.get_dag()) else ()

    setattr(get_upstreams_only_setups, _ATTRIBUTE, True)
    # The method of the serialised tasks' own base class, which inherits it.
    setattr(DAGNode, walk.__name__, get_upstreams_only_setups)


def _has_setups(dag: Any) -> bool:
    """Looked up once for each DAG that the scheduler has loaded; a new version is another object."""
    known = getattr(dag, _ATTRIBUTE, None)
    if known is None:
        known = dag is not None and any(task.is_setup for task in dag.task_dict.values())
        if dag is not None:
            setattr(dag, _ATTRIBUTE, known)
    return bool(known)
