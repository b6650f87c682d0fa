"""The gate as an Airflow task."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from airflow.sdk import Asset, BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from goldsmith.gates.verdict import BLOCK, judge


class GateTask(BaseOperator):
    """Passes when no model and no test of error severity failed in its layer.

    Runs when all tasks of the layer are done, whatever their state; the first tasks of the next layer wait for it.
    Its return value (XCom) is the verdict.

    Args:
        layer: The layer before the gate.
        tasks: Ids of that layer's tasks.
        updated: Gives the assets that are updated when the gate passes; those it declares are what it may update.
    """

    ui_color = "#f5d76e"

    def __init__(
        self, *, layer: str, tasks: Sequence[str], updated: Callable[[Context], list[Asset]], **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.layer = layer
        self.tasks = tuple(tasks)
        self.updated = updated

    def execute(self, context: Context) -> dict[str, object]:
        """Read the states of the layer's tasks and give the verdict.

        Raises:
            AirflowFailException: The gate blocks; the message names the tasks.
        """
        run_id = context["run_id"]
        states = RuntimeTaskInstance.get_task_states(
            dag_id=self.dag_id, task_ids=list(self.tasks), run_ids=[run_id]
        )
        verdict = judge(self.layer, self.tasks, states.get(run_id, {}))
        for line in verdict.lines():
            self.log.info(line)
        if verdict.verdict == BLOCK:
            context["ti"].xcom_push(key="return_value", value=verdict.to_dict())
            named = ", ".join(f"{task} ({state})" for task, state in sorted(verdict.stopped_by.items())[:10])
            more = f" and {len(verdict.stopped_by) - 10} more" if len(verdict.stopped_by) > 10 else ""
            raise AirflowFailException(
                f"The gate after {self.layer} blocks: {named}{more}. "
                "Mend the cause, then clear the failed task with its downstream."
            )
        self.outlets = list(self.updated(context))
        return verdict.to_dict()
