"""What a node that is built again takes along: whatever waits for it and for nothing else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from goldsmith.engine.access import airflow_api
from goldsmith.engine.build_state import BuildState
from goldsmith.engine.shared.marks import Marker, MarksApi
from goldsmith.engine.site import Site
from goldsmith.gates.outcomes import HARMLESS, RED
from goldsmith.plan.graph import States
from goldsmith.plan.model import PlannedNode
from goldsmith.results.record import GOOD, SKIPPED, NodeResult

_IN_FLIGHT = {"scheduled", "queued", "running"}
_NO_FAILURE = {None, SKIPPED, *GOOD}
"""dbt's statuses of a node that did not fail; None where the build has said nothing that is still to be reported."""


def built_together(
    task_id: str, build: BuildState, states: States, site: Site, run_id: str, *, began: datetime
) -> dict[str, tuple[PlannedNode, ...]]:
    """Task id to nodes, of what can be built along with a task: all before it is green, goes along, or is no obstacle.

    That is what a failed node had held back, or what was cleared with it, also where it does not lie below it: who
    clears a layer gets one dbt command, not one for each of its models.

    Args:
        task_id: The task whose nodes are built.
        build: What the build of its layer left behind.
        states: The states of the run's tasks.
        site: Where it is built.
        run_id: The run.
        began: When the attempt of the task was made.
    """
    graph = site.graph
    by = graph.tasks[task_id][0].build
    members = {one: nodes for one, nodes in graph.tasks.items() if nodes[0].build == by and one != task_id}
    done = {task_id, *(one for one, state in states.items() if state in HARMLESS)}
    done |= {one for one in graph.going_on if states.get(one) in RED}
    done |= {
        one for one, nodes in members.items() if _will_be_green(nodes, states.get(one, "removed"), build)
    }
    chosen: dict[str, tuple[PlannedNode, ...]] = {}
    for one in sorted(members, key=graph.position.__getitem__):
        nodes, state = members[one], states.get(one, "removed")
        if not _is_free(nodes, state, build):
            continue
        if state is not None and _is_ending(site.results.last(run_id, nodes), by, began):
            continue
        if done.issuperset(graph.upstream[one]):
            chosen[one] = nodes
            done.add(one)
    return chosen


def is_after(result: NodeResult, moment: datetime) -> bool:
    """Whether dbt was done with a node after a moment; not, where it did not start it."""
    return bool(result.ended) and datetime.fromisoformat(result.ended) >= moment


def _is_free(nodes: Sequence[PlannedNode], state: str | None, build: BuildState) -> bool:
    """Whether the task is waiting to build its nodes, and not about to report what the build said."""
    to_report = [_to_report(node, build) for node in nodes]
    if state is None:
        return any(status is None or status not in GOOD for status in to_report)
    has_to_build = any(status in (None, SKIPPED) for status in to_report)
    return state in _IN_FLIGHT and has_to_build and all(one in _NO_FAILURE for one in to_report)


def _will_be_green(nodes: Sequence[PlannedNode], state: str | None, build: BuildState) -> bool:
    """Whether the build did all nodes, and their task has only to run to say so."""
    are_good = all(_to_report(node, build) in GOOD for node in nodes)
    return are_good and (state is None or state in _IN_FLIGHT)


def _to_report(node: PlannedNode, build: BuildState) -> str | None:
    """What the build said about the node, where its task has still to report that."""
    return None if node.unique_id in build.settled else build.statuses.get(node.unique_id)


def _is_ending(lasts: Mapping[str, NodeResult], build: str, began: datetime) -> bool:
    """Whether a task on its way has its nodes built already: it looks the same as one that waits for its turn.

    It has where that was after this task was cleared or failed; before, both were cleared together. One node says it
    for all: a task's nodes are built together.
    """
    return any(last.built_by != build and is_after(last, began) for last in lasts.values())


@dataclass(frozen=True, kw_only=True)
class Heal:
    """A task whose nodes were built again, with those of others."""

    site: Site
    run_id: str
    others: Collection[str]
    """Ids of the other tasks."""
    connect: Callable[[], MarksApi] = airflow_api
    """Gives a client of Airflow's REST API."""
    good: set[str] = field(default_factory=set)
    """Unique ids of the nodes that are done: at first, those that a lost try has built."""
    _tests: dict[str, NodeResult] = field(default_factory=dict, init=False)

    def keep(self, results: list[NodeResult], *, is_more: bool) -> None:  # noqa: ARG002 - it always adds
        """Keep details; a task that runs after all, before it is marked, finds there what it has to report."""
        self.good.update(one.unique_id for one in results if one.is_good)
        self._tests.update({one.unique_id: one for one in results if one.kind == "test"})
        self.site.results.keep(
            self.run_id, [replace(one, is_news=one.task_id in self.others) for one in results]
        )

    def built(self) -> list[PlannedNode]:
        """The nodes of the tasks that dbt has built whole."""
        graph = self.site.graph
        return [node for task_id in graph.whole(self.good) for node in graph.tasks[task_id]]

    def show(self) -> None:
        """Mark those of the others that are done; those on their way already find what they have to report."""
        graph = self.site.graph
        marker = Marker(graph, self.run_id, has_complained=True, connect=self.connect)
        try:
            marker.say_warnings(self._tests.values())
            marker.mark_at_last([one for one in graph.whole(self.good) if one in self.others])
        finally:
            marker.close()
