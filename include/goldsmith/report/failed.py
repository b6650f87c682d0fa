"""The failures of a run, each cause once: since when, and what it holds back. No I/O in here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from goldsmith.dbt.error_class import common_reason
from goldsmith.kinds import TEST_KINDS
from goldsmith.plan.graph import PlanGraph
from goldsmith.report.facts import NODE_BAD, NODE_HELD, NodeFacts, RunFacts
from goldsmith.report.past import NodePast, Past


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """Nodes that failed of one cause."""

    nodes: tuple[NodeFacts, ...]
    """The one whose message is shown comes first."""
    past: NodePast
    """Of the first one."""
    held_models: tuple[str, ...]
    """Names of the models, seeds and snapshots that it holds back, in the order of the plan."""
    held_tests: int
    again: str
    """The command that runs it again, and what waits for it."""

    @property
    def first(self) -> NodeFacts:
        """The node whose message is shown."""
        return self.nodes[0]

    @property
    def held(self) -> int:
        """How many nodes it holds back."""
        return len(self.held_models) + self.held_tests


def failed_of(run: RunFacts, past: Past) -> tuple[Failed, ...]:
    """The causes of a run's failures; the one that holds back most comes first, what was let pass last.

    Args:
        run: The run.
        past: The runs before it.
    """
    alike: dict[str, list[NodeFacts]] = {}
    for one in run.nodes:
        if one.condition == NODE_BAD:
            alike.setdefault(_reason(one), []).append(one)
    graph = PlanGraph(run.plan)
    held = {one.node.task_id: one for one in run.nodes if one.condition == NODE_HELD}
    found = [_failed(ones, graph, held, past) for ones in alike.values()]
    return tuple(sorted(found, key=lambda one: (one.first.is_tolerated, -one.held)))


def _failed(nodes: Sequence[NodeFacts], graph: PlanGraph, held: dict[str, NodeFacts], past: Past) -> Failed:
    behind = graph.behind(one.node.task_id for one in nodes)
    waiting = [one for task_id, one in held.items() if task_id in behind]
    first = nodes[0].node
    return Failed(
        nodes=tuple(nodes),
        past=past.of(first.unique_id),
        held_models=tuple(one.node.name for one in waiting if one.node.kind not in TEST_KINDS),
        held_tests=sum(one.node.kind in TEST_KINDS for one in waiting),
        again=f"goldsmith run {graph.plan.pipeline} --failed"
        if len(nodes) > 1
        else f"goldsmith retry {first.task_id} --downstream --pipeline {graph.plan.pipeline}",
    )


def _reason(one: NodeFacts) -> str:
    message = one.record.message if one.record else ""
    return common_reason(message) or one.node.unique_id
