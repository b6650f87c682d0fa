"""What is said about a pipeline without Airflow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
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
    ("adapter", "pool", "is_local", "expected"),
    [
        ("postgres", None, False, {}),
        ("", None, False, {}),
        (
            "snowflake",
            None,
            False,
            {"ok": "in snowflake Goldsmith cannot keep the verdicts of gates; keep two runs"},
        ),
        ("duckdb", "files", False, {"ok": "in duckdb Goldsmith cannot"}),
        ("duckdb", None, True, {"ok": "in duckdb Goldsmith cannot"}),
        (
            "duckdb",
            None,
            False,
            {"ok": "in duckdb Goldsmith cannot", "warn": "a duckdb file belongs to one process"},
        ),
    ],
)
def test_what_cannot_be_done_in_the_warehouse_is_named(
    tmp_path: Path,
    settings_for: Callable[[Path], Settings],
    adapter: str,
    pool: str | None,
    *,
    is_local: bool,
    expected: dict[str, str],
) -> None:
    """It is no fault; tasks that would be in each other's way are one."""
    spec = Pipeline(name="shop", report=None, pool=pool)
    project = DbtProject(path=tmp_path, name="shop", profile="shop")
    one = Planned(spec=spec, file=tmp_path / "shop.py", project=project, plan=plan_of((), adapter=adapter))
    here = replace(settings_for(tmp_path), embedded="warehouse" if is_local else None)
    found = {finding.status: finding.text for finding in without_airflow(one, [spec], here)}
    assert {status: text[: len(expected[status])] for status, text in found.items()} == expected
