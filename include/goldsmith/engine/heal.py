"""What a node that is built again takes along: whatever waits for it and for nothing else."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from goldsmith.engine.marks import Marker, States
from goldsmith.engine.site import Site
from goldsmith.engine.state import BuildState
from goldsmith.plan.model import PlannedNode
from goldsmith.results.record import GOOD, NodeResult

_GREEN = {"success", "skipped"}
_IN_FLIGHT = {"scheduled", "queued", "running"}
_JUST_NOW = timedelta(seconds=60)
_SETTLE_SECONDS = 10.0
_MARK_SECONDS = 30.0


def built_together(
    node: PlannedNode, build: BuildState, states: States, site: Site, run_id: str
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
    """
    chosen: dict[str, PlannedNode] = {}
    members = [one for one in site.graph.plan.nodes if one.build == node.build and one is not node]
    for one in sorted(members, key=lambda one: site.graph.position[one.task_id]):
        if not _is_free(one, build, states, site, run_id):
            continue
        if all(
            before == node.task_id or before in chosen or states.get(before) in _GREEN
            for before in one.upstream
        ):
            chosen[one.task_id] = one
    return chosen


def _is_free(node: PlannedNode, build: BuildState, states: States, site: Site, run_id: str) -> bool:
    """Whether the node is waiting to be built, and not about to report what the build said."""
    state = states.get(node.task_id, "removed")
    status = build.statuses.get(node.unique_id)
    has_to_report = status is not None and node.unique_id not in build.settled
    if state is None:
        return not has_to_report or status not in GOOD
    if state not in _IN_FLIGHT or (has_to_report and status != "skipped"):
        return False
    # A task that has built its own node and is ending looks the same as one that waits for its turn.
    last = site.last_result(run_id, node.task_id)
    return last is None or last.built_by == node.build or _age(last) > _JUST_NOW


def _age(result: NodeResult) -> timedelta:
    if not result.ended:
        return timedelta.max
    return datetime.now(UTC) - datetime.fromisoformat(result.ended)


@dataclass(frozen=True, kw_only=True)
class Heal:
    """A node that was built again, with others."""

    site: Site
    run_id: str
    leader: PlannedNode
    others: Mapping[str, PlannedNode]
    states: States
    """States of the run's tasks before."""

    def keep(self, results: list[NodeResult]) -> None:
        """Keep the details; tasks that are on their way already find there what they have to report."""
        in_flight = {task_id for task_id in self.others if self.states.get(task_id) in _IN_FLIGHT}
        self.site.keep(self.run_id, [replace(one, is_news=one.task_id in in_flight) for one in results])

    def show(self) -> None:
        """Mark the tasks of the others that are done, once those on their way have ended."""
        if not self.others:
            return
        self._wait_for_those_on_their_way()
        marker = Marker(self.site.graph, self.run_id, lambda: self.site.states(self.run_id))
        done = [task_id for task_id in self.others if self._is_done(task_id)]
        try:
            marker.rest(done, seconds=_MARK_SECONDS)
        finally:
            marker.close()

    def _wait_for_those_on_their_way(self) -> None:
        """While one of them runs, the group it stands in cannot be marked as one."""
        waiting = {task_id for task_id in self.others if self.states.get(task_id) == "running"}
        end = time.monotonic() + _SETTLE_SECONDS
        while waiting and time.monotonic() < end:
            time.sleep(0.5)
            now = self.site.states(self.run_id)
            waiting = {task_id for task_id in waiting if now.get(task_id) == "running"}

    def _is_done(self, task_id: str) -> bool:
        last = self.site.last_result(self.run_id, task_id)
        return last is not None and last.is_good and last.built_by == self.leader.task_id
