"""What a run did, as events for whoever has to know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from goldsmith.airflow_pages import RESULT_TAB, report_url, run_url, task_url
from goldsmith.alerts.event import Event
from goldsmith.alerts.ledger import Incident
from goldsmith.gate_rules.base import VERDICT_BLOCK
from goldsmith.gates.verdict import Verdict
from goldsmith.kinds import TEST_KINDS
from goldsmith.plan.graph import PlanGraph
from goldsmith.plan.model import PlannedNode
from goldsmith.report.facts import NODE_BAD, NODE_GOOD, NODE_WARN, NodeFacts, RunFacts, unmapped
from goldsmith.results.record import NodeResult
from goldsmith.spec.alerts import (
    DEADLINE_MISSED,
    GATE_BLOCKED,
    GATE_WAITING,
    MODEL_FAILED,
    RECOVERED,
    REPORT_FAILED,
    RUN_FINISHED,
    SOURCE_STALE,
    TASK_FAILED,
    TEST_FAILED,
    TEST_WARNED,
    Alerts,
)

REPORT_TASKS = frozenset({"report", "run_report", "elementary_report", "dbt_docs", "publish"})
_STALE = "error"  # dbt's word for a source that is too old; one that cannot be looked at is a `runtime error`
_OVER = {DEADLINE_MISSED: "{} was missed, and the run has ended well", GATE_BLOCKED: "{} lets pass again"}
_WENT_WELL = frozenset({NODE_GOOD, NODE_WARN})


@dataclass(frozen=True, kw_only=True)
class Events:
    """Makes the events of a run.

    Args:
        graph: The pipeline's plan.
        alerts: The spec.
        run_id: The run.
        environment: What the environment is called.
        airflow_url: The address of Airflow's web page; empty where it is not known.
    """

    graph: PlanGraph
    alerts: Alerts
    run_id: str
    environment: str
    airflow_url: str

    def of_run(self, run: RunFacts) -> list[Event]:
        """What happened: nodes that failed or warned, gates, other tasks, and that it has ended."""
        found = [event for node in run.nodes if (event := self.of_node(node)) is not None]
        verdicts = (layer.verdict for layer in run.layers)
        found += [
            self.gate_blocked(verdict) for verdict in verdicts if verdict and is_blocked_itself(verdict)
        ]
        found += [self.task_failed(one, run.reasons.get(one, "")) for one in run.red_tasks]
        return [*found, self._finished(run)]

    def recovered(
        self, run: RunFacts, states: Mapping[str, str | None], incidents: Mapping[str, Incident]
    ) -> dict[str, Event]:
        """What was wrong and is no longer, by the key of the incident; what did not run is not known to be well."""
        nodes = {node.node.unique_id: node for node in run.nodes}
        gates = {layer.verdict.layer: layer.verdict for layer in run.layers if layer.verdict}
        built = {node.node.build: None for node in run.nodes if node.condition in _WENT_WELL}
        layers = {node.node.layer for node in run.nodes if node.condition in _WENT_WELL}
        idle = {
            task_id
            for build in self.graph.plan.builds
            if build.task_id not in built
            for task_id in (build.task_id, build.reconcile_id)
        }
        found = {}
        for key, incident in incidents.items():
            before = incident.event
            if before.name and before.subject not in nodes:
                found[key] = self._over(before, "{} is no longer in the project")
                continue
            if before.subject in nodes:
                is_well = nodes[before.subject].condition in _WENT_WELL
            elif before.kind == DEADLINE_MISSED:
                is_well = not run.is_red and bool(layers)
            elif before.kind == GATE_BLOCKED:
                is_well = (
                    before.layer in gates.keys() & layers and gates[before.layer].verdict != VERDICT_BLOCK
                )
            else:
                task_id = before.task_id or before.subject
                of_it = [state for one, state in states.items() if unmapped(one) == task_id]
                is_well = bool(of_it) and set(of_it) == {"success"} and task_id not in idle
            if is_well:
                found[key] = self._over(before, _OVER.get(before.kind, "{} is green again"))
        return found

    def of_node(self, facts: NodeFacts) -> Event | None:
        """A node that failed or warned; none where it did neither."""
        if facts.condition not in (NODE_BAD, NODE_WARN):
            return None
        return self.node_event(
            facts.node, facts.record, is_bad=facts.condition == NODE_BAD, is_tolerated=facts.is_tolerated
        )

    def node_event(
        self, node: PlannedNode, record: NodeResult | None, *, is_bad: bool, is_tolerated: bool = False
    ) -> Event:
        """A node that failed, or warned."""
        kind = _kind(node, is_bad=is_bad)
        what = node.kind.replace("_", " ")
        verb = "failed" if is_bad else "warned"
        title = f"source {node.name} is stale" if kind == SOURCE_STALE else f"{what} {node.name} {verb}"
        if is_bad and record is not None and node.kind == "source" and record.status != _STALE:
            title = f"source {node.name} cannot be looked at"
        command = node.command("source freshness" if node.kind == "source" else "build")
        return Event(
            kind=kind,
            subject=node.unique_id,
            title=title + (" (tolerated)" if is_tolerated else ""),
            pipeline=self.graph.plan.pipeline,
            run_id=self.run_id,
            environment=self.environment,
            name=node.name,
            task_id=node.task_id,
            layer=node.layer,
            owner=node.owner,
            group=node.dbt_group,
            tags=node.tags,
            severity="error" if is_bad else "warn",
            message=record.message if record else "",
            rows=record.failing_rows if record else None,
            blocks=tuple(self._models_below(node.task_id)) if is_bad and not is_tolerated else (),
            links=self._links(node.task_id, name=node.name, owner=node.owner, view=RESULT_TAB),
            command=command,
        )

    def gate_blocked(self, verdict: Verdict) -> Event:
        """A gate that lets nothing pass."""
        title = f"the gate after {verdict.layer} blocks"
        return self._of_gate(GATE_BLOCKED, verdict.layer, title, "\n".join(verdict.lines()))

    def gate_waiting(self, verdict: Verdict) -> Event:
        """A gate that asks a person."""
        said = "\n".join(verdict.lines())
        title = f"the gate after {verdict.layer} waits for a person to approve or reject"
        return self._of_gate(GATE_WAITING, verdict.layer, title, said)

    def task_failed(self, task_id: str, why: str = "") -> Event:
        """A task that is no dbt node, and why it failed where that is known."""
        kind = REPORT_FAILED if task_id in REPORT_TASKS else TASK_FAILED
        return self._event(kind, task_id, f"{task_id} failed", task_id=task_id, message=why)

    def _of_gate(self, kind: str, layer: str, title: str, message: str) -> Event:
        task_id = next((gate.task_id for gate in self.graph.plan.gates if gate.layer == layer), layer)
        return self._event(kind, task_id, title, task_id=task_id, layer=layer, message=message)

    def _finished(self, run: RunFacts) -> Event:
        counts = ", ".join(f"{number} {how}" for how, number in sorted(run.counts.items()))
        title = f"run {'failed' if run.is_red else 'finished'} after {run.seconds:.0f} s: {counts}"
        severity = "error" if run.is_red else "warn"
        return self._event(RUN_FINISHED, self.graph.plan.pipeline, title, severity=severity)

    def _event(
        self,
        kind: str,
        subject: str,
        title: str,
        *,
        task_id: str = "",
        layer: str = "",
        message: str = "",
        severity: str = "error",
    ) -> Event:
        return Event(
            kind=kind,
            subject=subject,
            title=title,
            pipeline=self.graph.plan.pipeline,
            run_id=self.run_id,
            environment=self.environment,
            task_id=task_id,
            layer=layer,
            message=message,
            severity=severity,
            links=self._links(task_id, name=subject, owner=""),
        )

    def _over(self, before: Event, title: str) -> Event:
        return Event(
            kind=RECOVERED,
            subject=before.subject,
            title=title.format(before.name or before.subject),
            pipeline=before.pipeline,
            run_id=self.run_id,
            environment=self.environment,
            name=before.name,
            task_id=before.task_id,
            layer=before.layer,
            owner=before.owner,
            group=before.group,
            tags=before.tags,
            severity=before.severity,
            links=self._links(before.task_id, name=before.name, owner=before.owner),
        )

    def _models_below(self, task_id: str) -> Iterator[str]:
        below = self.graph.held_back([task_id])
        for one in sorted(below, key=self.graph.position.__getitem__):
            node = self.graph.tasks[one][0]
            if node.kind in ("model", "snapshot"):
                yield node.name

    def _links(self, task_id: str, *, name: str, owner: str, view: str = "") -> dict[str, str]:
        found, ids = {}, (self.graph.plan.pipeline, self.run_id)
        if url := self.airflow_url:
            if task_id:
                found["task"] = task_url(url, *ids, task_id, tab=view)
            found |= {"run": run_url(url, *ids), "report": report_url(url, *ids)}
        if runbook := self.alerts.runbook_of(node=name, owner=owner, pipeline=self.graph.plan.pipeline):
            found["runbook"] = runbook
        return found


def last_greens(subjects: Iterable[str], earlier: Iterable[tuple[str, Mapping[str, str]]]) -> dict[str, str]:
    """Unique id to the run in which a node was green last.

    Args:
        subjects: Unique ids of the nodes.
        earlier: Earlier runs, the latest first: a name, and unique id to condition.
    """
    left = set(subjects)
    found: dict[str, str] = {}
    for name, conditions in earlier:
        green = {uid for uid in left if conditions.get(uid) in _WENT_WELL}
        found |= dict.fromkeys(green, name)
        left -= green
        if not left:
            break
    return found


def _kind(node: PlannedNode, *, is_bad: bool) -> str:
    if node.kind == "source":
        return SOURCE_STALE
    if node.kind in TEST_KINDS:
        return TEST_FAILED if is_bad else TEST_WARNED
    return MODEL_FAILED


def is_blocked_itself(verdict: Verdict) -> bool:
    """Whether a gate blocks, and not only because one before it does: below a layer that is blocked all are."""
    states = set(verdict.stopped_by.values())
    return verdict.verdict == VERDICT_BLOCK and states != {"upstream_failed"}
