"""Tasks of one kind by copying one another.

Airflow's constructor of an operator takes 0.1 ms: for 15,000 tasks that is half of what a parse may cost. The tasks of
one kind differ in a handful of values, so all but the first are copies, made as Airflow copies a task before it
executes it, and put into their group and DAG by Airflow's own methods.
"""

from __future__ import annotations

from copy import copy
from typing import Any

from airflow.sdk import DAG, BaseOperator, TaskGroup
from airflow.sdk.definitions.param import ParamsDict

_CONTAINERS = {list, dict, ParamsDict}
_GIVEN = "_BaseOperator__init_kwargs"
_OWN = {"task_id", "task_display_name", "doc_md", "nodes", "dag", "task_group"}


def copy_task(
    like: BaseOperator,
    dag: DAG,
    group: TaskGroup,
    *,
    task_id: str,
    task_display_name: str,
    **differing: Any,
) -> BaseOperator:
    """Add a task to a DAG that differs from another one only in the values named here.

    Args:
        like: The other task.
        dag: The DAG.
        group: The task's group.
        task_id: The task's id.
        task_display_name: What is shown instead of it.
        differing: More attributes of the task.

    Raises:
        DuplicateTaskIdFound: The DAG has a task of that id.
    """
    task = copy(like)
    # Past the setters, which watch for what a task gets after it was made.
    values = vars(task)
    # What a user adds to one task (`add_outlets`) is not for the others.
    values.update(
        {key: copy(value) for key, value in values.items() if type(value) in _CONTAINERS and key != _GIVEN}
    )
    # When it serialises a task, Airflow asks which values its constructor was given: here those in common.
    if not _OWN.isdisjoint(values[_GIVEN]):
        values[_GIVEN] = {key: value for key, value in values[_GIVEN].items() if key not in _OWN}
    values.update(
        differing,
        task_id=task_id,
        _task_display_name=task_display_name,
        upstream_task_ids=set(),
        downstream_task_ids=set(),
        task_group=None,
        _dag=None,
    )
    group.add(task)
    dag.add_task(task)
    return task
