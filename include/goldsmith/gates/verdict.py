"""The verdict of a gate: what was measured, what blocks, and what is let pass."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from goldsmith.gate_rules.base import (
    NOT_MEASURED,
    OUTCOME_FAILED,
    VERDICT_BLOCK,
    VERDICT_PASS,
    VERDICT_WARN,
    Fact,
    Found,
    RuleResult,
)
from goldsmith.gates.outcomes import HARMLESS, LetPass, outcomes, stale_sources, tolerated_tasks
from goldsmith.plan.graph import PlanGraph, States
from goldsmith.plan.model import PlannedGate
from goldsmith.spec.gate import Gate
from goldsmith.wording import some

APPROVED, REJECTED, UNANSWERED = "approved", "rejected", "unanswered"
NOT_RUN = "not_run"
_NAMED = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Override:
    """What a person decided about a layer that was blocked."""

    decision: str
    """`approved`, `rejected` or `unanswered`."""
    by: str
    at: str
    """ISO 8601."""
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Whether what follows a layer may start, and why not."""

    layer: str
    verdict: str
    """`pass`, `warn` or `block`."""
    rules: tuple[RuleResult, ...]
    counts: Mapping[str, int]
    """Task state to number of tasks."""
    stopped_by: Mapping[str, str]
    """Task id to state, of the tasks that are red and not tolerated."""
    failed: tuple[str, ...] = ()
    """Unique ids of the layer's nodes that failed, and of stale sources that it reads."""
    tolerated: tuple[str, ...] = ()
    """Those of them that the gate lets pass."""
    held_back: tuple[str, ...] = ()
    """Ids of the layer's tasks that were not run because of what was let pass."""
    override: Override | None = None

    def decided(self, override: Override) -> Verdict:
        """The verdict after a person was asked: whoever approves lets all pass that was shown, and nothing else."""
        if override.decision != APPROVED:
            return replace(self, override=override)
        held = [task for task, state in self.stopped_by.items() if state == "upstream_failed"]
        return replace(
            self,
            verdict=VERDICT_WARN,
            override=override,
            tolerated=self.failed,
            held_back=tuple(sorted({*self.held_back, *held})),
        )

    @property
    def let_pass(self) -> LetPass:
        """What it has let pass; nothing, where it blocks."""
        if self.verdict == VERDICT_BLOCK:
            return LetPass()
        return LetPass(nodes=frozenset(self.tolerated), held_back=frozenset(self.held_back))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for XCom: names, states and numbers, nothing of the data."""
        return {
            "layer": self.layer,
            "verdict": self.verdict,
            "counts": dict(self.counts),
            "stopped_by": dict(self.stopped_by),
            "rules": [rule.to_dict() for rule in self.rules],
            "failed": list(self.failed),
            "tolerated": list(self.tolerated),
            "held_back": list(self.held_back),
            "override": asdict(self.override) if self.override else None,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Verdict:
        """Make a verdict of what `to_dict` gave, after a way through JSON."""
        rules = tuple(
            RuleResult(
                **{**{k: v for k, v in rule.items() if k != "more_nodes"}, "nodes": tuple(rule["nodes"])}
            )
            for rule in values["rules"]
        )
        override = values.get("override")
        return cls(
            layer=values["layer"],
            verdict=values["verdict"],
            rules=rules,
            counts=dict(values["counts"]),
            stopped_by=dict(values["stopped_by"]),
            failed=tuple(values["failed"]),
            tolerated=tuple(values["tolerated"]),
            held_back=tuple(values["held_back"]),
            override=Override(**override) if override else None,
        )

    def headline(self) -> str:
        """The verdict in one line."""
        total = sum(self.counts.values())
        states = ", ".join(f"{number} {state}" for state, number in sorted(self.counts.items()))
        return f"Gate after {self.layer}: {self.verdict.upper()} ({total} tasks: {states})"

    def blocking(self) -> str:
        """What blocks, in one line."""
        said = [
            f"{one.rule} {one.shown}, {one.allowed}" for one in self.rules if one.outcome == VERDICT_BLOCK
        ]
        tasks = [f"{task} ({state})" for task, state in sorted(self.stopped_by.items())]
        behind = f": {some(tasks, _NAMED)}" if tasks else ""
        return f"{'; '.join(said)}{behind}"

    def lines(self, *, width: int = 110) -> list[str]:
        """The verdict as lines of text for a log: what was measured, what blocks, what was let pass."""
        found = [self.headline(), *(f"  {line}" for line in _table(self.rules, width))]
        longest = max((len(task) for task in self.stopped_by), default=0)
        found += [f"  {task:<{longest}}  {state}" for task, state in sorted(self.stopped_by.items())]
        if self.tolerated and self.verdict != VERDICT_BLOCK:
            found.append(f"Let pass: {', '.join(self.tolerated)}")
        if self.held_back and self.verdict != VERDICT_BLOCK:
            found.append(f"Not run because of that: {', '.join(self.held_back)}")
        if self.override:
            found.append(decision_text(self.override))
        return found


def decision_text(override: Override) -> str:
    """Who decided what, when and why."""
    if override.decision == UNANSWERED:
        return f"Nobody answered: {override.reason}"
    return f"{override.decision.capitalize()} by {override.by} at {override.at}: {override.reason}"


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a gate judges."""

    gate: PlannedGate
    limits: Gate
    graph: PlanGraph
    states: States
    """Task id to state: of the layer's tasks, and where one of them is red of all."""
    statuses: Mapping[str, str]
    """Unique id to dbt's last status, as far as it matters."""
    before: LetPass = field(default_factory=LetPass)
    """What earlier gates have let pass."""
    skips_stale: bool = False


