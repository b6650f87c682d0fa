"""What is said about a pipeline without Airflow."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.builders import plan_of

from goldsmith.check.pipeline import Planned, without_airflow
from goldsmith.dbt.project import DbtProject
from goldsmith.plan.network import Network
from goldsmith.settings import Settings, settings
from goldsmith.spec.pipeline import Pipeline

EMPTY = plan_of((), unknown_kinds=("index (2)",))


def test_types_that_nobody_builds_are_named(tmp_path: Path, settings_for: Callable[[Path], Settings]) -> None:
    """They are in the project, and no task is theirs."""
    spec = Pipeline(name="shop", report=None)
    project = DbtProject(path=tmp_path, name="shop", profile="shop")
    one = Planned(spec=spec, file=tmp_path / "shop.py", project=project, plan=EMPTY)
    [_, found] = without_airflow(one, Network([]), settings_for(tmp_path))
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
    [_, *found] = without_airflow(one, Network([]), settings_for(tmp_path))
    assert {finding.status for finding in found} <= {"ok"}
    assert [finding.text[: len(said)] for finding, said in zip(found, expected, strict=True)] == expected


@pytest.mark.parametrize(
    ("version", "made_by", "expected"),
    [
        ("1.12.6", "1.12.0", ("ok", "is dbt 1.12.6", "")),
        ("1.11.16", "1.11.16", ("ok", "is dbt 1.11.16; without `on_error: continue` of a model: dbt", "")),
        (
            *("1.11.16", "1.12.0"),
            ("warn", "is dbt 1.11.16, and the manifest was made by dbt 1.12.0", "goldsmith manifest shop"),
        ),
        (
            "1.10.2",
            "1.12.0",
            ("fail", "is dbt 1.10.2; Goldsmith runs dbt 1.11 and 1.12.", "In the environment"),
        ),
    ],
)
def test_the_dbt_that_runs_is_named_with_what_it_lacks(
    tmp_path: Path,
    version: str,
    made_by: str,
    expected: tuple[str, str, str],
) -> None:
    """And whether the manifest is another one's."""
    (tmp_path / f"lib/python3.12/site-packages/dbt_core-{version}.dist-info").mkdir(parents=True)
    executable = tmp_path / "bin" / "dbt"
    executable.parent.mkdir()
    executable.write_text(f"#!{sys.executable}\nfrom dbt.cli.main import cli\n")
    executable.chmod(0o755)
    spec = Pipeline(name="shop", report=None, dbt=str(executable))
    project = DbtProject(path=tmp_path, name="shop", profile="shop")
    one = Planned(
        spec=spec, file=tmp_path / "shop.py", project=project, plan=plan_of((), dbt_version=made_by)
    )
    [found] = without_airflow(one, Network([]), settings())
    status, said, hint = expected
    assert (found.subject, found.status) == ("shop: dbt", status)
    assert found.text.startswith(f"{executable} {said}")
    assert found.hint.startswith(hint)
