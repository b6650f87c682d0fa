"""What is said at the end of a run: what failed and why, where to look, and the sums."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.text import Text

from goldsmith.airflow_pages import run_url
from goldsmith.client.airflow import Airflow
from goldsmith.client.failures import SHOWN, Failure, followed_a_build, print_failures
from goldsmith.client.follow import clock, progress_table
from goldsmith.client.progress import Progress
from goldsmith.client.said import SaidByDbt, Warned, in_dbts_words
from goldsmith.plan.graph import nodes_by_task
from goldsmith.plan.model import Plan, PlannedNode
from goldsmith.rest import LogLine, RestClient, Run, TaskInstance
from goldsmith.results.record import FAILED, GOOD, NodeResult

# dbt's resource types, as a person calls them, and what is said of one that went well.
_NOUNS = {
    "seed": ("seed", "loaded"),
    "model": ("model", "built"),
    "snapshot": ("snapshot", "taken"),
    "function": ("function", "made"),
    "test": ("test", "passed"),
    "unit_test": ("test", "passed"),
}
ALERTS = "alerts"
_NO_LOG = "No log: the task did not run on a worker. The scheduler's log may say why."
# Airflow names the exception before what it says.
_PREFIX = re.compile(r"^[\w.]+: ")


Nodes = Mapping[str, tuple[str, str]]
"""Unique id to dbt's resource type, and to dbt's last status where that is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSummary:
    """A run that has ended."""

    pipeline: str
    url: str
    progress: Progress
    failures: tuple[Failure, ...]
    order: tuple[str, ...]
    """The groups in the order in which they are shown."""
    warnings: tuple[Warned, ...] = ()
    """Tests and sources that are green and warned."""
    tolerated: tuple[Failure, ...] = ()
    """Tasks that failed and that a gate, or a person, has let pass."""
    nodes: Mapping[str, Nodes] = field(default_factory=dict)
    """Task id to its dbt nodes."""
    followed: tuple[str, ...] = ()
    """Ids of the gates and comparisons that failed after a build had failed: they add nothing to its reason."""
    alerts: Mapping[str, Any] = field(default_factory=dict)
    """How many messages were `sent`, and which were `not_sent`; empty where the pipeline has no alerts."""

    @property
    def is_success(self) -> bool:
        """Whether the run ended well."""
        return self.progress.run.state == "success"

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `goldsmith run --json`."""
        run = self.progress.run
        return {
            "pipeline": self.pipeline,
            "run_id": run.run_id,
            "state": run.state,
            "url": self.url,
            "started": run.started.isoformat() if run.started else None,
            "ended": run.ended.isoformat() if run.ended else None,
            "seconds": round(self.progress.seconds, 3),
            "note": run.note,
            "groups": [asdict(tally) for tally in self.progress.tallies(self.order)],
            "failures": [asdict(failure) for failure in self.failures],
            "tolerated": [asdict(failure) for failure in self.tolerated],
            "warnings": [asdict(warned) for warned in self.warnings],
            "alerts": dict(self.alerts),
            "tasks": [_task(task) for task in sorted(self.progress.tasks, key=lambda task: task.key)],
        }

    def print_on(self, console: Console) -> None:
        """Print the note on the run, the warnings, the failures, the sums and the verdict."""
        if self.progress.run.note:
            console.print(Text(self.progress.run.note, style="yellow"), soft_wrap=True)
        for warned in self.warnings[:SHOWN]:
            which = f" ({warned.unique_id})" if len(self.nodes.get(warned.task_id, ())) > 1 else ""
            text = f"WARN {warned.task_id}{which}: {warned.message}"
            console.print(Text(text, style="yellow"), soft_wrap=True)
        if len(self.warnings) > SHOWN:
            console.print(f"... and {len(self.warnings) - SHOWN} more warnings", highlight=False)
        for failure in self.tolerated[:SHOWN]:
            text = f"TOLERATED {failure.task_id}: {failure.message}"
            console.print(Text(text, style="yellow"), soft_wrap=True)
        if len(self.tolerated) > SHOWN:
            console.print(
                f"... and {len(self.tolerated) - SHOWN} more tolerated: {self.url}", highlight=False
            )
        print_failures(self.failures, self.followed, console, pipeline=self.pipeline, url=self.url)
        console.print()
        console.print(progress_table(self.progress, self.order))
        console.print()
        console.print(self._verdict())
        if counted := count_nodes(self.progress.tasks, self.nodes):
            console.print(counted, highlight=False)
        if self.alerts:
            self._print_alerts(console)

    def _print_alerts(self, console: Console) -> None:
        console.print(f"{self.alerts['sent']} alert messages sent", highlight=False)
        for lost in self.alerts["not_sent"]:
            console.print(Text(f"An alert was not sent to {lost}", style="yellow"), soft_wrap=True)

    def _verdict(self) -> Text:
        """How the run ended, in a line."""
        total, took = self.progress.total(), clock(self.progress.seconds)
        if self.is_success:
            parts = [f"{self.pipeline}: success, {total.done - total.skipped} tasks in {took}"]
            parts += [f"{len(self.tolerated)} failures tolerated"] if self.tolerated else []
            parts += [f"{total.skipped} skipped"] if total.skipped else []
            return Text(", ".join(parts), style="bold green")
        parts = [f"{self.pipeline}: {self.progress.run.state}, {total.failed} failed"]
        parts += [f"{total.not_reached} not run"] if total.not_reached else []
        return Text(", ".join([*parts, took]), style="bold red")


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
    run, planned = progress.run, nodes_by_task(plan.nodes) if plan else {}
    gates = {gate.task_id for gate in plan.gates} if plan else set()
    said = SaidByDbt(api=airflow.api, run_id=run.run_id, plan=plan) if plan else None
    failed = sorted(progress.failed, key=lambda task: (task.ended is None, task.ended, task.key))
    lasts = {task.task_id: said.lasts(task.task_id) for task in failed if said and task.task_id in planned}
    options = _options(airflow.api, run, is_only_pipeline=is_only_pipeline) if failed else ""
    let_pass = _let_pass(airflow.api, progress, failed, plan)
    described = {}
    for task in failed:
        name, known = task.task_id, (planned.get(task.task_id, ()), lasts.get(task.task_id, ()))
        # A gate that runs again finds what it found before.
        again = "" if name in gates else f"goldsmith retry {name} --downstream{options}"
        described[task.key] = _described(airflow, run, task, *known, again=again)
    return RunSummary(
        pipeline=run.dag_id,
        url=run_url(airflow.url, run.dag_id, run.run_id),
        progress=progress,
        order=tuple(order),
        warnings=said.warnings() if said else (),
        nodes={task_id: _nodes(nodes, lasts.get(task_id, ())) for task_id, nodes in planned.items()},
        failures=tuple(described[task.key] for task in failed if task.task_id not in let_pass),
        tolerated=tuple(described[task.key] for task in failed if task.task_id in let_pass),
        followed=followed_a_build(failed, plan),
        alerts=_alerts(airflow.api, progress),
    )


def _described(
    airflow: Airflow,
    run: Run,
    task: TaskInstance,
    nodes: Sequence[PlannedNode],
    lasts: Sequence[NodeResult],
    *,
    again: str,
) -> Failure:
    return Failure(
        task_id=task.task_id,
        map_index=task.map_index,
        unique_id=_first_failed(nodes, lasts),
        try_number=task.try_number,
        message=in_dbts_words(lasts) or failure_message(airflow.api, run.dag_id, run.run_id, task),
        url=airflow.task_url(run.dag_id, run.run_id, task),
        again=again,
    )


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


def _let_pass(
    api: RestClient, progress: Progress, failed: Sequence[TaskInstance], plan: Plan | None
) -> set[str]:
    """Ids of the failed tasks that do not count: all of them in a green run, else those that its gates name."""
    if progress.run.state == "success":
        return {task.task_id for task in failed}
    task_of = {node.unique_id: node.task_id for node in plan.nodes} if plan else {}
    found: set[str] = set()
    for gate in plan.gates if plan and failed else ():
        values = api.xcom(progress.run.dag_id, progress.run.run_id, gate.task_id) or {}
        if values.get("verdict") not in (None, "block"):
            found |= {task_of[uid] for uid in values.get("tolerated", ()) if uid in task_of}
    return found


def _nodes(nodes: Iterable[PlannedNode], lasts: Iterable[NodeResult]) -> dict[str, tuple[str, str]]:
    statuses = {one.unique_id: one.status for one in lasts}
    return {node.unique_id: (node.kind, statuses.get(node.unique_id, "")) for node in nodes}


def _first_failed(nodes: Sequence[PlannedNode], lasts: Iterable[NodeResult]) -> str:
    """Unique id of the node that a task failed for; empty where it has no nodes."""
    known = {node.unique_id for node in nodes}
    failed = [one.unique_id for one in lasts if one.status in FAILED and one.unique_id in known]
    return next(iter([*failed, *(node.unique_id for node in nodes)]), "")


def count_nodes(tasks: Iterable[TaskInstance], nodes: Mapping[str, Nodes]) -> str:
    """How many models were built and tests passed, and how many not; empty where the tasks have no nodes."""
    counts: Counter[tuple[str, bool]] = Counter()
    for task in tasks:
        mine = nodes.get(task.task_id, {})
        for kind, status in mine.values():
            noun, _ = _NOUNS.get(kind, ("", ""))
            is_good = _is_good(task.state, status if len(mine) > 1 else "fail")
            if noun and is_good is not None:
                counts[noun, is_good] += 1
    parts = []
    for noun, verb in dict.fromkeys(_NOUNS.values()):
        done, failed = counts[noun, True], counts[noun, False]
        parts += [f"{done} {noun}{'s' * (done != 1)} {verb}"] if done else []
        parts += [f"{failed} {noun}{'s' * (failed != 1)} failed"] if failed else []
    return ", ".join(parts)


def _is_good(state: str | None, status: str) -> bool | None:
    """Whether a node is well, by its task's state, and where that is red, by dbt's status; None: neither is said."""
    if state == "success":
        return True
    return status in GOOD if state == "failed" and status in GOOD | FAILED else None


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


def _task(task: TaskInstance) -> dict[str, Any]:
    seconds = (task.ended - task.started).total_seconds() if task.started and task.ended else None
    return {
        "task_id": task.task_id,
        "map_index": task.map_index,
        "state": task.state,
        "try_number": task.try_number,
        "seconds": seconds,
    }
