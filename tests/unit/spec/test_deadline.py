"""Deadlines as they are written."""

from __future__ import annotations

from datetime import time

import pytest

from goldsmith.errors import SpecError
from goldsmith.spec.deadline import Deadline
from goldsmith.spec.pipeline import Pipeline


def parsed(deadline: object) -> Pipeline:
    """A pipeline with one deadline."""
    return Pipeline.parse({"name": "shop", "deadlines": [deadline]})


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ({"by": "06:00"}, "the run by 06:00 UTC"),
        ({"node": "orders", "by": "6:30", "timezone": "Europe/Berlin"}, "orders by 06:30 Europe/Berlin"),
        ({"within": "90m"}, "the run within 1 h 30 min"),
        ({"within": "45s"}, "the run within 45 s"),
    ],
)
def test_a_deadline_reads_as_it_is_meant(written: dict[str, str], text: str) -> None:
    """In alerts and notes."""
    assert parsed(written).deadlines[0].text == text


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({}, "write either `by`"),
        ({"by": "06:00", "within": "1h"}, "write either `by`"),
        ({"by": 360}, 'in quotes, such as "06:00"'),  # what YAML makes of 06:00
        ({"by": "24:00"}, "'24:00' is not a time of day"),
        ({"by": "soon"}, "'soon' is not a time of day"),
        ({"by": None}, "write either `by`"),
        ({"by": 360}, "write a time of day in quotes"),
        ({"by": "06:00", "timezone": "Europe/Bärlin"}, "is no time zone"),
        ({"within": "0s"}, "nothing can run in no time"),
        ({"within": "-5m"}, "is not a duration"),
        ({"bye": "06:00"}, "Did you mean by?"),
    ],
)
def test_what_is_no_deadline_is_refused(written: dict[str, object], said: str) -> None:
    """Each with what to write in its place."""
    with pytest.raises(SpecError, match="not valid") as refused:
        parsed(written)
    assert said in str(refused.value)


def test_a_time_of_day_is_written_as_it_is_read() -> None:
    """In Python it may be one."""
    made = Deadline(by=time(6, 5))
    assert made.model_dump(mode="json")["by"] == "06:05"
    assert Deadline.model_validate(made.model_dump(mode="json")) == made
