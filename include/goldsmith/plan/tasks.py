"""Which nodes share an Airflow task: what the spec's `tasks` says, as the last step of a plan.

    test         silver.orders.run   silver.orders.unique_id   silver.orders.not_null_id
    model_tests  silver.orders.run   silver.orders.tests       silver.orders.unit_tests, before the model
    model        silver.orders.run

The tests of a model with `on_error: continue` stay apart from it: by them alone it holds back what reads it.

Nodes come together inside one unit only: a node, its unit tests, and the tests that read it last (see groups.py). The
units of a plan can be put in order, so tasks made of whole units can too, and so can these parts of them: what the
node waits for, the node, and what waits for it. Tests that read nothing planned have no unit; those of one group that
wait for the same share a task.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from goldsmith.kinds import TEST_KINDS
from goldsmith.plan.model import PlannedGate, PlannedNode
from goldsmith.plan.names import TESTS, UNIT_TESTS, joint_id
from goldsmith.spec.pipeline import Pipeline

# Tasks of dbt nodes that `auto` gives a DAG at most, where it has a choice. While a run goes on, Airflow's scheduler
# looks at each of its tasks again and again, and all other DAGs wait meanwhile. A look takes 0.2 s at 1,000 tasks and
# 1.6 s at 3,000 (2 cores, Airflow 3.3.2, gates between the layers): it grows with the square.
MOST_TASKS = 2_000

TEST, MODEL_TESTS, MODEL = "test", "model_tests", "model"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tasks:
    """Nodes and gates, after nodes were put into tasks."""

    how: str
    """`test`, `model_tests` or `model`."""
    because: str
    """Why, where the spec leaves it open."""
    nodes: tuple[PlannedNode, ...]
    gates: tuple[PlannedGate, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Joint:
    """A task of tests alone, by what they have in common."""

    group: str
    """Start of its id."""
    label: str
    unit: str
    build: str
    upstream: tuple[str, ...]
    """Of tests without a unit."""

    @property
    def task_id(self) -> str:
        # Tests without a unit wait for different things, and so may be in several such tasks.
        key = "" if self.unit else " ".join((self.build, *self.upstream))
        return joint_id(self.group, self.label, told_apart_by=key)


def put_into_tasks(nodes: Sequence[PlannedNode], gates: Iterable[PlannedGate], pipeline: Pipeline) -> Tasks:
    """Let nodes share tasks, as far as the spec says so.

    Args:
        nodes: Each with a task of its own, by the ids of these.
        gates: The gates.
        pipeline: The spec.
    """
    how, because = _how_nodes_share_tasks(nodes, pipeline)
    if how == TEST:
        return Tasks(how=how, because=because, nodes=tuple(nodes), gates=tuple(gates))
    ids, labels = _new_ids(nodes, how)
    renamed = [
        replace(gate, upstream=_renamed(gate.upstream, ids), judged=_renamed(gate.judged, ids))
        for gate in gates
    ]
    joined = _joined(nodes, ids, labels, how=how)
    return Tasks(how=how, because=because, nodes=tuple(joined), gates=tuple(renamed))


def _how_nodes_share_tasks(nodes: Sequence[PlannedNode], pipeline: Pipeline) -> tuple[str, str]:
    """What becomes a task; and why, where the spec leaves it open.

    Args:
        nodes: Each with a task of its own.
        pipeline: The spec.
    """
    if pipeline.tasks != "auto":
        return pipeline.tasks, ""
    if pipeline.engine == "isolated":
        return TEST, "with the isolated engine each dbt process runs one node"
    reasons: list[str] = []
    for how in (TEST, MODEL_TESTS):
        number = len(set(_new_ids(nodes, how)[0].values()))
        if number <= MOST_TASKS:
            return how, "; ".join([*reasons, f"{how} gives {number:,} tasks, of up to {MOST_TASKS:,}"])
        reasons.append(f"{how} would give {number:,} tasks, more than {MOST_TASKS:,}")
    return MODEL, "; ".join(reasons)


def _new_ids(nodes: Sequence[PlannedNode], how: str) -> tuple[dict[str, str], dict[str, str]]:
    """Id of each node's own task to that of the task it is put into, and id to label of the tasks of tests alone."""
    ids = {node.task_id: node.task_id for node in nodes}
    if how == TEST:
        return ids, {}
    heads = {node.task_id: node for node in nodes if node.unit == node.task_id}
    alone = _alone(nodes)
    joints: dict[str, _Joint] = {}
    for node in nodes:
        if node.kind in TEST_KINDS and node.task_id not in alone:
            head = heads.get(node.unit)
            # By a failed test a model holds back what reads it; by its own failure not, if it goes on after that.
            is_apart = head is not None and head.goes_on and node.task_id not in head.upstream
            if how == MODEL and head and head.build == node.build and not is_apart:
                ids[node.task_id] = head.task_id
            else:
                joints[node.task_id] = _joint(node, head)
    ids |= {own: joint.task_id for own, joint in joints.items()}
    return ids, {joint.task_id: joint.label for joint in joints.values()}


