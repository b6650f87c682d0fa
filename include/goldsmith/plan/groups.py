"""Which task group each task is shown in.

Airflow draws groups only where they can be put in order, at every level: two groups that wait for each other break
the grid and the graph of the whole DAG, although their tasks have an order. Layers and folders promise nothing of
the kind (a test of `a` may read `b`, and a snapshot may stand between two silver models), so groups are made to fit:

- a test stands with the last of the nodes it reads, so what a node's group waits for always comes before it; but
  alone if that belongs to another layer or build, between which a gate or a build stands;
- a layer or folder that tasks leave and enter again is shown in parts: `silver`, `silver-2`.

Task ids do not depend on any of this: they stay when a group is cut.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from goldsmith.errors import PlanError

_MAX_GROUP_ID = 200  # Airflow's limit


@dataclass(frozen=True, slots=True)
class Place:
    """Where a task is shown."""

    top: str
    """Group of its layer or folder."""
    unit: str
    """Id of the task whose group inside it is meant; empty for none."""


def unit_group_id(unit: str) -> str:
    """Id of the task group of one node: a group's id may hold no dots.

    Hyphens stand for them, so one that a name has itself costs a hash: a model `pkg-orders` is not the model `orders`
    of a package `pkg`. Layers and folders have no hyphens.

    Args:
        unit: Id of the node's task.
    """
    group = unit.replace(".", "-")
    if len(group) <= _MAX_GROUP_ID and "-" not in unit:
        return group
    return f"{group[: _MAX_GROUP_ID - 9]}-{hashlib.sha256(unit.encode()).hexdigest()[:8]}"


def place_tasks(
    order: Iterable[str],
    upstream: Mapping[str, Iterable[str]],
    *,
    home: Mapping[str, str],
    unit_of: Mapping[str, str],
    apart: Mapping[str, str],
) -> dict[str, Place]:
    """Give every task its groups.

    Args:
        order: All tasks, each after what it waits for.
        upstream: Task to the tasks right before it; those without a home are left out of account.
        home: Task to the layer or folder it belongs to.
        unit_of: Task to the task whose group it shares: a node to itself, a unit test to its model. Tasks that are
            missing here are tests, which join the last node they read, or gates and builds.
        apart: Task to what it belongs to, of tasks that share a group only if that is the same: the build, or the
            layer if a gate stands between layers.

    Raises:
        PlanError: The groups cannot be put in order.
    """
    order = [task for task in order if task in home]
    position = {task: index for index, task in enumerate(order)}

    units: dict[str, str] = {}
    for task in order:
        before = [one for one in upstream[task] if one in units]
        last = max((one for one in before if unit_of.get(one) == one), key=position.__getitem__, default=task)
        # A test of an ephemeral model may come after the last node that is read, in no group or in another one.
        is_after = any(
            units[one] != last and position[one] > position[last] for one in before if one not in unit_of
        )
        is_apart = is_after or apart.get(last) != apart.get(task)
        units[task] = unit_of.get(task) or (task if is_apart else last)
    waits: dict[str, set[str]] = {one: set() for one in units.values()}
    for task in order:
        waits[units[task]] |= {units[before] for before in upstream[task] if before in units} - {units[task]}
    parts = _parts(sorted(waits, key=position.__getitem__), waits, home)
    return {task: Place(parts[one], one if one in unit_of else "") for task, one in units.items()}


def _parts(units: list[str], waits: Mapping[str, set[str]], home: Mapping[str, str]) -> dict[str, str]:
    """Unit to the name of its part: whole layers as long as one can be finished, else as much as is ready."""
    left: dict[str, list[str]] = {}
    for unit in units:
        left.setdefault(home[unit], []).append(unit)
    parts: dict[str, str] = {}
    times: Counter[str] = Counter()
    while left:
        ready = {name: _ready(members, waits, parts) for name, members in left.items()}
        name = max(left, key=lambda name: (len(ready[name]) == len(left[name]), len(ready[name])))
        if not ready[name]:
            stuck = sorted(unit for members in left.values() for unit in members)
            raise PlanError(
                f"The task groups of {len(stuck)} tasks wait for each other: {', '.join(stuck[:5])}.",
                hint="Let dbt's own order rule: write `gate: node` into the pipeline spec.",
            )
        times[name] += 1
        part = name if times[name] == 1 else f"{name}-{times[name]}"
        parts |= dict.fromkeys(ready[name], part)
        left[name] = [unit for unit in left[name] if unit not in parts]
        if not left[name]:
            del left[name]
    return parts


def _ready(members: list[str], waits: Mapping[str, set[str]], done: Mapping[str, str]) -> list[str]:
    """Members that wait only for what is done or for members before them."""
    ready: dict[str, None] = {}
    for unit in members:
        if all(before in done or before in ready for before in waits[unit]):
            ready[unit] = None
    return list(ready)
