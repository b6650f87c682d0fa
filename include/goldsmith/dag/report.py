"""The report as the last task of a DAG."""

from __future__ import annotations

from airflow.sdk import DAG, BaseOperator

from goldsmith.engine.site import Site
from goldsmith.plan.model import Plan
from goldsmith.report.task import ReportTask
from goldsmith.spec.pipeline import Pipeline

_IDS = ("report", "run_report")
_MADE = "report_made"


def add_report(plan: Plan, spec: Pipeline, site: Site, wanted: str | None) -> None:
    """Add the report, where the spec wants one, or where this process is to run it.

    Args:
        plan: The plan; of a task's process, the part with that task.
        spec: The pipeline.
        site: Where its nodes are built.
        wanted: The one task that this process is to run; none for all.
    """
    if spec.report is None or wanted not in (None, *_IDS):
        return
    # A folder of models may be called `report`, and a group and a task cannot share a name.
    is_taken = any(node.group == _IDS[0] for node in plan.nodes)
    task = ReportTask(
        task_id=wanted or _IDS[is_taken],
        report=spec.report,
        site=site,
        retries=1,  # for a lost worker
        retry_delay=spec.retries.build_delay,
        execution_timeout=spec.report.report_timeout,
        doc_md="The report of the run: see the tab *report* of the run. It runs whatever happened before it, and the "
        "run's state does not depend on it.",
    )
    task.as_teardown()
    if spec.report.on_report_failure == "fail" and wanted is None:
        _add_verdict(task)


def _add_verdict(report: BaseOperator) -> None:
    """A task that only its state matters of: red where there is no report. Airflow sets it without a worker.

    The report itself cannot fail the run: were it a teardown that does, Airflow would look at it instead of at what
    stands before it, and a red run with a report would be green.
    """
    from airflow.providers.standard.operators.empty import EmptyOperator

    EmptyOperator(task_id=_MADE, doc_md="Red where the report could not be made.").set_upstream(report)


def wire_report(dag: DAG) -> None:
    """Put the report below everything; its edges go straight into the tasks' sets, as those of the plan."""
    reports = [
        dag.task_dict[task_id] for task_id in _IDS if isinstance(dag.task_dict.get(task_id), ReportTask)
    ]
    for report in reports:
        after = set(report.downstream_task_ids)
        last = [
            task
            for task in dag.tasks
            if not task.downstream_task_ids and task.task_id not in {report.task_id, *after}
        ]
        report.upstream_task_ids.update(task.task_id for task in last)
        for task in last:
            task.downstream_task_ids.add(report.task_id)
        # Before what comes before it: see `wire`.
        rest = {
            task_id: task
            for task_id, task in dag.task_dict.items()
            if task_id not in {report.task_id, *after}
        }
        first = {task_id: dag.task_dict[task_id] for task_id in (*after, report.task_id)}
        dag.task_dict.clear()
        dag.task_dict.update(first | rest)
