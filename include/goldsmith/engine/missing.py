"""Tasks that the scheduler knows and this worker does not: its project or its environment is another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from airflow.sdk import BaseOperator, Context

from goldsmith.errors import EnvironmentProblem
from goldsmith.gates.outcomes import RED
from goldsmith.plan.graph import PlanGraph
from goldsmith.wording import some

_SHOWN = 10
_HINT = (
    "Deploy the same project to all of Airflow's components, and set GOLDSMITH_* and DBT_* variables "
    "(DBT_EXCLUDE_RESOURCE_TYPES, for one) for all of them."
)


class MissingTask(BaseOperator):
    """Fails in the place of a task that this worker's plan lacks.

    Without it Airflow finds no task to run, and puts the task off for minutes before it fails without a reason.
    """

    def execute(self, context: Context) -> NoReturn:  # noqa: ARG002 - Airflow passes it
        """Say it.

        Raises:
            EnvironmentProblem: Always. A retry helps if a deploy reaches this worker in the meantime.
        """
        raise EnvironmentProblem(
            f"The dbt project has no node for the task {self.task_id}, as this worker sees it: its files, or its "
            "environment, are not those of the dag-processor.",
            hint=_HINT,
        )


def refuse_unknown(graph: PlanGraph, states: Mapping[str, str | None]) -> None:
    """Judge nothing while tasks are red of which this worker does not know what they are.

    Args:
        graph: The plan, as this worker has it.
        states: Task id to state, of all tasks of the run.

    Raises:
        EnvironmentProblem: There are such tasks.
    """
    red = [task_id for task_id in graph.unknown(states) if states[task_id] in RED]
    if red:
        raise EnvironmentProblem(
            f"{len(red)} tasks of this run are red that the dbt project does not have, as this worker sees it: "
            f"{some(red, _SHOWN)}.",
            hint=_HINT,
        )
