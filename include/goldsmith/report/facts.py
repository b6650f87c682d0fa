"""What a report says about a run: every node with what Airflow and dbt say of it. No I/O in here."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from goldsmith.gate_rules.base import VERDICT_BLOCK, VERDICT_PASS, RuleResult
from goldsmith.gates.verdict import Verdict, decision_text
from goldsmith.kinds import TEST_KINDS
from goldsmith.plan.graph import PlanGraph
from goldsmith.plan.model import Plan, PlannedNode
from goldsmith.results.history import by_node
from goldsmith.results.record import SKIPPED, NodeResult

NODE_GOOD, NODE_WARN, NODE_BAD, NODE_HELD, NODE_IDLE = "good", "warn", "bad", "held", "idle"
"""How a node fared: done, done with a warning, failed, held back by another one, not run."""
CONDITIONS = (NODE_GOOD, NODE_WARN, NODE_BAD, NODE_HELD, NODE_IDLE)
WORDS = {
    NODE_GOOD: "green",
    NODE_WARN: "warned",
    NODE_BAD: "failed",
    NODE_HELD: "held back",
    NODE_IDLE: "not run",
}
_OF_STATUS = {"success": NODE_GOOD, "pass": NODE_GOOD, "warn": NODE_WARN, SKIPPED: NODE_HELD}
_OF_STATE = {"success": NODE_GOOD, "failed": NODE_BAD, "upstream_failed": NODE_HELD}
_RED = {"failed", "upstream_failed"}
_MAPPED = re.compile(r"^(ingest\..+\.load)_\d+$")


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeFacts:
    """A node in a run."""

    node: PlannedNode
    state: str
    """Its task's, in Airflow; empty for none."""
    condition: str
    record: NodeResult | None
    """What dbt said last; none where nothing is kept."""
    earlier: tuple[NodeResult, ...] = ()
    is_tolerated: bool = False
    """Whether its task is red, and a gate, a person or the spec has let that pass."""

    @property
    def status(self) -> str:
        """dbt's status, or where nothing is kept Airflow's state."""
        return (self.record.status if self.record else self.state) or "not run"

    @property
    def seconds(self) -> float:
        """How long dbt took the last time; 0 where it did not get to it."""
        return self.record.seconds if self.record and self.condition != NODE_HELD else 0.0

    @property
    def is_test(self) -> bool:
        """Whether it is a test or a unit test."""
        return self.node.kind in TEST_KINDS


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerFacts:
    """A layer, or a group of nodes outside the layers."""

    name: str
    nodes: tuple[NodeFacts, ...]
    gate: str
    """The verdict of the gate after it; its state where it gave none; empty where there is no gate."""
    verdict: Verdict | None = None
    """What the gate said; none where there is no gate, or it said nothing."""

    @property
    def counts(self) -> Counter[str]:
        """How many nodes fared how."""
        return Counter(node.condition for node in self.nodes)

    @property
    def stopped_by(self) -> tuple[str, ...]:
        """Ids of the tasks for which the gate blocks, those that failed first."""
        if self.verdict is None or self.verdict.verdict != VERDICT_BLOCK:
            return ()
        states = self.verdict.stopped_by
        return tuple(sorted(states, key=lambda task_id: (states[task_id] != "failed", task_id)))

    @property
    def rules(self) -> tuple[RuleResult, ...]:
        """The gate's limits of which there is something to see: what was measured, and what is not plainly kept."""
        found = self.verdict.rules if self.verdict else ()
        return tuple(rule for rule in found if rule.outcome != VERDICT_PASS or rule.measured)

    @property
    def is_told(self) -> bool:
        """Whether there is more to see of its gate than the verdict."""
        return bool(self.rules or self.decision or self.stopped_by)

    @property
    def decision(self) -> str:
        """Who decided what, where the gate asked."""
        return decision_text(self.verdict.override) if self.verdict and self.verdict.override else ""

    @property
    def seconds(self) -> float:
        """How long something of the layer ran: neither the wait for a retry counts, nor what ran at once twice."""
        return _covered((start, end) for node in self.nodes for start, end, _ in spans_of(node))


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFacts:
    """A run, as it was when its report was made."""

    graph: PlanGraph
    """The pipeline's plan."""
    run_id: str
    started: datetime | None
    made: datetime
    is_red: bool
    layers: tuple[LayerFacts, ...]
    red_tasks: tuple[str, ...]
    """Ids of failed tasks that are no dbt nodes, and no gates."""
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Why builds and comparisons failed, by the ids of their tasks."""
    warned: tuple[str, ...] = ()
    """What dbt warned of that is about no node."""

    @property
    def pipeline(self) -> str:
        """The pipeline's name."""
        return self.graph.plan.pipeline

    @property
    def nodes(self) -> tuple[NodeFacts, ...]:
        """All nodes, layer by layer."""
        return tuple(node for layer in self.layers for node in layer.nodes)

    @property
    def counts(self) -> Counter[str]:
        """How many nodes fared how."""
        return Counter(node.condition for node in self.nodes)

    @property
    def seconds(self) -> float:
        """How long the run has taken."""
        return (self.made - self.started).total_seconds() if self.started else 0.0

    @property
    def tolerated(self) -> int:
        """How many nodes failed and do not make the run red."""
        return sum(one.condition == NODE_BAD and one.is_tolerated for one in self.nodes)

    @property
    def skipped(self) -> int:
        """How many nodes the run left out: nobody selected them."""
        return sum(one.condition == NODE_IDLE and one.state == SKIPPED for one in self.nodes)

    @property
    def not_run(self) -> int:
        """How many nodes did not run although the run did not leave them out."""
        return sum(one.condition in (NODE_HELD, NODE_IDLE) for one in self.nodes) - self.skipped

    @property
    def outcome(self) -> str:
        """How the run ended, in words: a green run in which something failed or did not run says so."""
        if self.is_red:
            return "failed"
        counts = {"tolerated": self.tolerated, "not run": self.not_run, "skipped": self.skipped}
        return ", ".join(["success", *(f"{number:,} {what}" for what, number in counts.items() if number)])


