"""Which raw files a run with a selection loads."""

from __future__ import annotations

import pytest

from goldsmith.plan.chosen_sources import chosen_sources, needs_dbt
from goldsmith.spec.run import RunOptions

SOURCES = ("lake.orders", "lake.items")
CHOSEN = ("source.shop.lake.orders", "model.shop.items", "source.shop.other.items")


def asked(select: str = "", exclude: str = "", *, ingest: bool = False) -> RunOptions:
    """The parameters of a run."""
    return RunOptions.parse({"select": select, "exclude": exclude, "ingest": ingest}, target="dev")


@pytest.mark.parametrize(
    ("options", "loaded"),
    [
        (asked(), SOURCES),
        (asked("orders"), ()),
        (asked("orders+ shop.items"), ()),
        (asked("orders+2,items"), ()),
        (asked("orders", exclude="+items"), ()),
        (asked(exclude="orders"), SOURCES),
        (asked("orders", ingest=True), SOURCES),
        (asked("+orders", ingest=True), SOURCES),
    ],
)
def test_bare_names_mean_no_source_and_dbt_is_not_asked(options: RunOptions, loaded: tuple[str, ...]) -> None:
    """dbt's names match nodes only; to leave out a model leaves no source out."""
    assert not needs_dbt(options)
    assert chosen_sources(SOURCES, options, ()) == {one: one in loaded for one in SOURCES}


@pytest.mark.parametrize(
    "options",
    [
        asked("+orders"),
        asked("2+orders"),
        asked("items orders,+orders"),
        asked("source:lake.orders"),
        asked("tag:nightly"),
        asked("@orders"),
        asked("models/bronze"),
        asked("*"),
        asked(exclude="+items"),
    ],
)
def test_what_may_reach_a_source_is_asked_of_dbt(options: RunOptions) -> None:
    """A source of another group with the same table is another source."""
    assert needs_dbt(options)
    assert chosen_sources(SOURCES, options, CHOSEN) == {"lake.orders": True, "lake.items": False}
