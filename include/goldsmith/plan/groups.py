"""Which task group each task is shown in.

Airflow draws groups only where they can be put in order, at every level: two groups that wait for each other break
the grid and the graph of the whole DAG, although their tasks have an order. Layers and folders promise nothing of
the kind (a test of `a` may read `b`, and a snapshot may stand between two silver models), so groups are made to fit:

- a test stands with the last of the nodes it reads, so what a node's group waits for always comes before it;
- a layer or folder that tasks leave and enter again is shown in parts: `silver`, `silver_2`.

Task ids do not depend on any of this: they stay when a group is cut.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where a task is shown."""

    top: str
    """Group of its layer or folder."""
    unit: str
    """Id of the task whose group inside it is meant; empty for none."""


def unit_group_id(unit: str) -> str:
    """Id of the task group of one node: a group's id may hold no dots, and the verb at the end says nothing here.

    Args:
        unit: Id of the node's task.
    """
    return unit.rpartition(".")[0].replace(".", "__")


def place_tasks(
    order: Iterable[str],
    upstream: Mapping[str, Iterable[str]],
    *,
    home: Mapping[str, str],
    unit_of: Mapping[str, str],
) -> dict[str, Place]:
    """Give every task its groups.

    Args:
        order: All tasks, each after what it waits for.
        upstream: Task to the tasks right before it; those without a home are left out of account.
        home: Task to the layer or folder it belongs to.
        unit_of: Task to the task whose group it shares: a node to itself, a unit test to its model. Tasks that are
            missing here are tests: they join the last node they read.
    """
    order = [task for task in order if task in home]
    position = {task: index for index, task in enumerate(order)}
    units = {task: _unit(task, unit_of, upstream, position) for task in order}
    waits: dict[str, set[str]] = {unit: set() for unit in units.values()}
    for task in order:
        waits[units[task]] |= {units[before] for before in upstream[task] if before in units} - {units[task]}
    parts = _parts(sorted(waits, key=position.__getitem__), waits, home)
    return {task: Place(parts[unit], unit if unit in unit_of else "") for task, unit in units.items()}


def _unit(
    task: str, unit_of: Mapping[str, str], upstream: Mapping[str, Iterable[str]], position: Mapping[str, int]
) -> str:
    if task in unit_of:
        return unit_of[task]
    reads = [before for before in upstream[task] if unit_of.get(before) == before and before in position]
    return max(reads, key=position.__getitem__, default=task)


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
        times[name] += 1
        part = name if times[name] == 1 else f"{name}_{times[name]}"
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