def run_facts(
    plan: Plan,
    *,
    run_id: str,
    started: datetime | None,
    made: datetime,
    states: Mapping[str, str | None],
    records: Mapping[str, Sequence[NodeResult]],
    verdicts: Mapping[str, Verdict],
    tolerated: Collection[str] = (),
    reasons: Mapping[str, str] | None = None,
) -> RunFacts:
    """Put together what is known of a run.

    Args:
        plan: The pipeline's plan.
        run_id: The run.
        started: When it started.
        made: The present.
        states: Task id to state in Airflow.
        records: Task id to what dbt said about its nodes, oldest first.
        verdicts: Id of a gate's task to its verdict.
        tolerated: Ids of the red tasks that do not make the run red.
        reasons: Id of a build or a comparison to why it failed.
    """
    graph = PlanGraph(plan)
    nodes = _nodes(graph, states, records, tolerated)
    # A gate that failed without a verdict could not judge: that is a failure of its own.
    known = {node.node.task_id for node in nodes} | (gates_of(plan) & verdicts.keys())
    # A comparison that is red for nodes which are red themselves says nothing new.
    if any(node.condition in (NODE_BAD, NODE_HELD) for node in nodes):
        known |= {build.reconcile_id for build in plan.builds}
    return RunFacts(
        graph=graph,
        run_id=run_id,
        started=started,
        made=made,
        is_red=_is_red(plan, states, tolerated),
        layers=_layers(plan, nodes, states, verdicts),
        red_tasks=tuple(
            sorted({unmapped(one) for one, state in states.items() if state == "failed" and one not in known})
        ),
        reasons=reasons or {},
    )


