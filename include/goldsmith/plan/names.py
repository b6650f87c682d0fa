"""Task ids: readable, stable, and within Airflow's limits for any name dbt allows.

    silver.stg_transactions.run                     a model
    silver.stg_transactions.unique_transaction_id   a test of it
    silver.stg_transactions.positive_1a2b3c4d       one whose `name:` another test of the model may have too
    silver.stg_transactions.unit_adds_up            a unit test of it
    silver.stg_transactions.tests                   all tests of a model, where they share a task
    gold.revenue.v2.run                             version 2 of a model
    gold.shop_package.orders.run                    a model of a package
    gold.tests.assert_totals_match                  a test in a file of its own
    seeds.currencies.seed
    sources.data_lake.transactions.freshness
    functions.rounded.function

An id depends on its node alone, so that no other node can change it: a name gets a short hash of the node's unique id
whenever it had to be changed or shortened, or is not the node's alone. A model has its group even without tests.
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
"""Stands in the ids of tests in files of their own, and of tests that share a task."""
UNIT_TESTS = "unit_tests"
_MAX_GROUP = 100
_VERBS = {
    "model": "run",
    "seed": "seed",
    "snapshot": "snapshot",
    "function": "function",
    "source": "freshness",
}
_VERSION = re.compile(r"v\d+")
_RESERVED = {TESTS, UNIT_TESTS, *_VERBS.values()}


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
    executable: Mapping[str, Node], layers: Mapping[str, str], nodes: Mapping[str, Node], *, project: str
) -> dict[str, TaskName]:
    """Give every executable node its task name.

    Args:
        executable: Unique id to node, of what becomes a task.
        layers: Unique id to layer, from `assign_layers`.
        nodes: All nodes of the pipeline, so that tests find what they are attached to.
        project: Name of the root project, which ids leave out.
    """
    groups = {uid: _group(node, project) for uid, node in nodes.items() if node.kind in _VERBS}
    names = {
        uid: _name(node, layers[uid], groups, nodes, project=project) for uid, node in executable.items()
    }
    times = Counter(name.task_id for name in names.values())
    # Only for names that are made to collide, such as a source `x`.`y` beside a model `y` of a package `x`.
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


def _group(node: Node, project: str) -> str:
    """The group of a model, seed, snapshot, function or source: its name, and its package if it is not the root."""
    # Of a source both parts of its name, of a version of a model the model and the version: a dot keeps them apart.
    is_source, is_version = node.kind == "source", node.name == "_".join(node.fqn[-2:])
    names = node.fqn[-2:] if is_source or is_version else (node.name,)
    parts = [_part(name, node.unique_id, strict=is_source) for name in names]
    if not is_source and (is_version or node.package != project):
        # Version 1 of `orders` is no model `v1` of a package `orders`.
        is_own = is_version == bool(_VERSION.fullmatch(names[-1]))
        parts[-1] = _part(names[-1], node.unique_id, is_own=is_own)
    if node.package != project:
        parts.insert(0, _part(node.package, node.package))
    return _short(".".join(parts), _MAX_GROUP, node.unique_id)


def _name(
    node: Node, layer: str, groups: Mapping[str, str], nodes: Mapping[str, Node], *, project: str
) -> TaskName:
    if node.kind in _VERBS:
        return TaskName(layer, groups[node.unique_id], _VERBS[node.kind], node.name)
    owner = nodes.get(node.attached)
    if owner is None or owner.unique_id not in groups:
        group = TESTS if node.package == project else f"{_part(node.package, node.package)}.{TESTS}"
        # A unit test is its model's, which is not here: another model may have one of that name.
        shown, is_own = node.name, not node.is_generic and node.kind != "unit_test"
    else:
        group = groups[owner.unique_id]
        shown = f"unit_{node.name}" if node.kind == "unit_test" else _without_owner(node.name, owner)
        is_like_unit = node.kind == "test" and shown.startswith("unit_")
        is_own = node.has_own_name and node.package == owner.package and not is_like_unit
    label = _part(shown, node.unique_id, is_own=is_own)
    room = MAX_TASK_ID - len(layer) - len(group) - 2
    return TaskName(layer, group, _short(label, room, node.unique_id), shown)


def _without_owner(test_name: str, owner: Node) -> str:
    """`unique_stg_orders_id` says the model again; inside its group `unique_id` is enough."""
    if owner.kind == "source":
        test_name = test_name.removeprefix("source_")
    # Only one of the two: a column `total_orders` of `orders` is another one than `total`.
    inside = f"_{owner.name}_"
    shorter = (
        test_name.replace(inside, "_", 1) if inside in test_name else test_name.removesuffix(inside[:-1])
    )
    return re.sub(r"(__ref_\w+)_$", r"\1", shorter)


def _part(name: str, unique_id: str, *, is_own: bool = True, strict: bool = False) -> str:
    """A name as part of an id, with a hash if that is another text, or one that another node may have.

    Args:
        name: The name.
        unique_id: Of the node.
        is_own: Whether it is the node's alone.
        strict: Replace hyphens too, with which the ids of groups are put together.
    """
    clean = clean_name(name) if strict else re.sub(r"[^A-Za-z0-9_-]+", "_", name)
    if clean == name and is_own and clean not in _RESERVED:
        return clean
    return f"{clean.strip('_')}_{_hash(unique_id)}".lstrip("_")


def clean_name(name: str) -> str:
    """A name in characters that Airflow takes, without hyphens.

    Example:
        >>> clean_name("raw-data 2")
        'raw_data_2'
    """
    return re.sub(r"[^A-Za-z0-9_]+", "_", name)


def folder_as_id(name: str) -> str:
    """A folder's name as the first part of an id, with a hash if it had to be changed."""
    clean = clean_name(name)[:60]
    return clean if clean == name else f"{clean.strip('_')}_{_hash(name)}".lstrip("_")


def _short(name: str, room: int, unique_id: str) -> str:
    if len(name) <= room:
        return name
    return f"{name[: room - 9]}_{_hash(unique_id)}"


def _with_hash(name: TaskName, unique_id: str) -> TaskName:
    room = MAX_TASK_ID - len(name.layer) - len(name.group) - 2 - 9
    return TaskName(name.layer, name.group, f"{name.label[:room]}_{_hash(unique_id)}", name.display)


def _hash(unique_id: str) -> str:
    return hashlib.sha256(unique_id.encode()).hexdigest()[:8]
