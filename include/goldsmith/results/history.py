"""The records of a task, by node: what dbt said last, and before that."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from goldsmith.results.record import NodeResult


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeHistory:
    """What dbt said about one node in a run."""

    latest: NodeResult
    earlier: tuple[NodeResult, ...]
    """Oldest first."""


def by_node(records: Iterable[NodeResult]) -> tuple[NodeHistory, ...]:
    """Put together what is about the same node; most tasks have one, a task for all tests of a model has several.

    Args:
        records: Of one task, oldest first.

    Returns:
        In the order in which the nodes first appear.
    """
    found: dict[str, list[NodeResult]] = {}
    for record in records:
        found.setdefault(record.unique_id, []).append(record)
    return tuple(NodeHistory(latest=ones[-1], earlier=tuple(ones[:-1])) for ones in found.values())
