"""The reports of a run: its last tasks, below everything, and what Elementary needs before everything."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, BaseOperator

from goldsmith.dag.alerts import ALERTS
from goldsmith.elementary.tasks import ElementaryReportTask, ElementaryTablesTask
from goldsmith.engine.site import Site
from goldsmith.plan.model import Plan
from goldsmith.plan.stages import ELEMENTARY_TABLES
from goldsmith.report.dbt_docs import DbtDocsTask
from goldsmith.report.publish_task import PublishTask
from goldsmith.report.task import ReportTask
from goldsmith.spec.pipeline import Pipeline
from goldsmith.spec.report import Elementary, Report

_IDS = ("report", "run_report")
_ELEMENTARY = "elementary_report"
_MADE = "report_made"
_DOCS, _PUBLISH = "dbt_docs", "publish"
_KINDS = (ReportTask, ElementaryReportTask, DbtDocsTask)


def add_report(plan: Plan, spec: Pipeline, site: Site, wanted: str | None, *, root: Path) -> None:
    """Add the reports that the spec wants, or the one task of them that this process is to run.

    Args:
        plan: The plan; of a task's process, the part with that task.
        spec: The pipeline.
        site: Where its nodes are built.
        wanted: The one task that this process is to run; none for all.
        root: The repository's root, from which folders are meant.
    """
    if spec.report is None:
        return
    # A folder of models may be called `report`, and a group and a task cannot share a name.
    is_taken = any(node.group == _IDS[0] for node in plan.nodes)
    reports = []
    if wanted in (None, *_IDS):
        reports.append(_page(wanted or _IDS[is_taken], spec, spec.report, site))
    if spec.report.elementary is not None and wanted in (None, _ELEMENTARY):
        reports.append(_elementary(spec, spec.report.elementary, site))
    if spec.report.dbt_docs and wanted in (None, _DOCS):
        docs = "dbt's documentation: the tab *dbt docs* of the run."
        reports.append(
            DbtDocsTask(task_id=_DOCS, site=site, doc_md=docs, **_arguments(spec, spec.task_timeout))
        )
    if (spec.report.publish or spec.report.send) and wanted in (None, _PUBLISH):
        reports.append(_publish(spec, spec.report, site, root))
    for task in reports:
        task.as_teardown()
    if spec.report.on_report_failure == "fail" and wanted is None:
        _add_verdict(reports)


def add_elementary_tables(plan: Plan, spec: Pipeline, site: Site, wanted: str | None) -> None:
    """Add the task that makes Elementary's tables, where its package is installed.

    Args:
        plan: The plan; of a task's process, the part with that task.
        spec: The pipeline.
        site: Where its nodes are built.
        wanted: The one task that this process is to run; none for all.
    """
    is_wanted = spec.report is not None and spec.report.elementary is not None and bool(plan.elementary)
    if is_wanted and wanted in (None, ELEMENTARY_TABLES):
        ElementaryTablesTask(
            task_id=ELEMENTARY_TABLES,
            site=site,
            doc_md="Makes the tables of the dbt package Elementary where they are missing. What comes after it does "
            "not wait for its success.",
            **_arguments(spec, spec.task_timeout),
        )


def _page(task_id: str, spec: Pipeline, report: Report, site: Site) -> BaseOperator:
    return ReportTask(
        task_id=task_id,
        report=report,
        site=site,
        doc_md="The report of the run: see the tab *report* of the run. It runs whatever happened before it, and the "
        "run's state does not depend on it.",
        **_arguments(spec, report.report_timeout),
    )


def _elementary(spec: Pipeline, wanted: Elementary, site: Site) -> BaseOperator:
    return ElementaryReportTask(
        task_id=_ELEMENTARY,
        wanted=wanted,
        site=site,
        doc_md="Elementary's report: see the tab *Elementary* of the run. It is skipped where Elementary's dbt package "
        "is not installed.",
        **_arguments(spec, wanted.timeout),
    )


def _publish(spec: Pipeline, report: Report, site: Site, root: Path) -> BaseOperator:
    places = tuple(
        place
        if "://" in place.to
        else place.model_copy(update={"to": str(root / Path(place.to).expanduser())})
        for place in report.publish
    )
    # Not tried again as a whole: who was sent the reports would be sent them twice.
    return PublishTask(
        task_id=_PUBLISH,
        report=report.model_copy(update={"publish": places}),
        site=site,
        retries=0,
        execution_timeout=spec.task_timeout,
        doc_md="Carries the reports to where people look. It fails where a place did not take them; the others have "
        "them all the same.",
    )


def _arguments(spec: Pipeline, timeout: timedelta) -> dict[str, Any]:
    # Once more for a lost worker.
    return {"retries": 1, "retry_delay": spec.retries.build_delay, "execution_timeout": timeout}


def _add_verdict(reports: list[BaseOperator]) -> None:
    """A task that only its state matters of: red where a report is missing. Airflow sets it without a worker.

    The reports themselves cannot fail the run: were they teardowns that do, Airflow would look at them instead of at
    what stands before them, and a red run with a report would be green.
    """
    from airflow.providers.standard.operators.empty import EmptyOperator

    made = EmptyOperator(
        task_id=_MADE, trigger_rule="none_failed", doc_md="Red where a report could not be made."
    )
    for report in reports:
        made.set_upstream(report)


def wire_report(dag: DAG) -> None:
    """Put the reports below everything, publishing below them, and the alerts last.

    Their edges go straight into the tasks' sets, as those of the plan.
    """
    stages = [
        {task.task_id for task in dag.tasks if isinstance(task, _KINDS)},
        {_PUBLISH} & set(dag.task_dict),
        {ALERTS} & set(dag.task_dict),
    ]
    after = {_MADE, *(task_id for stage in stages for task_id in stage)} & set(dag.task_dict)
    before = {
        task_id
        for task_id, task in dag.task_dict.items()
        if task_id not in after and not task.downstream_task_ids
    }
    for stage in filter(None, stages):
        for task_id in stage:
            dag.task_dict[task_id].upstream_task_ids.update(before)
        for task_id in before:
            dag.task_dict[task_id].downstream_task_ids.update(stage)
        before = stage
    # Before what comes before them: see `wire`.
    last = [_MADE, *(task_id for stage in reversed(stages) for task_id in sorted(stage))]
    first = {task_id: dag.task_dict[task_id] for task_id in last if task_id in dag.task_dict}
    rest = {task_id: task for task_id, task in dag.task_dict.items() if task_id not in first}
    dag.task_dict.clear()
    dag.task_dict.update(first | rest)
