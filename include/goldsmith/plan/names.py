"""Task ids: readable, stable, and within Airflow's limits for any name dbt allows.

    silver.stg_transactions.run                     a model
    silver.stg_transactions.unique_transaction_id   a test of it
    seeds.currencies.seed
    sources.data_lake_transactions.freshness
    gold.tests.assert_totals_match                  a test that no single node defines
    silver.stg_transactions.tests                   all tests of a model, where they share a task

A model has its group even without tests, so that adding the first test renames nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from goldsmith.dbt.node import Node

MAX_TASK_ID = 250
TESTS = "tests"
"""Stands in the ids of tests that no node defines."""
_MAX_GROUP = 100
_VERBS = {"model": "run", "seed": "seed", "snapshot": "snapshot", "source": "freshness"}


@dataclass(frozen=True, slots=True)
class TaskName:
    """The group inside the layer and the label inside the group."""

    layer: str
    group: str
    label: str
    display: str

    @property
    def task_id(self) -> str:
        """The whole id, with the groups it stands in."""
        return f"{self.layer}.{self.group}.{self.label}"


def name_tasks(
    executable: Mapping[str, Node], layers: Mapping[str, str], nodes: Mapping[str, Node]
) -> dict[str, TaskName]:
    """Give every executable node its task name.

    Args:
        executable: Unique id to node, of what becomes a task.
        layers: Unique id to layer, from `assign_layers`.
        nodes: All nodes of the pipeline, so that tests find what they are attached to.
    """
    groups = _group_names(nodes, layers)
    names = {uid: _name(node, layers[uid], groups, nodes) for uid, node in executable.items()}
    times = Counter(name.task_id for name in names.values())
    return {uid: name if times[name.task_id] == 1 else _with_hash(name, uid) for uid, name in names.items()}


def joint_id(group: str, label: str, *, told_apart_by: str = "") -> str:
    """Id of a task that several nodes share.

    Args:
        group: What their ids begin with: layer and node.
        label: What the task is inside the group.
        told_apart_by: What tells it from another task of that group and label; empty where there is none.
    """
    ending = f".{label}_{_hash(told_apart_by)}" if told_apart_by else f".{label}"
    return f"{_short(group, MAX_TASK_ID - len(ending), group)}{ending}"


def _group_names(nodes: Mapping[str, Node], layers: Mapping[str, str]) -> dict[str, str]:
    """One group per model, seed, snapshot and source; named with its package where two share a name."""
    own = {uid: node for uid, node in nodes.items() if node.kind in _VERBS}
    times = Counter((layers[uid], node.name) for uid, node in own.items())
    names = {}
    for uid, node in own.items():
        name = (
            node.name if times[layers[uid], node.name] == 1 else f"{node.package}__{node.kind}__{node.name}"
        )
        names[uid] = _short(_clean(name), _MAX_GROUP, uid)
    return names


def _name(node: Node, layer: str, groups: Mapping[str, str], nodes: Mapping[str, Node]) -> TaskName:
    if node.kind in _VERBS:
        return TaskName(layer, groups[node.unique_id], _VERBS[node.kind], node.name)
    owner = _owner(node, nodes)
    group = groups[owner.unique_id] if owner and owner.unique_id in groups else TESTS
    label = _clean(_without_owner(node.name, owner) if owner else node.name)
    room = MAX_TASK_ID - len(layer) - len(group) - 2
    label = _short(label, room, node.unique_id)
    return TaskName(layer, group, label, label)


def _owner(test: Node, nodes: Mapping[str, Node]) -> Node | None:
    """The node a test is defined on; dbt leaves it out for tests of sources, which read that source alone."""
    return nodes.get(test.attached or (test.parents[0] if len(test.parents) == 1 else ""))


def _without_owner(test_name: str, owner: Node) -> str:
    """`unique_stg_orders_id` says the model again; inside its group `unique_id` is enough."""
    if owner.kind == "source" and test_name.startswith("source_"):
        test_name = test_name.removeprefix("source_")
    shorter = test_name.replace(f"_{owner.name}", "", 1).strip("_")
    return shorter or test_name


def _clean(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name)


def _short(name: str, room: int, unique_id: str) -> str:
    if len(name) <= room:
        return name
    return f"{name[: room - 9]}_{_hash(unique_id)}"


def _with_hash(name: TaskName, unique_id: str) -> TaskName:
    room = MAX_TASK_ID - len(name.layer) - len(name.group) - 2 - 9
    return TaskName(name.layer, name.group, f"{name.label[:room]}_{_hash(unique_id)}", name.display)


def _hash(unique_id: str) -> str:
    return hashlib.sha256(unique_id.encode()).hexdigest()[:8]