def judge(case: Case, measures: Found | None = None) -> Verdict:
    """Hold a layer against its limits.

    Args:
        case: What became of its tasks.
        measures: What stands in the warehouse, if a limit is about that.
    """
    tasks = case.graph.tasks
    found = outcomes(tasks, case.states, case.statuses)
    judged = [task for task in case.gate.judged if task in tasks]
    layer = [*judged, *_sources_read(case.graph, judged)]
    facts = [
        Fact(node=node, outcome=found[node.unique_id])
        for task in layer
        for node in tasks[task]
        if node.kind != "source" or node.unique_id not in case.before.nodes
    ]
    rules = case.limits.judge(replace(measures or Found(), facts=facts, skips_stale=case.skips_stale))
    blocked = {uid for rule in rules if rule.outcome == VERDICT_BLOCK for uid in rule.nodes}
    failed = {fact.node.unique_id for fact in facts if fact.outcome == OUTCOME_FAILED}
    roots = failed - blocked
    stale = stale_sources(case.graph, found) if case.skips_stale else set()
    let_pass = case.before | LetPass(nodes=frozenset(roots | stale))
    fine = tolerated_tasks(case.graph, case.states, found, let_pass)
    found_states = {task: case.states.get(task) or "not run" for task in case.gate.judged}
    red = {task: state for task, state in found_states.items() if state not in HARMLESS}
    stopped_by = {task: state for task, state in red.items() if task not in fine}
    rules += _not_run({task: state for task, state in stopped_by.items() if state != "failed"})
    verdict = _worst(rules)
    held = sorted(task for task in red if task in fine and red[task] == "upstream_failed")
    return Verdict(
        layer=case.gate.layer,
        verdict=verdict,
        rules=tuple(rules),
        counts=dict(Counter(found_states.values())),
        stopped_by=stopped_by,
        failed=tuple(sorted(failed)),
        tolerated=tuple(sorted(roots)),
        held_back=tuple(held),
    )


def _sources_read(graph: PlanGraph, judged: Sequence[str]) -> list[str]:
    """Ids of the freshness checks right before a layer's tasks."""
    before = {one for task in judged for one in graph.upstream[task] if one in graph.tasks}
    return sorted(one for one in before - set(judged) if graph.tasks[one][0].kind == "source")


def _not_run(tasks: Mapping[str, str]) -> list[RuleResult]:
    if not tasks:
        return []
    return [
        RuleResult(
            rule=NOT_RUN,
            measured=len(tasks),
            allowed="at most 0",
            outcome=VERDICT_BLOCK,
            nodes=tuple(sorted(tasks)),
        )
    ]


def _worst(rules: Sequence[RuleResult]) -> str:
    found = {rule.outcome for rule in rules}
    return next((one for one in (VERDICT_BLOCK, VERDICT_WARN) if one in found), VERDICT_PASS)


def _table(rules: Sequence[RuleResult], width: int) -> list[str]:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("rule", "measured", "limit", ""):
        table.add_column(name)
    for rule in rules:
        outcome = rule.outcome if rule.outcome in (VERDICT_PASS, NOT_MEASURED) else rule.outcome.upper()
        table.add_row(*(Text(cell) for cell in (rule.rule, rule.shown, rule.allowed, outcome)))
    text = io.StringIO()
    Console(file=text, width=width, color_system=None).print(table)
    return [line.rstrip() for line in text.getvalue().splitlines()]
