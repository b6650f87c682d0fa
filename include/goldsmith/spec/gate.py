"""What the gate after a layer lets through."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from goldsmith.spec.base import Duration, SpecModel

Then = Literal["block", "warn"]


class CountLimit(SpecModel):
    """How many may be: a number, a share, or both; more than either is too many."""

    max: int | None = Field(None, ge=0)
    share: float | None = Field(None, ge=0, le=1)
    """Of those that ran and that this limit is about: 0 to 1."""
    tag: str = ""
    """Only those with this dbt tag."""
    then: Then = "block"
    """What the gate does where it is too many."""

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


class SeverityLimit(CountLimit):
    """How many tests may be."""

    severity: Literal["error", "warn"] | None = None
    """Only those of this dbt severity."""

    @property
    def about(self) -> str:
        """Which of them it is about; empty for all."""
        parts = [f"severity {self.severity}"] if self.severity else []
        return ", ".join([*parts, *(["tag " + self.tag] if self.tag else [])])


class RowLimit(SpecModel):
    """How many rows a model has at least, and how far that may be from the last good run."""

    min: int | None = Field(None, ge=0)
    change: float | None = Field(None, ge=0)
    """Share of the rows that it had in the last run whose gate let it pass; 0.5 is half as many more or fewer."""
    then: Then = "block"

    @model_validator(mode="after")
    def _says_how_many(self) -> RowLimit:
        if self.min is None and self.change is None:
            raise ValueError("it sets no limit: write `min`, `change` or both, such as {min: 1, change: 0.5}")
        return self


class NullLimit(SpecModel):
    """Which share of a column may be null."""

    share: float = Field(ge=0, le=1)
    then: Then = "block"


def percent(share: float) -> str:
    """A share as a person reads it."""
    return f"{share:.4%}".rstrip("%").rstrip("0").rstrip(".") + " %"


def _short(key: str) -> BeforeValidator:
    """A bare number stands for the limit's main value."""

    def read(value: Any) -> Any:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return {key: value} if is_number else value

    return BeforeValidator(read)


def _listed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


_Counts = Annotated[tuple[Annotated[CountLimit, _short("max")], ...], BeforeValidator(_listed)]
_TestCounts = Annotated[tuple[Annotated[SeverityLimit, _short("max")], ...], BeforeValidator(_listed)]


class Gate(SpecModel):
    """The limits of one layer's gate. What failed and no limit is about blocks.

    Example:
        >>> Gate.model_validate({"failed_tests": {"max": 3, "tag": "noncritical"}, "rows": {"orders": 1}})
    """

    failed_tests: _TestCounts = ()
    warned_tests: _TestCounts = ()
    failed_models: _Counts = ()
    """Of models, seeds and snapshots."""
    stale_sources: _Counts = ()
    """Of the sources that the layer reads."""
    rows: dict[str, Annotated[RowLimit, _short("min")]] = Field(default_factory=dict)
    """By model of the layer."""
    nulls: dict[str, dict[str, Annotated[NullLimit, _short("share")]]] = Field(default_factory=dict)
    """By model of the layer and column."""
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
    def counted(self) -> dict[str, tuple[CountLimit, ...]]:
        """The limits on numbers of nodes, by their key."""
        keys = ("failed_tests", "warned_tests", "failed_models", "stale_sources")
        return {key: getattr(self, key) for key in keys}

    @property
    def measured(self) -> frozenset[str]:
        """The models that have to be looked at in the warehouse."""
        return frozenset({*self.rows, *self.nulls})

    def lines(self) -> tuple[str, ...]:
        """Every limit in one line, for people."""
        found = [
            _line(key, limit.about, limit.allowed, limit.then)
            for key, limits in self.counted.items()
            for limit in limits
        ]
        for model, limit in self.rows.items():
            if limit.min is not None:
                found.append(_line(f"rows of {model}", "", f"at least {limit.min}", limit.then))
            if limit.change is not None:
                found.append(
                    _line(f"change of rows of {model}", "", f"at most {percent(limit.change)}", limit.then)
                )
        found += [
            _line(f"nulls in {model}.{column}", "", f"at most {percent(null.share)}", null.then)
            for model, columns in self.nulls.items()
            for column, null in columns.items()
        ]
        if self.on_block == "ask":
            found.append(f"where it blocks, a person is asked, and has {_words(self.ask_timeout)}")
        return tuple(found)


def _line(key: str, about: str, allowed: str, then: Then) -> str:
    of = f" ({about})" if about else ""
    return f"{key}{of}: {allowed}{', else it warns' if then == 'warn' else ''}"


def _words(time: timedelta) -> str:
    minutes, seconds = divmod(int(time.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return " ".join(f"{number}{unit}" for number, unit in parts if number)
