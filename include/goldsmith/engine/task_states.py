"""The states of a run's tasks, as Airflow tells them to a task."""

from __future__ import annotations

from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from goldsmith.plan.graph import States


def task_states(dag_id: str, run_id: str, task_ids: list[str] | None = None) -> States:
    """The states of all tasks of a run, or of some; what has not started has none.

    Args:
        dag_id: The DAG.
        run_id: Its run.
        task_ids: The tasks; None for all.
    """
    found = RuntimeTaskInstance.get_task_states(dag_id=dag_id, task_ids=task_ids, run_ids=[run_id])
    return dict(found.get(run_id, {}))
