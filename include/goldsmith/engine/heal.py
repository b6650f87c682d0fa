"""What a node that is built again takes along: whatever waits for it and for nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from goldsmith.engine.batch import SKIPPED
from goldsmith.engine.marks import Marker, States
from goldsmith.engine.site import Site
from goldsmith.engine.state import BuildState
from goldsmith.plan.model import PlannedNode
from goldsmith.results.record import GOOD, NodeResult

_GREEN = {"success", "skipped"}
_IN_FLIGHT = {"scheduled", "queued", "running"}


def built_together(
    node: PlannedNode, build: BuildState, states: States, site: Site, run_id: str, *, began: datetime
) -> dict[str, PlannedNode]:
    """Task id to node, of what can be built in one go with a node: all its upstream is green or in the same go.

    That is what a failed node had held back, or what was cleared with it, also where it does not lie below it: who
    clears a layer gets one dbt command, not one for each of its models.

    Args:
        node: The node that is built.
        build: What the build of its layer left behind.
        states: The states of the run's tasks.
        site: Where it is built.
        run_id: The run.
        began: When the attempt of the node's task was made.
    """
    chosen: dict[str, PlannedNode] = {}
    done = {node.task_id, *(task_id for task_id, state in states.items() if state in _GREEN)}
    members = [one for one in site.graph.plan.nodes if one.build == node.build and one is not node]
    done |= {one.task_id for one in members if _will_be_green(one, states.get(one.task_id, "removed"), build)}
    for one in sorted(members, key=lambda one: site.graph.position[one.task_id]):
        state = states.get(one.task_id, "removed")
        if not _is_free(one, state, build):
            continue
        if state is not None and _is_ending(site.last_result(run_id, one.task_id), one, began):
            continue
        if done.issuperset(one.upstream):
            chosen[one.task_id] = one
            done.add(one.task_id)
    return chosen


def is_after(result: NodeResult, moment: datetime) -> bool:
    """Whether dbt was done with a node after a moment; not, where it did not start it."""
    return bool(result.ended) and datetime.fromisoformat(result.ended) >= moment


def _is_free(node: PlannedNode, state: str | None, build: BuildState) -> bool:
    """Whether the node is waiting to be built, and not about to report what the build said."""
    status = build.statuses.get(node.unique_id)
    has_to_report = status is not None and node.unique_id not in build.settled
    if state is None:
        return not has_to_report or status not in GOOD
    return state in _IN_FLIGHT and (not has_to_report or status == SKIPPED)


def _will_be_green(node: PlannedNode, state: str | None, build: BuildState) -> bool:
    """Whether the build did the node, and its task has only to run to say so."""
    is_good = build.statuses.get(node.unique_id) in GOOD and node.unique_id not in build.settled
    return is_good and (state is None or state in _IN_FLIGHT)


def _is_ending(last: NodeResult | None, node: PlannedNode, began: datetime) -> bool:
    """Whether a task on its way has its node built already: it looks the same as one that waits for its turn.

    It has where that was after this task was cleared or failed; before, both were cleared together.
    """
    return last is not None and last.built_by != node.build and is_after(last, began)


@dataclass(frozen=True, kw_only=True)
class Heal:
    """A node that was built again, with others."""

    site: Site
    run_id: str
    others: Mapping[str, PlannedNode]
    _good: set[str] = field(default_factory=set, init=False)
    _tests: dict[str, NodeResult] = field(default_factory=dict, init=False)

    def keep(self, results: list[NodeResult]) -> None:
        """Keep details; a task that runs after all, before it is marked, finds there what it has to report."""
        self._good.update(one.task_id for one in results if one.is_good)
        self._tests.update({one.task_id: one for one in results if one.kind == "test"})
        self.site.keep(self.run_id, [replace(one, is_news=one.task_id in self.others) for one in results])

    def built(self) -> list[PlannedNode]:
        """The nodes that dbt has built."""
        return [self.site.graph.nodes[task_id] for task_id in sorted(self._good)]

    def show(self) -> None:
        """Mark the tasks of the others that are done; those on their way already find what they have to report."""
        marker = Marker(self.site.graph, self.run_id, has_complained=True)
        try:
            marker.say_warnings(self._tests.values())
            marker.mark_at_last(self._good & set(self.others))
        finally:
            marker.close()
