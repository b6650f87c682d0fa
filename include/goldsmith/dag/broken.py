"""The DAG of a pipeline that cannot be used: people see it in its place, and its runs fail with the reason."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any, NoReturn

from airflow.sdk import DAG, BaseOperator, Context, get_parsing_context

from goldsmith.dag.schedule import schedule_of
from goldsmith.errors import GoldsmithError
from goldsmith.plan.markdown import block
from goldsmith.spec.pipeline import Pipeline

TASK = "broken_pipeline"
_LONGEST_DESCRIPTION, _LONGEST_NAME = 200, 120


class BrokenPipeline(BaseOperator):
    """Fails with the reason why its pipeline has no other task.

    Args:
        error: The reason.
        **airflow: Arguments of the operator.
    """

    def __init__(self, *, error: GoldsmithError, **airflow: Any) -> None:
        super().__init__(**airflow)
        self.error = error

    def execute(self, context: Context) -> NoReturn:  # noqa: ARG002 - Airflow passes it
        """Say why.

        Raises:
            GoldsmithError: Always.
        """
        raise self.error


def broken_dag(name: str, error: GoldsmithError, spec: Pipeline | None, *, is_scheduled: bool) -> DAG:
    """Make a DAG with one task, which fails.

    It runs when the pipeline would, so that whoever hears of failed runs hears of this. A run that has begun before
    ends red: its tasks find the same error in the place of their own.

    Args:
        name: Of the pipeline.
        error: Why it cannot be used.
        spec: Its spec, if that is not what is wrong.
        is_scheduled: Whether pipelines follow their schedule.
    """
    text = f"{error.message}\n\n{error.hint}".strip()
    with DAG(
        dag_id=name,
        description=" ".join(f"Cannot be used: {error.message}".split())[:_LONGEST_DESCRIPTION],
        doc_md=f"**This pipeline cannot be used.**\n\n{block(text)}\n\n`goldsmith check` tests it again.",
        schedule=schedule_of(spec) if spec and is_scheduled else None,
        start_date=datetime.combine(spec.start_date, time(), UTC) if spec else None,
        catchup=False,
        max_active_runs=1,
        tags=["goldsmith", "broken"],
        default_args={"owner": spec.owner} if spec else {},
    ) as dag:
        BrokenPipeline(
            task_id=get_parsing_context().task_id or TASK,
            task_display_name=" ".join(error.message.split())[:_LONGEST_NAME],
            error=error,
            retries=0,
            doc_md=block(text),
        )
    return dag
