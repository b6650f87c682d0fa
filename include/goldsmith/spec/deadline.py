"""Until when a run, or a node in it, has to be done."""

from __future__ import annotations

import re
from datetime import time, timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, field_validator, model_validator

from goldsmith.spec.base import Duration, SpecModel, Timezone, some_time

_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def _clock(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        # YAML 1.1 reads 06:00 without quotes as a number in base 60.
        raise ValueError('write a time of day in quotes, such as "06:00"')  # noqa: TRY004 - pydantic collects ValueErrors
    if isinstance(value, str):
        match = _CLOCK.fullmatch(value.strip())
        if not match:
            raise ValueError(f'{value!r} is not a time of day: write hours and minutes, such as "06:00"')
        return time(int(match[1]), int(match[2]))
    return value


def _written(value: time) -> str:
    return f"{value:%H:%M}"


_Clock = Annotated[str, Field(pattern=r"^\s*([01]?\d|2[0-3]):[0-5]\d\s*$")]
Clock = Annotated[
    time,
    BeforeValidator(_clock, json_schema_input_type=_Clock),
    PlainSerializer(_written, return_type=str),
]
"""A time of day, written as `"06:00"`."""


class Deadline(SpecModel):
    """A moment by which something has to be done.

    Example:
        >>> Deadline.model_validate({"node": "fct_transactions", "by": "06:00", "timezone": "Europe/Berlin"})
    """

    node: str = ""
    """Name of a model, seed, snapshot or test; none: the whole run."""
    by: Clock | None = None
    """The first such time of day after the run was to begin."""
    timezone: Timezone = "UTC"
    """Of `by`."""
    within: Duration | None = None
    """Counted from when the run was queued."""

    _some_time = field_validator("within")(some_time)

    @model_validator(mode="after")
    def _one_moment(self) -> Deadline:
        if (self.by is None) == (self.within is None):
            raise ValueError('write either `by`, such as "06:00", or `within`, such as 90m')
        return self

    @property
    def text(self) -> str:
        """What is to be done by when, in words."""
        what = self.node or "the run"
        if self.by is not None:
            return f"{what} by {self.by:%H:%M} {self.timezone}"
        return f"{what} within {_words(self.within or timedelta())}"


def _words(length: timedelta) -> str:
    minutes, seconds = divmod(int(length.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours} h"] if hours else []
    parts += [f"{minutes} min"] if minutes else []
    parts += [f"{seconds} s"] if seconds else []
    return " ".join(parts)
