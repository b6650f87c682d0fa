"""Fixtures that several kinds of tests share."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from goldsmith import masking
from goldsmith.dbt.parse import make_manifest
from goldsmith.dbt.project import DbtProject, find_project
from goldsmith.results.record import NodeResult
from goldsmith.settings import Settings

# Before anything imports Airflow, which reads its configuration once and writes into its home.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="goldsmith-airflow-")
os.environ["AIRFLOW__COSMOS__ENABLE_DAG_VERSIONING"] = "False"

# Machines are shared: how long one example takes says nothing.
hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")

ROOT = Path(__file__).parents[1]
SHOP = ROOT / "tests" / "data" / "projects" / "shop"
_MADE_BY_DBT = shutil.ignore_patterns("target", "logs", "dbt_packages", ".user.yml")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own settings out of the tests."""
    for name in [key for key in os.environ if key.startswith(("GOLDSMITH_", "WAREHOUSE_", "AIRFLOW_CONN_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")


@pytest.fixture(autouse=True)
def _forgotten_secrets() -> Iterator[None]:
    """Let no test know the secrets of another one, which would be masked in what it reads."""
    yield
    masking._read_environment.cache_clear()
    if masking._known:
        masking._known.clear()
        masking._pattern = None
        if "airflow.sdk._shared.secrets_masker" in sys.modules:
            sys.modules["airflow.sdk._shared.secrets_masker"].reset_secrets_masker()


@pytest.fixture(scope="session")
def settings_for() -> Callable[[Path], Settings]:
    """Make the settings of a repository, as one of Airflow's processes would have them."""

    def make(root: Path) -> Settings:
        return Settings(
            root=root,
            dags_dir=root / "dags",
            dbt_project_dir=root / "dbt_project",
            state_dir=root / "state",
            plan_dir=root / "airflow",
            results_path=str(root / "results"),
            target="prod",
            is_scheduled=True,
            airflow=None,
        )

    return make


@pytest.fixture(scope="session")
def result() -> Callable[..., NodeResult]:
    """Make a record of a model; what is named differs."""

    def make(**differing: Any) -> NodeResult:
        values: dict[str, Any] = {
            "unique_id": "model.shop.orders",
            "task_id": "silver.orders.run",
            "kind": "model",
            "status": "success",
            "message": "SELECT 7",
            "invocation_id": "i-1",
            "command": "dbt build --select orders",
            "built_by": "silver.build",
            "started": "2026-11-20T13:00:00Z",
            "ended": "2026-11-20T13:00:02Z",
            "seconds": 2.0,
            "rows": 7,
            "failures": None,
            "relation": '"warehouse"."silver"."orders"',
            "materialized": "table",
            "lines": ("1 of 1 START", "1 of 1 OK"),
            "compiled_sql": "select 1 as id",
        }
        return NodeResult(**{**values, **differing})

    return make


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DbtProject]:
    r"""The small dbt project with its manifest, for all tests: one that runs dbt in it makes a copy.

    raw_orders (seed) -> stg_orders -> positive_orders (ephemeral) -> orders -> revenue v1, v2
                                   \-> customers -> customers_snapshot, revenue v2
    lake.currencies (source, freshness) -> stg_currencies -> regions            notes (in no layer)
    """
    with _parsed(SHOP, tmp_path_factory.mktemp("shop") / "dbt_project") as project:
        yield project


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DbtProject]:
    """The repository's own dbt project with its manifest, for all tests: one that runs dbt in it makes a copy."""
    with _parsed(ROOT / "dbt_project", tmp_path_factory.mktemp("sample") / "dbt_project") as project:
        yield project


@pytest.fixture(scope="session")
def copied() -> Callable[[DbtProject, Path], DbtProject]:
    """Copy a parsed project, without the plans that other tests have made of it."""

    def copy(project: DbtProject, folder: Path) -> DbtProject:
        return find_project(
            shutil.copytree(project.path, folder, ignore=shutil.ignore_patterns("goldsmith_plan_*", "logs"))
        )

    return copy


@contextmanager
def _parsed(source: Path, copy: Path) -> Iterator[DbtProject]:
    """Copy a dbt project without what dbt made in it, and parse the copy with target prod."""
    shutil.copytree(source, copy, ignore=_MADE_BY_DBT)
    project = find_project(copy)
    warehouse = {"WAREHOUSE_HOST": "localhost", "WAREHOUSE_USER": "nobody", "WAREHOUSE_DATABASE": "warehouse"}
    made = make_manifest(project, target="prod", env={**os.environ, **warehouse}).stat().st_mtime_ns
    yield project
    assert project.manifest_path.stat().st_mtime_ns == made, f"a test changed {project.manifest_path}"
