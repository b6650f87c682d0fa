"""What is said about a pipeline without Airflow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.builders import plan_of

from goldsmith.check.pipeline import Planned, without_airflow
from goldsmith.dbt.project import DbtProject
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline

EMPTY = plan_of((), unknown_kinds=("index (2)",))


def test_types_that_nobody_builds_are_named(tmp_path: Path, settings_for: Callable[[Path], Settings]) -> None:
    """They are in the project, and no task is theirs."""
    spec = Pipeline(name="shop", report=None)
    project = DbtProject(path=tmp_path, name="shop", profile="shop")
    one = Planned(spec=spec, file=tmp_path / "shop.py", project=project, plan=EMPTY)
    [found] = without_airflow(one, [spec], settings_for(tmp_path))
    assert (found.subject, found.status) == ("shop: types", "warn")
    assert "index (2)" in found.text


@pytest.mark.parametrize(
    ("adapter", "pool", "expected"),
    [
        ("postgres", None, []),
        ("", None, []),
        ("snowflake", None, ["in snowflake Goldsmith cannot keep the verdicts of gates; keep two runs"]),
        ("duckdb", "files", ["in duckdb Goldsmith cannot"]),
        ("duckdb", None, ["in duckdb Goldsmith cannot", "a duckdb file belongs to one process"]),
    ],
)
def test_what_cannot_be_done_in_the_warehouse_is_named(
    tmp_path: Path,
    settings_for: Callable[[Path], Settings],
    adapter: str,
    pool: str | None,
    expected: list[str],
) -> None:
    """It is no fault."""
    spec = Pipeline(name="shop", report=None, pool=pool)
    project = DbtProject(path=tmp_path, name="shop", profile="shop")
    one = Planned(spec=spec, file=tmp_path / "shop.py", project=project, plan=plan_of((), adapter=adapter))
    found = list(without_airflow(one, [spec], settings_for(tmp_path)))
    assert {finding.status for finding in found} <= {"ok"}
    assert [finding.text[: len(said)] for finding, said in zip(found, expected, strict=True)] == expected
