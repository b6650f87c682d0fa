"""How many models of a run were built and how many tests passed. No I/O in here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from goldsmith.rest import TaskInstance
from goldsmith.results.record import FAILED, GOOD

# dbt's resource types, as a person calls them, and what is said of one that went well.
_NOUNS = {
    "seed": ("seed", "loaded"),
    "model": ("model", "built"),
    "snapshot": ("snapshot", "taken"),
    "function": ("function", "made"),
    "test": ("test", "passed"),
    "unit_test": ("test", "passed"),
}

Nodes = Mapping[str, tuple[str, str]]
"""Unique id to dbt's resource type, and to dbt's last status where that is known."""


def count_nodes(tasks: Iterable[TaskInstance], nodes: Mapping[str, Nodes]) -> str:
    """How many models were built and tests passed, and how many not; empty where the tasks have no nodes."""
    counts: Counter[tuple[str, bool]] = Counter()
    for task in tasks:
        mine = nodes.get(task.task_id, {})
        for kind, status in mine.values():
            noun, _ = _NOUNS.get(kind, ("", ""))
            is_good = _is_good(task.state, status if len(mine) > 1 else "fail")
            if noun and is_good is not None:
                counts[noun, is_good] += 1
    parts = []
    for noun, verb in dict.fromkeys(_NOUNS.values()):
        done, failed = counts[noun, True], counts[noun, False]
        parts += [f"{done} {noun}{'s' * (done != 1)} {verb}"] if done else []
        parts += [f"{failed} {noun}{'s' * (failed != 1)} failed"] if failed else []
    return ", ".join(parts)


def _is_good(state: str | None, status: str) -> bool | None:
    """Whether a node is well, by its task's state, and where that is red, by dbt's status; None: neither is said."""
    if state == "success":
        return True
    return status in GOOD if state == "failed" and status in GOOD | FAILED else None
