"""Ways through a plan: what lies above and below a task."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property

from goldsmith.plan.edges import topological_order
from goldsmith.plan.groups import unit_group_id
from goldsmith.plan.model import Plan, PlannedNode

States = Mapping[str, str | None]
"""Task id to its state in Airflow."""
_ENDED = ".ended"


def nodes_by_task(nodes: Iterable[PlannedNode]) -> dict[str, tuple[PlannedNode, ...]]:
    """Task id to the nodes of the task, the one it is named after first."""
    found: dict[str, tuple[PlannedNode, ...]] = {}
    for node in nodes:
        found[node.task_id] = (*found.get(node.task_id, ()), node)
    return found


def ended_id(task_id: str) -> str:
    """Id of the task that is green when a task has ended, well or not."""
    return f"{task_id}{_ENDED}"


def upstream_of(nodes: Collection[PlannedNode]) -> tuple[str, ...]:
    """The ids of all tasks right before a task.

    Args:
        nodes: The task's nodes.
    """
    if len(nodes) == 1:
        return next(iter(nodes)).upstream
    return tuple(sorted({before for node in nodes for before in node.upstream}))


class PlanGraph:
    """The tasks of a plan by id, and the edges between them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    @cached_property
    def tasks(self) -> Mapping[str, tuple[PlannedNode, ...]]:
        """Task id to the nodes of the task, the one it is named after first."""
        return nodes_by_task(self.plan.nodes)

    @cached_property
    def upstream(self) -> Mapping[str, tuple[str, ...]]:
        """Id of a nodes' task to the ids of all tasks right before it."""
        return {task_id: upstream_of(nodes) for task_id, nodes in self.tasks.items()}

    @cached_property
    def task_of(self) -> Mapping[str, str]:
        """Unique id to task id."""
        return {node.unique_id: node.task_id for node in self.plan.nodes}

    @cached_property
    def going_on(self) -> frozenset[str]:
        """Ids of the tasks of models whose failure holds back nothing (`on_error: continue`)."""
        return frozenset(task_id for task_id, nodes in self.tasks.items() if nodes[0].goes_on)

    @cached_property
    def position(self) -> Mapping[str, int]:
        """Task id to its place in an order in which every task comes after what it waits for."""
        return {task_id: place for place, task_id in enumerate(topological_order(self.parents))}

    def unknown(self, states: States) -> list[str]:
        """The ids of the nodes' tasks of a run that this plan lacks: the run's DAG was made from another plan.

        Args:
            states: Task id to state, of all tasks of the run.
        """
        # Only these have ids of three parts; ingest is beside the plan.
        return sorted(
            task_id
            for task_id, state in states.items()
            if task_id.count(".") > 1
            and not task_id.startswith("ingest.")
            and state != "removed"
            and task_id.removesuffix(_ENDED) not in self.tasks
        )

    def groups_of(self, task_id: str) -> tuple[str, ...]:
        """The task groups that a task stands in; gates and builds stand in none."""
        if task_id not in self.tasks:
            return ()
        node = self.tasks[task_id][0]
        return (node.group, *((unit_group_id(node.unit),) if node.unit else ()))

    def built_by(self, build: str) -> tuple[PlannedNode, ...]:
        """The nodes of a build."""
        return tuple(node for node in self.plan.nodes if node.build == build)

    def whole(self, good: Collection[str]) -> list[str]:
        """The ids of the tasks all of whose nodes are good.

        Args:
            good: Unique ids of nodes.
        """
        touched = dict.fromkeys(self.task_of[uid] for uid in good if uid in self.task_of)
        return sorted(task for task in touched if all(one.unique_id in good for one in self.tasks[task]))

    def below(self, task_ids: Iterable[str]) -> set[str]:
        """All nodes' tasks that wait for one of these, not through a gate or a build."""
        return _reach(task_ids, self._children)

    def behind(self, task_ids: Iterable[str]) -> set[str]:
        """Ids of all nodes' tasks, gates and builds that wait for one of these, in whatever way."""
        return _reach(task_ids, self._all_children)

    def held_back(self, task_ids: Iterable[str]) -> set[str]:
        """All nodes' tasks that do not run if these fail, or do not run themselves."""
        return _reach(
            task_ids, {one: () if one in self.going_on else to for one, to in self._children.items()}
        )

    @cached_property
    def parents(self) -> Mapping[str, tuple[str, ...]]:
        """Id of each nodes' task, gate and build to the ids of all tasks right before it."""
        parents = {**self.upstream}
        parents |= {gate.task_id: gate.upstream for gate in self.plan.gates}
        return parents | {build.task_id: build.upstream for build in self.plan.builds}

    @cached_property
    def _children(self) -> Mapping[str, list[str]]:
        between = {gate.task_id for gate in self.plan.gates} | {build.task_id for build in self.plan.builds}
        return {
            before: [one for one in after if one in self.tasks]
            for before, after in self._all_children.items()
            if before not in between
        }

    @cached_property
    def _all_children(self) -> Mapping[str, list[str]]:
        children: dict[str, list[str]] = defaultdict(list)
        for task_id, upstream in self.parents.items():
            for before in upstream:
                children[before].append(task_id)
        return children


def _reach(start: Iterable[str], edges: Mapping[str, Iterable[str]]) -> set[str]:
    found: set[str] = set()
    ahead = list(start)
    while ahead:
        for task_id in edges.get(ahead.pop(), ()):
            if task_id not in found:
                found.add(task_id)
                ahead.append(task_id)
    return found
