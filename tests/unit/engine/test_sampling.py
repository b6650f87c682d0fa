"""Which details get a sample of failing rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.builders import dbt_target, plan_of
from tests.sites import StatedSite, site_of

from goldsmith.engine.sampling import sampler
from goldsmith.results.record import FailingRows, NodeResult
from goldsmith.warehouse import rows

FOUND = FailingRows(columns=("id",), rows=(("1",),))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the warehouse is asked; it finds one row."""
    made: list[tuple[Any, ...]] = []

    def sample_rows(conn_id: str, query: str, *, limit: int, timeout: float) -> FailingRows:
        made.append((conn_id, query, limit, timeout))
        return FOUND

    monkeypatch.setattr(rows, "sample_rows", sample_rows)
    return made


@pytest.fixture
def failed(result: Callable[..., NodeResult]) -> NodeResult:
    """A test that failed."""
    return result(kind="test", status="fail", compiled_sql="select 1")


def site(folder: Path, *, failing_rows: int = 5) -> StatedSite:
    """Where it failed."""
    return site_of(
        plan_of(()), folder, target=dbt_target(folder, connection="lake"), failing_rows=failing_rows
    )


@pytest.mark.parametrize(
    ("differing", "is_asked"),
    [
        ({}, True),
        ({"status": "warn"}, True),
        ({"status": "error"}, False),
        ({"status": "pass"}, False),
        ({"kind": "model"}, False),
        ({"kind": "unit_test"}, False),
        ({"compiled_sql": ""}, False),
    ],
)
def test_a_test_that_found_rows_shows_some(
    tmp_path: Path,
    asked: list[tuple[Any, ...]],
    failed: NodeResult,
    differing: dict[str, Any],
    *,
    is_asked: bool,
) -> None:
    """Others have none to show; all else stays as dbt said it."""
    told = replace(failed, **differing)
    assert sampler(site(tmp_path))(told) == (replace(told, failing_rows=FOUND) if is_asked else told)
    assert asked == ([("lake", "select 1", 5, 10.0)] if is_asked else [])


def test_a_pipeline_may_keep_none(tmp_path: Path, asked: list[tuple[Any, ...]], failed: NodeResult) -> None:
    """Rows may be nobody's business."""
    assert sampler(site(tmp_path, failing_rows=0))(failed) == failed
    assert asked == []


def test_only_the_first_of_a_build_show_some(
    tmp_path: Path, asked: list[tuple[Any, ...]], failed: NodeResult
) -> None:
    """Each costs a query; the next build begins anew."""
    here = site(tmp_path)
    sample = sampler(here)
    assert [sample(failed).failing_rows for _ in range(25)] == [FOUND] * 20 + [None] * 5
    assert len(asked) == 20
    assert sampler(here)(failed).failing_rows == FOUND
