"""What is known of a run that has ended, put together from Airflow, the plan and what dbt said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from goldsmith.airflow_pages import report_url, run_url
from goldsmith.client.airflow import Airflow
from goldsmith.client.causes import Failure, causes, followers
from goldsmith.client.node_counts import Nodes
from goldsmith.client.progress import Progress
from goldsmith.client.said import SaidByDbt, in_dbts_words
from goldsmith.client.summary import RunSummary
from goldsmith.errors import GoldsmithError
from goldsmith.gates.verdict import Verdict
from goldsmith.plan.graph import nodes_by_task
from goldsmith.plan.model import Plan, PlannedNode
from goldsmith.report.store import PAGE
from goldsmith.rest import LogLine, RestClient, Run, TaskInstance
from goldsmith.results.record import FAILED, NodeResult

ALERTS = "alerts"
_ASKED = 3  # skipped tasks whose log is read
_NO_LOG = "No log: the task did not run on a worker. The scheduler's log may say why."
# Airflow names the exception before what it says.
_PREFIX = re.compile(r"^[\w.]+: ")


def summed_up(
    airflow: Airflow,
    progress: Progress,
    *,
    order: Sequence[str],
    plan: Plan | None,
    is_only_pipeline: bool = True,
) -> RunSummary:
    """Collect what is to be said, with the logs of what failed.

    Args:
        airflow: Where the run was.
        progress: The run at its end.
        order: The groups in the order in which they are to be shown.
        plan: The pipeline's plan; None where its project is not on this machine.
        is_only_pipeline: Whether `goldsmith retry` finds the pipeline without its name.
    """
    ended = _Ended(airflow=airflow, progress=progress, plan=plan, is_only_pipeline=is_only_pipeline)
    run, api = progress.run, airflow.api
    let_pass = ended.let_pass()
    failures = tuple(one for task, one in ended.described.items() if task.task_id not in let_pass)
    followed = followers(failures, progress.tasks, plan, ended.verdicts)
    return RunSummary(
        pipeline=run.dag_id,
        url=run_url(airflow.url, run.dag_id, run.run_id),
        progress=progress,
        order=tuple(order),
        warnings=ended.said.warnings() if ended.said else (),
        nodes=ended.nodes(),
        failures=failures,
        causes=causes(failures, followed, progress.tasks, plan),
        followed=followed,
        tolerated=tuple(one for task, one in ended.described.items() if task.task_id in let_pass),
        skipped=_skipped(api, progress, ended.planned),
        alerts=_alerts(api, progress),
        cancelled_by=api.cancelled_by(run) if run.state == "failed" else "",
        report=_report(api, run),
        report_url=report_url(airflow.url, run.dag_id, run.run_id),
    )


@dataclass(frozen=True, kw_only=True)
class _Ended:
    """A run that has ended, and what Airflow and dbt say of what failed in it."""

    airflow: Airflow
    progress: Progress
    plan: Plan | None
    is_only_pipeline: bool

    @cached_property
    def planned(self) -> Mapping[str, tuple[PlannedNode, ...]]:
        """Task id to its nodes."""
        return nodes_by_task(self.plan.nodes) if self.plan else {}

    @cached_property
    def said(self) -> SaidByDbt | None:
        """What dbt said; None without a plan."""
        run_id = self.progress.run.run_id
        return SaidByDbt(api=self.airflow.api, run_id=run_id, plan=self.plan) if self.plan else None

    @cached_property
    def failed(self) -> list[TaskInstance]:
        """The tasks that failed, in the order in which they ended."""
        return sorted(self.progress.failed, key=lambda task: (task.ended is None, task.ended, task.key))

    @cached_property
    def lasts(self) -> dict[str, tuple[NodeResult, ...]]:
        """Task id to what dbt said last of its nodes, of the tasks that failed."""
        ids = [task.task_id for task in self.failed if task.task_id in self.planned]
        return {task_id: self.said.lasts(task_id) for task_id in ids if self.said}

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """Task id of each gate to what it said, if something failed and it said something."""
        run = self.progress.run
        gates = [gate.task_id for gate in self.plan.gates] if self.plan and self.failed else []
        found = {gate: self.airflow.api.xcom(run.dag_id, run.run_id, gate) for gate in gates}
        return {task_id: Verdict.from_dict(values) for task_id, values in found.items() if values}

    @cached_property
    def described(self) -> dict[TaskInstance, Failure]:
        """What is to be said of each task that failed."""
        run, api = self.progress.run, self.airflow.api
        options = _options(api, run, is_only_pipeline=self.is_only_pipeline) if self.failed else ""
        return {task: self._described(task, options) for task in self.failed}

    def _described(self, task: TaskInstance, options: str) -> Failure:
        run, name = self.progress.run, task.task_id
        lasts = self.lasts.get(name, ())
        return Failure(
            task_id=name,
            map_index=task.map_index,
            unique_id=_first_failed(self.planned.get(name, ()), lasts),
            try_number=task.try_number,
            message=in_dbts_words(lasts) or failure_message(self.airflow.api, run.dag_id, run.run_id, task),
            url=self.airflow.task_url(run.dag_id, run.run_id, task),
            # A gate that runs again finds what it found before.
            again="" if name in self.verdicts else f"goldsmith retry {name} --downstream{options}",
        )

    def let_pass(self) -> set[str]:
        """Ids of the failed tasks that do not count: all of a green run, else those that its gates name."""
        if self.progress.run.state == "success":
            return {task.task_id for task in self.failed}
        task_of = {node.unique_id: node.task_id for node in self.plan.nodes} if self.plan else {}
        let_pass = {uid for verdict in self.verdicts.values() for uid in verdict.let_pass.nodes}
        return {task_of[uid] for uid in let_pass if uid in task_of}

    def nodes(self) -> dict[str, Nodes]:
        """Task id to its nodes, with dbt's statuses of those of failed tasks."""
        return {
            task_id: _nodes(nodes, self.lasts.get(task_id, ())) for task_id, nodes in self.planned.items()
        }