def _alone(nodes: Sequence[PlannedNode]) -> set[str]:
    """Ids of tests that have Airflow arguments of their own, and of what waits for these inside their unit.

    A test waits for another one where an ephemeral model stands between what the two read.
    """
    alone = {node.task_id for node in nodes if node.kind in TEST_KINDS and node.operator_kwargs}
    if not alone:
        return alone
    unit_of = {node.task_id: node.unit for node in nodes}
    below: dict[str, list[str]] = defaultdict(list)
    for node in nodes:
        for before in node.upstream:
            if node.kind in TEST_KINDS and node.unit and unit_of.get(before) == node.unit:
                below[before].append(node.task_id)
    ahead = list(alone)
    while ahead:
        new = set(below[ahead.pop()]) - alone
        alone |= new
        ahead.extend(new)
    return alone


def _joint(node: PlannedNode, head: PlannedNode | None) -> _Joint:
    """The task of tests that a test is put into.

    Args:
        node: The test.
        head: The node whose group it shares.
    """
    if head is None:
        return _Joint(
            group=node.task_id.rpartition(".")[0],
            label=TESTS if node.kind == "test" else UNIT_TESTS,
            unit="",
            build=node.build,
            upstream=node.upstream,
        )
    # A unit test of an ephemeral model stands with what that reads, and comes after it.
    is_before = node.task_id in head.upstream
    return _Joint(
        group=head.task_id.rpartition(".")[0],
        label=UNIT_TESTS if is_before else TESTS,
        unit=head.task_id,
        build=node.build,
        upstream=(),
    )


def _joined(
    nodes: Sequence[PlannedNode], ids: Mapping[str, str], labels: Mapping[str, str], *, how: str
) -> list[PlannedNode]:
    """The nodes in their tasks; of each task the node that it is named after first."""
    own = {node.task_id: node for node in nodes}
    members: dict[str, list[PlannedNode]] = defaultdict(list)
    for node in sorted(nodes, key=lambda node: (node.task_id != ids[node.task_id], node.task_id)):
        members[ids[node.task_id]].append(node)
    sizes = Counter(unit for unit, _ in {(node.unit, ids[node.task_id]) for node in nodes})
    found = []
    for task_id in sorted(members):
        first, *others = members[task_id]
        has_group = how != MODEL or sizes[first.unit] > 1
        head = own.get(first.unit, first)
        shared: dict[str, Any] = {
            "task_id": task_id,
            "display_name": labels[task_id].replace("_", " ") if task_id in labels else first.display_name,
            "group": first.group,
            "unit": first.unit if has_group else "",
            "owner": head.owner if task_id in labels else first.owner,
        }
        docs = _docs(first, others, is_test=task_id in labels)
        found += [
            replace(
                node,
                **shared,
                docs="" if node is not first else docs,
                upstream=_renamed(node.upstream, ids, but=task_id),
                updated_by=ids.get(node.updated_by, node.updated_by),
            )
            for node in (first, *others)
        ]
    return found


def _renamed(task_ids: Iterable[str], ids: Mapping[str, str], *, but: str = "") -> tuple[str, ...]:
    """The new ids, each once, without the task's own."""
    return tuple(sorted({ids.get(task_id, task_id) for task_id in task_ids} - {but}))


def _docs(first: PlannedNode, others: Sequence[PlannedNode], *, is_test: bool) -> str:
    """What stands on the page of a task: its node's own docs, and its tests."""
    if not others:
        return first.docs
    tests = [first, *others] if is_test else others
    lines = "\n".join(
        f"- {one.label}{' (warns)' if one.severity == 'warn' else ''}: `{one.unique_id}`" for one in tests
    )
    listed = f"**Tests in this task**\n\n{lines}"
    return listed if is_test else f"{first.docs}\n\n{listed}"
