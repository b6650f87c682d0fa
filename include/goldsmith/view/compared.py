"""Pass the comparison of a layer that its build has made: the comparison's own task would find nothing else.

Only if in the same transaction the build still runs, and every task that it has looked at is green and was so before: a
run that is cancelled meanwhile, or a node that is cleared, leaves the comparison to its task.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from airflow.api_fastapi.common.db.common import SessionDep
from airflow.models.taskinstance import TaskInstance
from airflow.utils.state import TaskInstanceState
from pydantic import BaseModel, Field
from sqlalchemy import func, select

from goldsmith.view.guard import Id


class DoneComparison(BaseModel):
    """A comparison that found no difference."""

    task_id: Id
    build: Id
    """Id of the build's task, which has compared."""
    try_number: int
    """Its try."""
    green: Annotated[list[Id], Field(min_length=1)]
    """Ids of the tasks that have to be green."""
    started: datetime
    ended: datetime


def comparison_to_set(dag_id: str, run_id: str, one: DoneComparison, session: SessionDep) -> Any | None:
    """The id of the comparison's task instance, whose state is to be set; None if the task has to compare."""
    of_run = (TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
    build = (
        TaskInstance.task_id == one.build,
        TaskInstance.state == TaskInstanceState.RUNNING,
        TaskInstance.try_number == one.try_number,
    )
    if session.scalar(select(TaskInstance.id).where(*of_run, *build).with_for_update()) is None:
        return None
    waiting = (
        TaskInstance.task_id == one.task_id,
        TaskInstance.state.is_(None),
        TaskInstance.try_number == 0,
    )
    found = session.scalar(select(TaskInstance.id).where(*of_run, *waiting).with_for_update())
    # One that was built again since then may have taken a relation with it.
    green = (
        TaskInstance.task_id.in_(one.green),
        TaskInstance.state == TaskInstanceState.SUCCESS,
        TaskInstance.end_date <= one.started,
    )
    done = session.scalar(select(func.count()).select_from(TaskInstance).where(*of_run, *green))
    return found if done == len(set(one.green)) else None