def _options(api: RestClient, run: Run, *, is_only_pipeline: bool) -> str:
    """What `goldsmith retry` needs to find the run."""
    options = "" if is_only_pipeline else f" --pipeline {run.dag_id}"
    is_latest = api.runs(run.dag_id, limit=1)[0].run_id == run.run_id
    return options if is_latest else f"{options} --run {run.run_id}"


def _alerts(api: RestClient, progress: Progress) -> Mapping[str, Any]:
    """What became of the run's messages, as the task that sends them says it."""
    is_told = any(task.task_id == ALERTS and task.state == "success" for task in progress.tasks)
    found = api.xcom(progress.run.dag_id, progress.run.run_id, ALERTS) if is_told else None
    return found if isinstance(found, Mapping) else {}


def _skipped(api: RestClient, progress: Progress, planned: Mapping[str, Any]) -> dict[str, str]:
    """Task id to why, of tasks beside dbt that skipped themselves."""
    run = progress.run
    own = [task for task in progress.tasks if task.state == "skipped" and task.task_id not in planned]
    found = {}
    for task in [one for one in own if one.started][:_ASKED]:
        reasons = [line.reason for line in api.logs(run.dag_id, run.run_id, task) if line.reason]
        if reasons:
            found[task.task_id] = reasons[-1]
    return found


def _report(api: RestClient, run: Run) -> str:
    """Where the run's report lies; empty if there is none, or this Airflow cannot be asked."""
    try:
        found = api.reports(run.dag_id, run.run_id)
    except GoldsmithError:
        return ""
    return str(found["path"]) if PAGE in found["files"] else ""


def _nodes(nodes: Iterable[PlannedNode], lasts: Iterable[NodeResult]) -> dict[str, tuple[str, str]]:
    statuses = {one.unique_id: one.status for one in lasts}
    return {node.unique_id: (node.kind, statuses.get(node.unique_id, "")) for node in nodes}


def _first_failed(nodes: Sequence[PlannedNode], lasts: Iterable[NodeResult]) -> str:
    """Unique id of the node that a task failed for; empty where it has no nodes."""
    known = {node.unique_id for node in nodes}
    failed = [one.unique_id for one in lasts if one.status in FAILED and one.unique_id in known]
    return next(iter([*failed, *(node.unique_id for node in nodes)]), "")


def failure_message(api: RestClient, dag_id: str, run_id: str, task: TaskInstance) -> str:
    """Why a task failed: the exception in its log, without what stands before dbt's own words."""
    return message_in(api.logs(dag_id, run_id, task))


def message_in(lines: Sequence[LogLine]) -> str:
    """The reason of a failure in a task's log."""
    errors = [line.error or line.text for line in lines if line.level in {"error", "critical"}]
    raised = [line.error for line in lines if line.error]
    if not errors and not raised:
        return _NO_LOG
    return _PREFIX.sub("", (raised or errors)[-1].strip())
