"""Limits on the number of nodes that fared in some way: as a number, a share, or both."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from goldsmith.errors import PlanError
from goldsmith.gate_rules.base import (
    OUTCOME_FAILED,
    OUTCOME_PASSED,
    OUTCOME_WARNED,
    VERDICT_BLOCK,
    VERDICT_PASS,
    Fact,
    Found,
    Layer,
    Limit,
    Node,
    Rule,
    RuleResult,
    percent,
    said,
    short,
)
from goldsmith.wording import did_you_mean

_RAN = (OUTCOME_PASSED, OUTCOME_WARNED, OUTCOME_FAILED)


class CountLimit(Limit):
    """How many may be: a number, a share, or both; more than either is too many."""

    max: int | None = Field(None, ge=0)
    share: float | None = Field(None, ge=0, le=1)
    """Of those that ran and that this limit is about: 0 to 1."""
    tag: str = ""
    """Only those with this dbt tag."""

    @model_validator(mode="after")
    def _says_how_many(self) -> CountLimit:
        if self.max is None and self.share is None:
            raise ValueError("it sets no limit: write `max`, `share` or both, such as {max: 3, share: 0.05}")
        return self

    @property
    def about(self) -> str:
        """Which of them it is about; empty for all."""
        return f"tag {self.tag}" if self.tag else ""

    @property
    def allowed(self) -> str:
        """How many may be, in words."""
        parts = [str(self.max)] if self.max is not None else []
        parts += [percent(self.share)] if self.share is not None else []
        return f"at most {' and '.join(parts)}"

    def is_about(self, node: Node) -> bool:
        """Whether it counts a node."""
        return not self.tag or self.tag in node.tags


class SeverityLimit(CountLimit):
    """How many tests may be."""

    severity: Literal["error", "warn"] | None = None
    """Only those of this dbt severity."""

    @property
    def about(self) -> str:
        """Which of them it is about; empty for all."""
        parts = [f"severity {self.severity}"] if self.severity else []
        return ", ".join([*parts, *(["tag " + self.tag] if self.tag else [])])

    def is_about(self, node: Node) -> bool:
        """Whether it counts a test."""
        return super().is_about(node) and self.severity in (None, node.severity or "error")


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


def _one_or_more(kind: Any) -> Any:
    """One limit, or several: a number alone is the most that may be."""
    one = Annotated[kind, short("max", kind)]
    return Annotated[tuple[one, ...], BeforeValidator(_listed, json_schema_input_type=one | tuple[one, ...])]


COUNTS = _one_or_more(CountLimit)
TEST_COUNTS = _one_or_more(SeverityLimit)


class CountRule(Rule[Sequence[CountLimit]]):
    """Counts the nodes of some kinds that fared in one way. What failed and no limit is about blocks."""

    kinds: ClassVar[Sequence[str]]
    """dbt's resource types that it counts."""
    outcome: ClassVar[str] = OUTCOME_FAILED
    """What became of those that it counts."""
    field: ClassVar[tuple[Any, Any]] = (COUNTS, ())

    def lines(self, written: Sequence[CountLimit]) -> Iterable[str]:
        """Each limit in one line."""
        return [said(self._name(limit), limit.allowed, limit.then) for limit in written]

    def candidates(self, layer: Layer) -> Iterable[Node]:
        """The nodes that it could count."""
        return [node for node in layer.members if node.kind in self.kinds]

    def check(self, written: Sequence[CountLimit], layer: Layer) -> None:
        """Refuse a tag that none of its nodes has."""
        known = sorted({tag for node in self.candidates(layer) for tag in node.tags})
        for limit in written:
            if limit.tag and limit.tag not in known:
                what = self.key.partition("_")[2]
                raise PlanError(
                    f"The gate of {layer.name} sets `{self.key}` for the tag {limit.tag!r}, which none of its {what} "
                    "has.",
                    hint=did_you_mean(limit.tag, known) if known else f"None of its {what} has a tag.",
                )

    def is_let_pass(self, found: Found) -> bool:  # noqa: ARG002 - only stale sources may be
        """Whether those that no limit is about pass, however many they are."""
        return False

    def judge(self, written: Sequence[CountLimit], found: Found) -> list[RuleResult]:
        """A result for each limit; and one for what failed and no limit is about, which blocks."""
        of_kind = [fact for fact in found.facts if fact.node.kind in self.kinds]
        results: list[RuleResult] = []
        covered: set[str] = set()
        for limit in written:
            about = [fact for fact in of_kind if limit.is_about(fact.node)]
            covered.update(fact.node.unique_id for fact in about)
            results += self._judged(limit, about)
        if self.outcome == OUTCOME_FAILED:
            left = _ids(
                fact
                for fact in of_kind
                if fact.outcome == OUTCOME_FAILED and fact.node.unique_id not in covered
            )
            results += self._others(left, is_only=not written, is_let_pass=self.is_let_pass(found))
        return results

    def _name(self, limit: CountLimit) -> str:
        return f"{self.key} ({limit.about})" if limit.about else self.key

    def _judged(self, limit: CountLimit, about: Sequence[Fact]) -> list[RuleResult]:
        """A result for the number and one for the share, as far as there is a limit for each."""
        name, bad = self._name(limit), _ids(fact for fact in about if fact.outcome == self.outcome)
        ran = sum(fact.outcome in _RAN for fact in about)
        results = []
        if limit.max is not None:
            results.append(
                RuleResult(
                    rule=name,
                    measured=len(bad),
                    allowed=f"at most {limit.max}",
                    outcome=limit.then if len(bad) > limit.max else VERDICT_PASS,
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
                    outcome=limit.then if share > limit.share else VERDICT_PASS,
                    nodes=bad,
                    is_share=True,
                )
            )
        return results

    def _others(self, left: tuple[str, ...], *, is_only: bool, is_let_pass: bool) -> list[RuleResult]:
        if not left and not is_only:
            return []
        return [
            RuleResult(
                rule=self.key if is_only else f"{self.key} (others)",
                measured=len(left),
                allowed="any number" if is_let_pass else "at most 0",
                outcome=VERDICT_BLOCK if left and not is_let_pass else VERDICT_PASS,
                nodes=left,
            )
        ]


def _ids(facts: Iterable[Fact]) -> tuple[str, ...]:
    return tuple(sorted(fact.node.unique_id for fact in facts))
