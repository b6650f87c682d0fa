"""Where Airflow, dbt and the warehouse do not say the same about a node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from goldsmith.plan.model import PlannedNode
from goldsmith.results.record import FAILED, GOOD

_EXPECTED = {
    "table": "table",
    "incremental": "table",
    "seed": "table",
    "snapshot": "table",
    "view": "view",
    "materialized_view": "materialized_view",
}
"""dbt materialization to the kind of relation it leaves; of others nothing is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What is known of one node after its layer."""

    node: PlannedNode
    state: str | None
    """Of its task in Airflow; `removed` where the run does not have it."""
    status: str
    """dbt's last word in this run; empty where dbt said nothing."""
    relation: str
    """Where dbt put it; empty where it said nothing."""
    kind: str
    """Kind of that relation in the warehouse; empty where there is none."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One node about which the three do not agree."""

    task_id: str
    unique_id: str
    text: str
    is_mark: bool
    """Whether a mark by a person would explain it."""


def expected_kind(node: PlannedNode) -> str:
    """The kind of relation that a node leaves in the warehouse; empty where that is not known, or none."""
    return _EXPECTED.get(node.materialized, "") if node.kind in ("model", "seed", "snapshot") else ""


def differences(nodes: Mapping[str, Said]) -> list[Difference]:
    """Compare what is known of each node.

    Args:
        nodes: Unique id to what is known.

    Returns:
        In the order of the tasks.
    """
    found = []
    for uid, said in nodes.items():
        text, is_mark = _difference(said)
        if text:
            task_id = said.node.task_id
            found.append(Difference(task_id=task_id, unique_id=uid, text=text, is_mark=is_mark))
    return sorted(found, key=lambda one: (one.task_id, one.unique_id))


def _difference(said: Said) -> tuple[str, bool]:
    if said.state == "skipped" and said.status in FAILED:
        return f"Airflow shows it skipped, dbt says {said.status}", True
    if said.state != "success":
        return "", False
    if said.status not in GOOD:
        return f"Airflow shows it green, dbt says {said.status or 'nothing about it in this run'}", True
    expected = expected_kind(said.node)
    if expected and said.relation and said.kind != expected:
        return (
            f"{said.relation} should be a {expected}, the warehouse has {said.kind or 'nothing there'}",
            False,
        )
    return "", False
