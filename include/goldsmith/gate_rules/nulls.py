"""Which share of a column may be null."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field

from goldsmith.errors import PlanError
from goldsmith.gate_rules.base import Found, Layer, Limit, Rule, RuleResult, percent, said, short
from goldsmith.gate_rules.measured import model_meant, share_judged, unknown
from goldsmith.wording import did_you_mean


class NullLimit(Limit):
    """Which share of a column may be null."""

    share: float = Field(ge=0, le=1)


_ByColumn = Mapping[str, Mapping[str, NullLimit]]


class Nulls(Rule[_ByColumn]):
    """Nulls in columns of models, by name of the model and the column."""

    key = "nulls"
    field: ClassVar[tuple[Any, Any]] = (
        dict[str, dict[str, Annotated[NullLimit, short("share", NullLimit)]]],
        Field(default_factory=dict),
    )

    def lines(self, written: _ByColumn) -> Iterable[str]:
        """Each limit in one line."""
        return [
            said(_rule(model, column), f"at most {percent(limit.share)}", limit.then)
            for model, columns in written.items()
            for column, limit in columns.items()
        ]

    def check(self, written: _ByColumn, layer: Layer) -> None:
        """Refuse a model that the layer does not have, and a column that its description lacks."""
        for model, columns in sorted(written.items()):
            known = {column.name for column in model_meant(model, layer).columns}
            for column in sorted(set(columns) - known) if known else ():
                raise PlanError(
                    f"The gate of {layer.name} sets a limit for nulls in {model}.{column}, and the project describes "
                    f"no such column of {model}.",
                    hint=f"{did_you_mean(column, sorted(known))} A new column? Describe it in the model's YAML.",
                )

    def models(self, written: _ByColumn) -> Mapping[str, frozenset[str]]:
        """All models with a limit, and their columns with one."""
        return {model: frozenset(columns) for model, columns in written.items()}

    def judge(self, written: _ByColumn, found: Found) -> list[RuleResult]:
        """A result for each column."""
        return [
            _judged(model, column, limit, found)
            for model, columns in written.items()
            for column, limit in columns.items()
        ]


def _rule(model: str, column: str) -> str:
    return f"nulls in {model}.{column}"


def _judged(model: str, column: str, limit: NullLimit, found: Found) -> RuleResult:
    rule, allowed = _rule(model, column), f"at most {percent(limit.share)}"
    measured = found.measured.get(model)
    if measured is None:
        return unknown(rule, allowed)
    share = 1 - measured.filled[column] / measured.rows if measured.rows else 0.0
    return share_judged(rule, share, limit, most=limit.share, node=found.unique_ids[model])
