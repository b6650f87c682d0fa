"""Where Airflow, dbt and the warehouse do not say the same about a node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from goldsmith.kinds import RELATIONS
from goldsmith.plan.model import PlannedNode
from goldsmith.results.record import FAILED, GOOD

ONLY_FAILED = "tasks failed or were held back"
ONLY_BEFORE = "what is before it failed"
"""How a comparison says that it is red for what others have said, and has found no difference."""

_EXPECTED = {
    "table": "table",
    "incremental": "table",
    "seed": "table",
    "snapshot": "table",
    "view": "view",
    "materialized_view": "materialized_view",
}
"""dbt materialization to the kind of relation it leaves; of others nothing is known."""


_NAMED = {
    "table": "a table",
    "view": "a view",
    "materialized_view": "a materialized_view",
    "any": "a relation",
    "nothing": "nothing",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class SaidAboutNode:
    """What Airflow, dbt and the warehouse say about one node after its layer."""

    node: PlannedNode
    state: str | None
    """Of its task in Airflow; `removed` where the run does not have it."""
    status: str
    """dbt's last word in this run; empty where dbt said nothing."""
    relation: str
    """Where dbt put it; empty where it said nothing."""
    kind: str
    """Kind of that relation in the warehouse; empty where there is none."""
    is_kept: bool = True
    """Whether the details can be read that dbt gave of it."""
    is_left_out: bool = False
    """Whether the run's selection leaves it out."""

    @property
    def is_unkept(self) -> bool:
        """Whether it is green, dbt built it, and its details are lost."""
        return not self.is_kept and self.state == "success" and self.status in GOOD

    @property
    def is_unplaced(self) -> bool:
        """Whether it is green, has to be in the warehouse, and where is not known."""
        is_done = self.state == "success" and self.status in GOOD
        return is_done and not self.relation and expected_kind(self.node) not in ("", NOTHING)


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One node about which the three do not agree."""

    task_id: str
    unique_id: str
    text: str
    is_mark: bool
    """Whether a mark by a person would explain it."""


ANY, NOTHING = "any", "nothing"
"""A relation of whatever kind; none at all."""


def expected_kind(node: PlannedNode) -> str:
    """What a node leaves in the warehouse: a kind of relation, `any` or `nothing`; empty if that is not known."""
    if node.kind not in RELATIONS:
        return ""
    return node.expect or _EXPECTED.get(node.materialized, "")


def differences(nodes: Mapping[str, SaidAboutNode]) -> list[Difference]:
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


def _difference(said: SaidAboutNode) -> tuple[str, bool]:
    says = f"dbt says {said.status or 'nothing about it in this run'}"
    if (
        said.state == "skipped"
        and said.status not in GOOD
        and (said.status in FAILED or not said.is_left_out)
    ):
        return f"Airflow shows it skipped, {says}", True
    if said.state != "success":
        return "", False
    if said.status not in GOOD:
        return f"Airflow shows it green, {says}", True
    if said.is_unplaced and said.is_kept:
        return f"{says} and names no relation, so the warehouse was not asked", False
    expected = expected_kind(said.node)
    if expected and said.relation and not _is_as_expected(expected, said.kind):
        there = f"{said.kind} (if that is meant: meta.goldsmith.expect)" if said.kind else "nothing there"
        return f"{said.relation} should be {_NAMED[expected]}, the warehouse has {there}", False
    return "", False


def _is_as_expected(expected: str, kind: str) -> bool:
    if expected in (ANY, NOTHING):
        return bool(kind) == (expected == ANY)
    return kind == expected
