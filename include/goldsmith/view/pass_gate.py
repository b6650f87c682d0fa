"""Pass a gate whose verdict its layer's build has sent: the gate's own task would find nothing else.

In one transaction with the last marks, so that the scheduler does not start the gate's task in between. It is done only
the first time in a run, and only if every task that the gate judges is green or skipped in the database at that moment.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from airflow._shared.state import TaskScope
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from airflow.state import get_state_backend
from airflow.utils.state import TaskInstanceState
from pydantic import BaseModel, Field
from sqlalchemy import func, select

from goldsmith.view.assets import note_updates, plain_assets
from goldsmith.view.guard import Id

_HARMLESS = (TaskInstanceState.SUCCESS, TaskInstanceState.SKIPPED)


class DoneGate(BaseModel):
    """A gate that passes."""

    task_id: Id
    judged: Annotated[list[Id], Field(min_length=1)]
    """Ids of the tasks that it judges, and of those that it waits for."""
    verdict: Any
    """Its return value, as a task sends it: serialised already."""
    assets: list[Id] = []
    """URIs of the assets that it updates."""
    memory: dict[Literal["assets"], Any] = {}
    """What its task state store has to hold then."""


def is_set(dag_id: str, run_id: str, gate: DoneGate, session: SessionDep) -> bool:
    """Whether the gate passed without a task: the answer to a request that is sent again because no answer came."""
    passed = (
        TaskInstance.dag_id == dag_id,
        TaskInstance.run_id == run_id,
        TaskInstance.task_id == gate.task_id,
        TaskInstance.state == TaskInstanceState.SUCCESS,
        TaskInstance.try_number == 0,
    )
    return session.scalar(select(TaskInstance.id).where(*passed)) is not None


def set_gate(dag_id: str, run_id: str, gate: DoneGate, session: SessionDep) -> Any | None:
    """Do what the task of a gate would do, but for its state.

    Returns:
        The id of its task instance, whose state is to be set; None if the task has to judge by itself.
    """
    of_run = (TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
    waiting = (
        TaskInstance.task_id == gate.task_id,
        TaskInstance.state.is_(None),
        TaskInstance.try_number == 0,
    )
    found = session.scalar(select(TaskInstance.id).where(*of_run, *waiting).with_for_update())
    judged = (TaskInstance.task_id.in_(gate.judged), TaskInstance.state.in_(_HARMLESS))
    done = session.scalar(select(func.count()).select_from(TaskInstance).where(*of_run, *judged))
    if found is None or done != len(set(gate.judged)):
        return None
    scope = TaskScope(dag_id=dag_id, run_id=run_id, task_id=gate.task_id, map_index=-1)
    store = get_state_backend()
    if any(store.get(scope, key, session=session) is not None for key in gate.memory):
        return None  # it has judged before in this run, and has to find out what was built since
    rows = plain_assets(dag_id, run_id, gate.assets, session) if gate.assets else ()
    if len(rows) != len(set(gate.assets)):
        return None
    note_updates(rows, (dag_id, run_id, gate.task_id), session)
    for key, value in gate.memory.items():
        store.set(scope, key, json.dumps(value), session=session)
    XComModel.set(
        "return_value",
        gate.verdict,
        dag_id=dag_id,
        task_id=gate.task_id,
        run_id=run_id,
        serialize=False,
        session=session,
    )
    return found
