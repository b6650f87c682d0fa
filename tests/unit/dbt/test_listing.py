"""The output of `dbt ls`, as dbt 1.12 writes it."""

from __future__ import annotations

import json

from goldsmith.dbt.listing import read_listing, selection_arguments


def line(name: str, level: str = "info", **data: str) -> str:
    """One event."""
    return json.dumps({"info": {"name": name, "level": level, "msg": data.get("msg", "")}, "data": data})


def test_nodes_unmatched_terms_and_errors_are_told_apart() -> None:
    """What is no event is said as it stands: that is how a crash looks."""
    found = read_listing(
        [
            line("PrintEvent", msg='{"unique_id": "model.shop.orders"}'),
            line("PrintEvent", msg='{"unique_id": 7'),
            line("NoNodesForSelectionCriteria", level="warn", spec_raw="ordrs"),
            line("NoNodesForSelectionCriteria", level="warn", spec_raw="ordrs"),
            line("MainEncounteredError", level="error", msg="Compilation Error"),
            "Traceback (most recent call last):\n",
            "[]",
            "\n",
        ]
    )
    assert found.unique_ids == {"model.shop.orders"}
    assert found.unmatched == ("ordrs",)
    assert found.errors == ("Compilation Error", "Traceback (most recent call last):", "[]")


def test_an_empty_selection_has_no_arguments() -> None:
    """Else dbt would take it for one that matches nothing."""
    assert selection_arguments([], []) == []
    assert selection_arguments(["a", "b+"], ["c"]) == ["--select", "a", "b+", "--exclude", "c"]
