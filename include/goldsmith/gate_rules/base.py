"""What a limit of a gate is: how it is written, checked against the plan, judged, and said in a sentence."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict

VERDICT_PASS = "pass"  # noqa: S105 - a verdict, not a password
VERDICT_WARN = "warn"
VERDICT_BLOCK = "block"
NOT_MEASURED = "not measured"
OUTCOME_PASSED, OUTCOME_WARNED, OUTCOME_FAILED = "passed", "warned", "failed"
"""What became of a node that ran."""

Then = Literal["block", "warn"]
_LISTED = 50  # nodes that are named with a rule


class Limit(BaseModel):
    """One limit as a user writes it: immutable, and no key but the known ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    then: Then = "block"
    """What the gate does if the limit is passed."""


class Column(Protocol):
    """A column that the dbt project describes."""

    @property
    def name(self) -> str:
        """Its name."""


class Node(Protocol):
    """What a limit asks of a node, whether of the manifest or of the plan."""

    @property
    def unique_id(self) -> str:
        """dbt's."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def kind(self) -> str:
        """dbt's resource type."""

    @property
    def tags(self) -> Collection[str]:
        """dbt's."""

    @property
    def severity(self) -> str:
        """Of a test: `error` or `warn`."""


class DescribedNode(Node, Protocol):
    """A node of the manifest."""

    @property
    def columns(self) -> Sequence[Column]:
        """The columns that the project describes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """What a gate could set limits for."""

    name: str
    members: Sequence[DescribedNode]
    sources: Sequence[DescribedNode]
    """All sources with a freshness check."""
    elsewhere: Mapping[str, Sequence[DescribedNode]]
    """Layer or group to its nodes, of the other ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """A node and what became of it."""

    node: Node
    outcome: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One model, as the warehouse has it."""

    rows: int
    filled: Mapping[str, int]
    """Column to the number of rows with a value in it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a layer is held against."""

    facts: Sequence[Fact] = ()
    """The nodes of the layer, and the sources that it reads."""
    skips_stale: bool = False
    """Whether a stale source only holds back what depends on it."""
    measured: Mapping[str, Measured] = field(default_factory=dict)
    """Model to what was measured; one that was not built in this run is missing."""
    before: Mapping[str, float] = field(default_factory=dict)
    """Rule to its value in the last good run."""
    unique_ids: Mapping[str, str] = field(default_factory=dict)
    """Model to dbt's unique id."""


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
            return self.note or NOT_MEASURED
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


Written = TypeVar("Written")


class Rule(ABC, Generic[Written]):
    """One key under `gates: <layer>:`, and all that Goldsmith does with it.

    A new rule is a file in this folder with a subclass, and its line in the table of docs/gates.md.
    """

    key: ClassVar[str]
    """What a user writes."""
    field: ClassVar[tuple[Any, Any]]
    """For pydantic: the type of its value, and its value if nobody writes it."""
    asks_dbt: ClassVar[bool] = False
    """Whether dbt's word is needed on tests whose task is green."""

    @abstractmethod
    def lines(self, written: Written) -> Iterable[str]:
        """Each limit in one line, for people."""

    @abstractmethod
    def check(self, written: Written, layer: Layer) -> None:
        """Refuse what could never be reached.

        Raises:
            PlanError: With the nearest names.
        """

    def models(self, written: Written) -> Mapping[str, frozenset[str]]:  # noqa: ARG002 - most measure nothing
        """Name of each model that has to be looked at in the warehouse, to the columns whose values are counted."""
        return {}

    def compared(self, written: Written) -> Collection[str]:  # noqa: ARG002 - most compare nothing
        """Rules whose value in the last good run has to be known."""
        return ()

    @abstractmethod
    def judge(self, written: Written, found: Found) -> list[RuleResult]:
        """Hold what was found against the limits."""


def percent(share: float) -> str:
    """A share as a person reads it.

    Example:
        >>> percent(0.05)
        '5 %'
    """
    return f"{share:.4%}".rstrip("%").rstrip("0").rstrip(".") + " %"


def said(rule: str, allowed: str, then: Then) -> str:
    """A limit in one line."""
    return f"{rule}: {allowed}{', else it warns' if then == 'warn' else ''}"


def short(key: str, kind: type[Limit]) -> BeforeValidator:
    """A bare number stands for the limit's main value.

    Args:
        key: Of the main value.
        kind: The limit.
    """

    def read(value: Any) -> Any:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return {key: value} if is_number else value

    return BeforeValidator(read, json_schema_input_type=float | kind)
