"""What the gate after a layer lets through."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import create_model, model_validator

from goldsmith.gate_rules import RULES
from goldsmith.gate_rules.base import Found, Layer, Rule, RuleResult
from goldsmith.spec.base import Duration, SpecModel

if TYPE_CHECKING:
    _Limits = SpecModel
else:
    # A field for each rule.
    _Limits = create_model("_Limits", __base__=SpecModel, **{rule.key: rule.field for rule in RULES})


class Gate(_Limits):
    """The limits of one layer's gate. What failed and no limit is about blocks.

    Example:
        >>> Gate.model_validate({"failed_tests": {"max": 3, "tag": "noncritical"}, "rows": {"orders": 1}})
    """

    on_block: Literal["fail", "ask"] = "fail"
    """`ask`: a person may let a blocked layer pass, with a reason."""
    ask_timeout: Duration = timedelta(hours=1)
    """A question that nobody has answered by then is a no."""

    @model_validator(mode="after")
    def _some_time_to_answer(self) -> Gate:
        if self.ask_timeout <= timedelta(0):
            raise ValueError("nobody can answer in no time; write an `ask_timeout` such as 1h")
        return self

    @property
    def asks_dbt(self) -> bool:
        """Whether dbt's word is needed on tests whose task is green."""
        return any(rule.asks_dbt and written for rule, written in self._written())

    @property
    def measured(self) -> dict[str, tuple[str, ...]]:
        """The models that have to be looked at in the warehouse, and the columns whose values are counted."""
        found: dict[str, dict[str, None]] = {}
        for rule, written in self._written():
            for model, columns in rule.models(written).items():
                found.setdefault(model, {}).update(dict.fromkeys(sorted(columns)))
        return {model: tuple(columns) for model, columns in found.items()}

    @property
    def compared(self) -> list[str]:
        """Rules whose value in the last good run has to be known."""
        return [name for rule, written in self._written() for name in rule.compared(written)]

    def check(self, layer: Layer) -> None:
        """Refuse limits that could never be reached.

        Args:
            layer: What the gate stands after.

        Raises:
            PlanError: With the nearest names.
        """
        for rule, written in self._written():
            rule.check(written, layer)

    def judge(self, found: Found) -> list[RuleResult]:
        """Hold what was found against all limits; what is not measured at all gets no result."""
        return [one for rule, written in self._written() for one in rule.judge(written, found)]

    def lines(self) -> tuple[str, ...]:
        """Every limit in one line, for people."""
        found = [line for rule, written in self._written() for line in rule.lines(written)]
        if self.on_block == "ask":
            found.append(f"where it blocks, a person is asked, and has {_words(self.ask_timeout)}")
        return tuple(found)

    def _written(self) -> Sequence[tuple[Rule[Any], Any]]:
        """Each rule, and what the user wrote under its key."""
        return [(rule, getattr(self, rule.key)) for rule in RULES]


def _words(time: timedelta) -> str:
    minutes, seconds = divmod(int(time.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return " ".join(f"{number}{unit}" for number, unit in parts if number)
