"""Tasks that are green when another one has ended, well or not: for readers of models with `on_error: continue`.

dbt builds the readers of such a model also if it fails. Airflow has one trigger rule for all that a task waits for, and
for everything else before it a reader needs success. So it waits for a task between the two.
"""

from __future__ import annotations

from airflow.sdk import TaskGroup

from goldsmith.plan.graph import PlanGraph, ended_id
from goldsmith.plan.model import PlannedNode


def read_after_errors(graph: PlanGraph) -> list[PlannedNode]:
    """The models that others read, and that hold back none of these if they fail.

    Args:
        graph: The plan.
    """
    if not graph.going_on:
        return []
    read = {before for upstream in graph.upstream.values() for before in upstream}
    return [graph.tasks[task_id][0] for task_id in sorted(graph.going_on & read)]


def ended_task(node: PlannedNode, *, task_group: TaskGroup, owner: str) -> None:
    """Add the task for whose success the readers of a model wait. The scheduler sets it, without a worker.

    Args:
        node: The model.
        task_group: The group of its task.
        owner: The owner of its task.
    """
    from airflow.providers.standard.operators.empty import EmptyOperator

    EmptyOperator(
        task_id=ended_id(node.task_id),
        task_display_name=f"{node.name} ended",
        task_group=task_group,
        owner=owner,
        trigger_rule="all_done",
        doc_md=f"Green when the task of `{node.name}` has ended, well or not: dbt builds what reads the model also "
        "if the model fails (`on_error: continue`).",
    )
