"""What a run waits for, said as soon as it does: another run of its pipeline, or a person's answer to a gate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from goldsmith.client.display import clock
from goldsmith.client.gate_in_run import GateInRun
from goldsmith.client.progress import Progress
from goldsmith.client.said import SaidByDbt
from goldsmith.errors import GoldsmithError
from goldsmith.gate_rules.base import VERDICT_BLOCK
from goldsmith.gates.verdict import Verdict, decision_text
from goldsmith.plan.graph import PlanGraph
from goldsmith.plan.model import PlannedGate
from goldsmith.rest import RestClient, TaskInstance
from goldsmith.results.record import FAILED

_SHOWN = 10  # failed nodes of a gate
_LINES = 6  # of what dbt says of one


@dataclass(kw_only=True)
class QueuedRun:
    """Says which run a queued run waits for.

    Args:
        api: The Airflow.
    """

    api: RestClient
    _is_said: bool = False

    def lines(self, progress: Progress) -> Iterable[str]:
        """The runs that have to end first, once."""
        if progress.run.state != "queued" or self._is_said:
            return []
        try:
            runs = self.api.runs(progress.run.dag_id)
        except GoldsmithError:  # the next look may succeed
            return []
        now = datetime.now(UTC)
        ahead = [one for one in runs if one.state == "running" and one.run_id != progress.run.run_id]
        self._is_said = bool(ahead)
        return [
            f"Waiting: run {one.run_id} has not ended, and a pipeline's runs go one after another. It has taken "
            f"{clock((now - one.started).total_seconds()) if one.started else '0:00'} until now."
            for one in ahead
        ]


@dataclass(kw_only=True)
class AskingGates:
    """Says which gate waits for an answer and why, and what came of it.

    Args:
        api: The Airflow.
        pipeline: The pipeline.
        run_id: The run.
        said: What dbt said in that run, and the plan.
    """

    api: RestClient
    pipeline: str
    run_id: str
    said: SaidByDbt
    _waiting: dict[str, int] = field(default_factory=dict)
    """Task id of each gate that waits to the try that began to."""

    def lines(self, progress: Progress) -> Iterable[str]:
        """The gates that have begun to wait, and those that were answered."""
        tasks = {task.task_id: task for task in progress.tasks}
        found: list[str] = []
        for gate in self.said.plan.gates:
            task = tasks.get(gate.task_id)
            if task is None:
                continue
            try:
                found += self._news(gate, task)
            except GoldsmithError:  # the next look may succeed
                continue
        return found

    def _news(self, gate: PlannedGate, task: TaskInstance) -> list[str]:
        one = GateInRun(api=self.api, pipeline=self.pipeline, run_id=self.run_id, layer=gate.layer)
        began = self._waiting.get(gate.task_id)
        if task.is_asking and began != task.try_number:
            verdict, until = one.verdict(), one.until()
            if verdict is None:
                return []
            self._waiting[gate.task_id] = task.try_number
            return ["", *_head(one, until), *self._why(verdict), *one.commands()]
        if began is not None and task.state in ("success", "failed"):
            verdict = one.verdict()
            del self._waiting[gate.task_id]
            if verdict and verdict.override:
                return [f"{gate.task_id}: {decision_text(verdict.override)}"]
        return []

    def _why(self, verdict: Verdict) -> list[str]:
        """The limits that block, and what dbt says of the nodes that failed."""
        rules = [rule for rule in verdict.rules if rule.outcome == VERDICT_BLOCK]
        failed = failed_by_task(verdict, self.said)
        found = [f"  {rule.rule} {rule.shown}, {rule.allowed}" for rule in rules]
        for task_id, message in list(failed.items())[:_SHOWN]:
            first, *rest = message.splitlines()[:_LINES] or [""]
            found += [f"  {task_id}: {first}", *(f"    {line}" for line in rest)]
        found += [f"  and {len(failed) - _SHOWN} more"] if len(failed) > _SHOWN else []
        return found


def failed_by_task(verdict: Verdict, said: SaidByDbt) -> Mapping[str, str]:
    """Task id to what dbt says of the nodes of it that failed, of a gate's verdict.

    Args:
        verdict: The verdict.
        said: What dbt said in the run.
    """
    graph = PlanGraph(said.plan)
    found: dict[str, str] = {}
    for task_id in dict.fromkeys(graph.task_of[uid] for uid in verdict.failed if uid in graph.task_of):
        lasts = [one for one in said.lasts(task_id) if one.status in FAILED]
        found[task_id] = "\n".join(one.message or one.status for one in lasts) or "failed"
    return found


def _head(gate: GateInRun, until: datetime | None) -> list[str]:
    time = f" until {until.astimezone():%H:%M}" if until else ""
    return [f"{gate.task_id} blocks, and waits{time} for a person to approve or reject:"]
