"""How many rows a model has at least, and how far that may be from the last good run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from goldsmith.gate_rules.base import (
    VERDICT_PASS,
    Found,
    Layer,
    Limit,
    Rule,
    RuleResult,
    percent,
    said,
    short,
)
from goldsmith.gate_rules.measured import model_meant, share_judged, unknown


class RowLimit(Limit):
    """How many rows a model has at least, and how far that may be from the last good run."""

    min: int | None = Field(None, ge=0)
    change: float | None = Field(None, ge=0)
    """Share of the rows that it had in the last run whose gate let it pass; 0.5 is half as many more or fewer."""

    @model_validator(mode="after")
    def _says_how_many(self) -> RowLimit:
        if self.min is None and self.change is None:
            raise ValueError("it sets no limit: write `min`, `change` or both, such as {min: 1, change: 0.5}")
        return self


class Rows(Rule[Mapping[str, RowLimit]]):
    """Rows of models, by name of the model."""

    key = "rows"
    field: ClassVar[tuple[Any, Any]] = (
        dict[str, Annotated[RowLimit, short("min", RowLimit)]],
        Field(default_factory=dict),
    )

    def lines(self, written: Mapping[str, RowLimit]) -> Iterable[str]:
        """Each limit in one line."""
        found = []
        for model, limit in written.items():
            if limit.min is not None:
                found.append(said(_rule(model), f"at least {limit.min}", limit.then))
            if limit.change is not None:
                found.append(
                    said(f"change of {_rule(model)}", f"at most {percent(limit.change)}", limit.then)
                )
        return found

    def check(self, written: Mapping[str, RowLimit], layer: Layer) -> None:
        """Refuse a model that the layer does not have."""
        for model in sorted(written):
            model_meant(model, layer)

    def models(self, written: Mapping[str, RowLimit]) -> Mapping[str, frozenset[str]]:
        """All models with a limit; of columns nothing is needed."""
        return dict.fromkeys(written, frozenset())

    def compared(self, written: Mapping[str, RowLimit]) -> Collection[str]:
        """The rows of models with a limit on their change."""
        return [_rule(model) for model, limit in written.items() if limit.change is not None]

    def judge(self, written: Mapping[str, RowLimit], found: Found) -> list[RuleResult]:
        """A result for the rows of each model, and one for their change if there is a limit for it."""
        results = []
        for model, limit in written.items():
            results.append(_number(model, limit, found))
            if limit.change is not None:
                results.append(_change(model, limit, limit.change, found))
        return results


def _rule(model: str) -> str:
    """Name of the rule on a model's rows; its value is what a later run is compared with."""
    return f"rows of {model}"


def _number(model: str, limit: RowLimit, found: Found) -> RuleResult:
    allowed = "any number" if limit.min is None else f"at least {limit.min}"
    measured = found.measured.get(model)
    if measured is None:
        return unknown(_rule(model), allowed)
    is_few = limit.min is not None and measured.rows < limit.min
    return RuleResult(
        rule=_rule(model),
        measured=measured.rows,
        allowed=allowed,
        outcome=limit.then if is_few else VERDICT_PASS,
        nodes=(found.unique_ids[model],) if is_few else (),
    )


def _change(model: str, limit: RowLimit, most: float, found: Found) -> RuleResult:
    rule, allowed = f"change of {_rule(model)}", f"at most {percent(most)}"
    measured, last = found.measured.get(model), found.before.get(_rule(model))
    if measured is None:
        return unknown(rule, allowed)
    if not last:
        note = "no good run before" if last is None else "no rows in the last good run"
        return unknown(rule, allowed, note=note)
    share = abs(measured.rows - last) / last
    before = f"{int(last)} before"
    return share_judged(rule, share, limit, most=most, node=found.unique_ids[model], note=before)
