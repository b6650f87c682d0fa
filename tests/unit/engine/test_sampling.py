"""Which details get a sample of failing rows, and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.builders import dbt_target, plan_of
from tests.sites import StatedSite, site_of

from goldsmith.engine.sampling import Sampler
from goldsmith.results.record import FailingRows, NodeResult
from goldsmith.warehouse import choose

FOUND = FailingRows(columns=("id",), rows=(("1",),))


@dataclass
class Asked:
    """A warehouse that finds one row for each query, and what it was asked."""

    answers_beside_dbt: bool = True
    calls: list[tuple[list[str], int, float]] = field(default_factory=list)
    without: str = ""
    """The query that fails."""

    def sample_rows(self, queries: Sequence[str], *, limit: int, timeout: float) -> list[FailingRows | None]:
        """Rows."""
        self.calls.append((list(queries), limit, timeout))
        return [None if query == self.without else FOUND for query in queries]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """The warehouse of the connection `lake`."""
    made = Asked()
    monkeypatch.setattr(choose, "warehouse_of", lambda conn_id, _: {"lake": made}[conn_id])
    return made


@pytest.fixture
def failed(result: Callable[..., NodeResult]) -> NodeResult:
    """A test that failed."""
    return result(kind="test", status="fail", compiled_sql="select 1")


def sampler(folder: Path, *, failing_rows: int = 5) -> Sampler:
    """Of a task of a pipeline there."""
    target = dbt_target(folder, connection="lake")
    site: StatedSite = site_of(plan_of(()), folder, target=target, failing_rows=failing_rows)
    return Sampler(site=site, run_id="r1", task_id="silver.build")


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
    tmp_path: Path, asked: Asked, failed: NodeResult, differing: dict[str, Any], *, is_asked: bool
) -> None:
    """Others have none to show; all else stays as dbt said it."""
    told = replace(failed, **differing)
    made = sampler(tmp_path)
    assert made.now(told) == (replace(told, failing_rows=FOUND) if is_asked else told)
    assert asked.calls == ([(["select 1"], 5, 10.0)] if is_asked else [])
    assert made.at_last() == []


def test_a_pipeline_may_keep_none(tmp_path: Path, asked: Asked, failed: NodeResult) -> None:
    """Rows may be nobody's business."""
    assert sampler(tmp_path, failing_rows=0).now(failed) == failed
    assert asked.calls == []


@pytest.mark.parametrize("beside", [True, False])
def test_only_the_first_of_a_build_show_some(
    tmp_path: Path, asked: Asked, failed: NodeResult, *, beside: bool
) -> None:
    """Each costs a query; the next build begins anew."""
    asked.answers_beside_dbt = beside
    made = sampler(tmp_path)
    found = [made.now(failed) for _ in range(25)] + made.at_last()
    assert [str(one.failing_rows) for one in found].count(str(FOUND)) == 20
    assert len(asked.calls) == (20 if beside else 1)
    later = sampler(tmp_path)
    assert failed != [later.now(failed), *later.at_last()][-1]


def test_rows_wait_for_the_end_of_dbt_if_the_warehouse_cannot_be_asked_before(
    tmp_path: Path, asked: Asked, failed: NodeResult
) -> None:
    """The details do not; then all rows are asked for at once, and what has none is not told again."""
    asked.answers_beside_dbt = False
    made, other = sampler(tmp_path), replace(failed, unique_id="test.shop.other", compiled_sql="select 2")
    assert (made.now(failed), made.now(other), made.waits) == (failed, other, True)
    asked.without = "select 2"
    assert made.at_last() == [replace(failed, failing_rows=FOUND)]
    assert asked.calls == [(["select 1", "select 2"], 5, 10.0)]
    assert (made.at_last(), made.waits) == ([], False)
