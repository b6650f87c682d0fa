"""What the pipeline's `freshness` makes of a source that dbt checked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from goldsmith.engine.dbt.freshness import by_policy
from goldsmith.results.record import NodeResult


@pytest.fixture
def stale(result: Callable[..., NodeResult]) -> NodeResult:
    """A source whose rows are old."""
    uid, task_id = "source.shop.lake.orders", "sources.lake.orders.freshness"
    return result(unique_id=uid, task_id=task_id, kind="source", status="error", message="loaded 2 days ago")


@pytest.mark.parametrize("freshness", ["block", "warn", "skip"])
def test_a_source_without_a_table_says_how_to_check_none(stale: NodeResult, freshness: str) -> None:
    """It stays red: nobody knows how old nothing is."""
    found = by_policy(replace(stale, status="runtime error", message="relation does not exist"), freshness)
    assert found.status == "runtime error"
    assert found.message.startswith("relation does not exist\n")
    assert "`freshness: off`" in found.message


def test_only_a_stale_source_is_let_pass_and_only_by_warn(stale: NodeResult) -> None:
    """Not a model with an error."""
    assert by_policy(stale, "block") is stale
    assert by_policy(stale, "skip") is stale
    warned = by_policy(stale, "warn")
    assert (warned.status, warned.message) == (
        "warn",
        "Stale, and let pass by `freshness: warn`. loaded 2 days ago",
    )
    model = replace(stale, kind="model")
    assert by_policy(model, "warn") is model