def _layers(
    plan: Plan,
    nodes: Sequence[NodeFacts],
    states: Mapping[str, str | None],
    verdicts: Mapping[str, Verdict],
) -> tuple[LayerFacts, ...]:
    """What is outside the layers first, then the layers in their order, of those that have nodes."""
    gates = {gate.layer: gate.task_id for gate in plan.gates}
    names = list(dict.fromkeys(node.node.layer for node in nodes))
    ordered = [name for name in names if name not in plan.layers]
    ordered += [name for name in plan.layers if name in names]
    layers = []
    for name in ordered:
        task_id = gates.get(name, "")
        verdict = verdicts.get(task_id)
        layers.append(
            LayerFacts(
                name=name,
                nodes=tuple(node for node in nodes if node.node.layer == name),
                gate=(verdict.verdict if verdict else states.get(task_id) or "not run") if task_id else "",
                verdict=verdict,
            )
        )
    return tuple(layers)


def _covered(spans: Iterable[tuple[datetime, datetime]]) -> float:
    """The seconds that are in at least one of the spans."""
    seconds, until = 0.0, None
    for start, end in sorted(spans):
        begins = start if until is None else max(start, until)
        if end > begins:
            seconds += (end - begins).total_seconds()
            until = end
    return seconds


def gates_of(plan: Plan) -> frozenset[str]:
    """The ids of the gates."""
    return frozenset(gate.task_id for gate in plan.gates)


def unmapped(task_id: str) -> str:
    """A task that is mapped over the chunks of a file, without the index that Airflow puts behind its id."""
    return _MAPPED.sub(r"\1", task_id)


def spans_of(facts: NodeFacts) -> list[tuple[datetime, datetime, NodeResult]]:
    """When dbt was at a node, each time; without what it held back."""
    found = []
    for record in (*facts.earlier, *([facts.record] if facts.record else [])):
        if record.started and record.ended and record.status != SKIPPED:
            start, end = datetime.fromisoformat(record.started), datetime.fromisoformat(record.ended)
            found.append((start, max(start, end), record))
    return found


def _nodes(
    graph: PlanGraph,
    states: Mapping[str, str | None],
    records: Mapping[str, Sequence[NodeResult]],
    tolerated: Collection[str],
) -> list[NodeFacts]:
    found = []
    for task_id, members in graph.tasks.items():
        histories = {one.latest.unique_id: one for one in by_node(records.get(task_id, ()))}
        state = states.get(task_id) or ""
        for node in members:
            history = histories.get(node.unique_id)
            record = history.latest if history else None
            found.append(
                NodeFacts(
                    node=node,
                    state=state,
                    condition=_condition(state, record, is_alone=len(members) == 1),
                    record=record,
                    earlier=history.earlier if history else (),
                    is_tolerated=task_id in tolerated,
                )
            )
    return found


def _condition(state: str, record: NodeResult | None, *, is_alone: bool) -> str:
    """A person's mark, or a task that failed beside dbt, counts where the task shows this node alone."""
    if record is None:
        return _OF_STATE.get(state, NODE_IDLE)
    said = _OF_STATUS.get(record.status, NODE_BAD)
    if is_alone and state == "failed" and said in (NODE_GOOD, NODE_WARN):
        return NODE_BAD
    return said


def _is_red(plan: Plan, states: Mapping[str, str | None], tolerated: Collection[str]) -> bool:
    """As Airflow will judge it: by gates and comparisons, and by the nodes that neither of them judges."""
    last = [gate.task_id for gate in plan.gates]
    last += [task_id for build in plan.builds for task_id in (build.task_id, build.reconcile_id)]
    if not plan.builds:  # nothing compares; what stands in a layer is its gate's to judge
        judged = {gate.layer for gate in plan.gates}
        last += [node.task_id for node in plan.nodes if node.layer not in judged]
    return any(states.get(task_id) in _RED and task_id not in tolerated for task_id in last)
