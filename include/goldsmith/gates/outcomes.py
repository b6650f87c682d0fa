"""What became of each node, and what of that is a consequence of something that a gate let pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from goldsmith.gate_rules.base import OUTCOME_FAILED, OUTCOME_PASSED, OUTCOME_WARNED
from goldsmith.plan.graph import PlanGraph, States
from goldsmith.plan.model import PlannedNode
from goldsmith.results.record import GOOD

OUTCOME_HELD, OUTCOME_SKIPPED, OUTCOME_OPEN = "held back", "skipped", "open"
"""What became of a node that did not run."""
HARMLESS = frozenset({"success", "skipped"})
"""Airflow's states of a task that needs no word."""
RED = frozenset({"failed", "upstream_failed"})

_WARN, _HELD_BY_DBT = "warn", "skipped"
_STALE = (
    "error"  # dbt's status of a source that is too old; one that cannot be looked at is a `runtime error`
)


def outcomes(
    tasks: Mapping[str, Sequence[PlannedNode]], states: States, statuses: Mapping[str, str]
) -> dict[str, str]:
    """Unique id to what became of a node.

    Airflow's state of the task decides; dbt's status tells which of several nodes it is about, and what warned.

    Args:
        tasks: Task id to nodes.
        states: Task id to Airflow's state.
        statuses: Unique id to dbt's last status, as far as known.
    """
    return {
        uid: what
        for task, nodes in tasks.items()
        for uid, what in _of_task(nodes, states.get(task), statuses)
    }


def _of_task(
    nodes: Sequence[PlannedNode], state: str | None, statuses: Mapping[str, str]
) -> list[tuple[str, str]]:
    known = {node.unique_id: statuses.get(node.unique_id, "") for node in nodes}
    if state == "success":
        return [(uid, OUTCOME_WARNED if status == _WARN else OUTCOME_PASSED) for uid, status in known.items()]
    if state == "skipped":
        return [(uid, OUTCOME_SKIPPED) for uid in known]
    if state == "upstream_failed":
        return [(uid, OUTCOME_HELD) for uid in known]
    if state != "failed":
        return [(uid, OUTCOME_OPEN) for uid in known]
    if nodes[0].kind == "source" and known[nodes[0].unique_id] != _STALE:
        return [(uid, OUTCOME_OPEN) for uid in known]
    failed = _failed(known)
    return [(uid, OUTCOME_FAILED if uid in failed else _beside(status)) for uid, status in known.items()]


def _failed(known: Mapping[str, str]) -> set[str]:
    """Which nodes a task failed for: those that dbt says failed, else all that may have, else all."""
    named = {uid for uid, status in known.items() if status not in ("", _HELD_BY_DBT, *GOOD)}
    return named or {uid for uid, status in known.items() if status not in GOOD} or set(known)


def _beside(status: str) -> str:
    if status == _WARN:
        return OUTCOME_WARNED
    return OUTCOME_PASSED if status in GOOD else OUTCOME_HELD


@dataclass(frozen=True, kw_only=True, slots=True)
class LetPass:
    """What gates have let pass."""

    nodes: frozenset[str] = frozenset()
    """Unique ids of nodes that failed."""
    held_back: frozenset[str] = frozenset()
    """Ids of tasks that were not run."""

    def __or__(self, other: LetPass) -> LetPass:
        return LetPass(nodes=self.nodes | other.nodes, held_back=self.held_back | other.held_back)


def tolerated_tasks(
    graph: PlanGraph, states: States, found: Mapping[str, str], let_pass: LetPass
) -> set[str]:
    """Ids of the red tasks that nobody has to look at: what was let pass, and what was held back for that alone.

    A task that was held back and fails now is neither.

    Args:
        graph: The plan.
        states: Task id to state, of the whole run.
        found: Unique id to what became of the node.
        let_pass: What gates have let pass.
    """
    fine: set[str] = set()
    red = [task for task in graph.tasks if states.get(task) in RED]
    for task in sorted(red, key=graph.position.__getitem__):
        if states.get(task) == "failed":
            failed = [
                one.unique_id for one in graph.tasks[task] if found.get(one.unique_id) == OUTCOME_FAILED
            ]
            is_fine = bool(failed) and let_pass.nodes.issuperset(failed)
        else:
            before = [one for one in graph.upstream[task] if states.get(one) in RED]
            is_fine = task in let_pass.held_back or (bool(before) and fine.issuperset(before))
        if is_fine:
            fine.add(task)
    return fine


def stale_sources(graph: PlanGraph, found: Mapping[str, str]) -> set[str]:
    """Unique ids of the sources that are too old."""
    nodes = graph.plan.nodes
    return {
        node.unique_id
        for node in nodes
        if node.kind == "source" and found.get(node.unique_id) == OUTCOME_FAILED
    }
