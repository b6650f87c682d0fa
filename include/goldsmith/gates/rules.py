"""Each limit of a gate against what was measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from goldsmith.dbt.node import TEST_KINDS
from goldsmith.gates.outcomes import FAILED, PASSED, WARNED
from goldsmith.plan.model import PlannedNode
from goldsmith.spec.gate import CountLimit, Gate, SeverityLimit, percent

PASS = "pass"  # noqa: S105 - an outcome, not a password
WARN = "warn"
BLOCK = "block"
UNKNOWN = "not measured"

_ABOUT = {
    "failed_tests": (TEST_KINDS, FAILED),
    "warned_tests": (TEST_KINDS, WARNED),
    "failed_models": (("model", "seed", "snapshot", "function"), FAILED),
    "stale_sources": (("source",), FAILED),
}
_RAN = (PASSED, WARNED, FAILED)
_LISTED = 50  # nodes that are named with a rule


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleResult:
    """One limit, and what was measured."""

    rule: str
    measured: float | None
    allowed: str
    """The limit in words."""
    outcome: str
    """`pass`, `warn`, `block`, or `not measured`."""
    nodes: tuple[str, ...] = ()
    """Unique ids of the nodes behind it, or ids of tasks where they have none."""
    is_share: bool = False
    note: str = ""

    @property
    def shown(self) -> str:
        """The measured value as a person reads it."""
        if self.measured is None:
            return self.note or UNKNOWN
        value = percent(self.measured) if self.is_share else f"{self.measured:g}"
        if not self.is_share and self.measured == int(self.measured):
            value = str(int(self.measured))
        return f"{value} ({self.note})" if self.note else value

    def to_dict(self) -> dict[str, Any]:
        """Plain values; of many nodes the first ones."""
        return {
            "rule": self.rule,
            "measured": self.measured,
            "allowed": self.allowed,
            "outcome": self.outcome,
            "nodes": list(self.nodes[:_LISTED]),
            "more_nodes": max(len(self.nodes) - _LISTED, 0),
            "is_share": self.is_share,
            "note": self.note,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """A node and what became of it."""

    node: PlannedNode
    outcome: str


def count_rules(gate: Gate, facts: Sequence[Fact], *, skips_stale: bool) -> list[RuleResult]:
    """Judge the limits on numbers of nodes; what failed and no limit is about gets a rule of its own, which blocks.

    Args:
        gate: The limits.
        facts: The nodes of the layer, and the sources that it reads.
        skips_stale: Whether a stale source only holds back what depends on it.
    """
    found: list[RuleResult] = []
    for key, limits in gate.counted.items():
        kinds, what = _ABOUT[key]
        of_kind = [fact for fact in facts if fact.node.kind in kinds]
        covered: set[str] = set()
        for limit in limits:
            about = [fact for fact in of_kind if _is_about(limit, fact.node)]
            covered.update(fact.node.unique_id for fact in about)
            found += _judged(key, limit, about, what)
        if what == FAILED:
            left = _ids(
                fact for fact in of_kind if fact.outcome == FAILED and fact.node.unique_id not in covered
            )
            found += _others(
                key, left, is_only=not limits, is_let_pass=key == "stale_sources" and skips_stale
            )
    return found


def _judged(key: str, limit: CountLimit, about: Sequence[Fact], what: str) -> list[RuleResult]:
    """A result for the number and one for the share, as far as there is a limit for each."""
    name = f"{key} ({limit.about})" if limit.about else key
    bad = _ids(fact for fact in about if fact.outcome == what)
    ran = sum(fact.outcome in _RAN for fact in about)
    results = []
    if limit.max is not None:
        results.append(
            RuleResult(
                rule=name,
                measured=len(bad),
                allowed=f"at most {limit.max}",
                outcome=limit.then if len(bad) > limit.max else PASS,
                nodes=bad,
            )
        )
    if limit.share is not None:
        share = len(bad) / ran if ran else 0.0
        results.append(
            RuleResult(
                rule=f"share of {name}",
                measured=share,
                allowed=f"at most {percent(limit.share)}",
                outcome=limit.then if share > limit.share else PASS,
                nodes=bad,
                is_share=True,
            )
        )
    return results


def _others(key: str, left: tuple[str, ...], *, is_only: bool, is_let_pass: bool) -> list[RuleResult]:
    if not left and not is_only:
        return []
    return [
        RuleResult(
            rule=key if is_only else f"{key} (others)",
            measured=len(left),
            allowed="any number" if is_let_pass else "at most 0",
            outcome=BLOCK if left and not is_let_pass else PASS,
            nodes=left,
        )
    ]


def _is_about(limit: CountLimit, node: PlannedNode) -> bool:
    severity = limit.severity if isinstance(limit, SeverityLimit) else None
    has_severity = severity in (None, node.severity or "error")
    return has_severity and (not limit.tag or limit.tag in node.tags)


def _ids(facts: Iterable[Fact]) -> tuple[str, ...]:
    return tuple(sorted(fact.node.unique_id for fact in facts))
