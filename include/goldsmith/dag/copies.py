"""Tasks of one kind by copying the first of them.

Airflow's constructor of an operator takes 0.1 ms: for 15,000 tasks that is half of what a parse may cost. The tasks of
one kind differ in a handful of values, so all but the first are copies of the first, made as Airflow copies a task
before it executes it, and put into their group and DAG by Airflow's own methods.
"""

from __future__ import annotations

from copy import copy
from typing import Any

from airflow.sdk import DAG, BaseOperator, TaskGroup

_GIVEN = "_BaseOperator__init_kwargs"


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
    # When it serialises a task, Airflow asks what its constructor was given.
    given = vars(like)[_GIVEN] | differing
    given |= {"task_id": task_id, "task_display_name": task_display_name, "task_group": group}
    # Past the setters, which watch for what a task gets after it was made.
    vars(task).update(
        differing,
        task_id=task_id,
        _task_display_name=task_display_name,
        upstream_task_ids=set(),
        downstream_task_ids=set(),
        task_group=None,
        _dag=None,
    )
    vars(task)[_GIVEN] = given
    group.add(task)
    dag.add_task(task)
    return task
