"""What failed in a run, each cause once: nodes that failed with the same error stand together. No I/O in here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from goldsmith.dbt.error_class import common_reason
from goldsmith.report.behind import Behind, Holding
from goldsmith.report.facts import NODE_BAD, NodeFacts, RunFacts
from goldsmith.report.past import Past
from goldsmith.report.summary import Failures

_FOUND_ROWS, _STALE = "fail", ("source", "error")
"""dbt's words for a test that found rows, and for a source that is too old: both are about the data of the node."""
_HINT = re.compile(r"^\s*HINT: .*$", re.MULTILINE)
"""What PostgreSQL adds to an error: another query may get another one."""
_LOOKED_AT = 2000  # characters: the patterns of errors take long for a long word


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """A reason for which nodes failed."""

    nodes: tuple[NodeFacts, ...]
    """What is no test comes first, else in the order in which they are built."""
    error: str
    """The error that they share, without what is a node's own; empty if one node alone failed so."""
    behind: Behind
    failures: Failures | None
    """Of the node that has failed for the longest time."""
    again: str
    """The command that runs them again."""

    @property
    def node(self) -> NodeFacts:
        """The node that stands for all."""
        return self.nodes[0]

    @property
    def is_tolerated(self) -> bool:
        """Whether none of the failures makes the run red."""
        return all(node.is_tolerated for node in self.nodes)


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedTask:
    """A task that failed and is no dbt node."""

    task_id: str
    why: str
    behind: Behind
    failures: Failures | None
    again: str


def causes(run: RunFacts, past: Past, holding: Holding) -> tuple[Cause, ...]:
    """What failed, by cause: what makes the run red first, then what holds back most.

    Args:
        run: The run.
        past: The runs before it.
        holding: Finds what is held back.
    """
    position = run.graph.position
    failed = [node for node in run.nodes if node.condition == NODE_BAD]
    failed.sort(key=lambda one: (one.is_test, position.get(one.node.task_id, 0), one.node.name))
    alike: dict[str, list[NodeFacts]] = {}
    for node in failed:
        alike.setdefault(shared_error(node) or node.node.unique_id, []).append(node)
    found = [_cause(run, nodes, past, holding) for nodes in alike.values()]
    return tuple(sorted(found, key=lambda one: (one.is_tolerated, -one.behind.total)))


def failed_tasks(run: RunFacts, past: Past, holding: Holding) -> tuple[FailedTask, ...]:
    """The tasks that failed and are no dbt nodes."""
    gates = {gate.task_id for gate in run.graph.plan.gates}
    return tuple(
        FailedTask(
            task_id=task_id,
            why=run.reasons.get(task_id, ""),
            behind=holding.behind([task_id]),
            failures=past.failures(task_id),
            # A gate that runs again finds what it found before.
            again="" if task_id in gates else _retry(run, task_id),
        )
        for task_id in run.red_tasks
    )


def shared_error(facts: NodeFacts) -> str:
    """The error of a node, without what is the node's own; empty if it is about its data, or none is known.

    Args:
        facts: A node that failed.
    """
    record = facts.record
    if record is None or record.status == _FOUND_ROWS or (record.kind, record.status) == _STALE:
        return ""
    return common_reason(_HINT.sub("", record.message[:_LOOKED_AT]))


def _cause(run: RunFacts, nodes: Sequence[NodeFacts], past: Past, holding: Holding) -> Cause:
    tasks = list(dict.fromkeys(node.node.task_id for node in nodes))
    known = [one for node in nodes if (one := past.failures(node.node.unique_id))]
    return Cause(
        nodes=tuple(nodes),
        error=shared_error(nodes[0]) if len(nodes) > 1 else "",
        behind=holding.behind(tasks),
        failures=max(known, key=lambda one: one.in_a_row, default=None),
        again=_retry(run, *tasks),
    )


def _retry(run: RunFacts, task_id: str, *others: str) -> str:
    """The command that runs failed tasks again with what they hold back."""
    if others and run.is_red:  # a run that is green has nothing to go on with
        return f"goldsmith run {run.pipeline} --failed"
    return f"goldsmith retry {task_id} --downstream --pipeline {run.pipeline}"
