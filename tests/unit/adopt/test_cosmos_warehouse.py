"""The warehouse of a project that a DAG of Cosmos runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.layouts.build import DUCKDB, project, write

from goldsmith.adopt.cosmos_dags import read_cosmos_dags
from goldsmith.adopt.cosmos_found import FromCosmos, from_cosmos
from goldsmith.adopt.look import look_at
from goldsmith.adopt.warehouse import Warehouse, choose_warehouse
from goldsmith.dbt.project import find_project

DAG = """\
from cosmos import DbtDag, ExecutionConfig, ProfileConfig, ProjectConfig
from cosmos.profiles import *
DbtDag(
    dag_id="shop",
    project_config=ProjectConfig("/usr/local/airflow/dbt/shop"),
    execution_config=ExecutionConfig(dbt_executable_path="{dbt}"),
    profile_config=ProfileConfig(profile_name="other", target_name="dev", {profile}),
)
"""
MAPPING = 'profile_mapping={name}ProfileMapping(conn_id="shop_db", profile_args={{"schema": "core"}})'


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Far from any profile of the machine."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DBT_PROFILES_DIR", raising=False)


def chosen(
    root: Path, profile: str, *, profiles: str = "", dbt: str = "dbt", connection: str | None = None
) -> tuple[FromCosmos, Warehouse]:
    """What is taken from a DAG with this profile, in a repository with or without a profiles.yml."""
    files = project("staging/a", place="dbt/shop", profiles=profiles)
    write({**files, "dags/a.py": DAG.format(profile=profile, dbt=dbt)}, root)
    here = find_project(root / "dbt" / "shop")
    cosmos = from_cosmos(read_cosmos_dags(root / "dags"), here.path, root, is_only=True)
    cosmos.fit(here, root)
    return cosmos, choose_warehouse(here, look_at(root), connection, cosmos)


def test_a_connection_that_is_defined_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the pipeline's, with what the DAG has beside it."""
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", "postgres://db")
    _, found = chosen(tmp_path, MAPPING.format(name="PostgresUserPassword"))
    assert found.keys == {"connection": "shop_db", "profile": {"schema": "core"}, "target": "dev"}
    assert found.text == "the Airflow connection shop_db (postgres)"


def test_a_connection_that_only_airflow_has(tmp_path: Path) -> None:
    """This machine has the embedded PostgreSQL, and the environment `prod` the connection."""
    _, found = chosen(tmp_path, MAPPING.format(name="PostgresUserPassword"))
    assert found.keys == {
        "connection": "warehouse",
        "profile": {"schema": "core"},
        "target": "dev",
        "environments": {"prod": {"connection": "shop_db"}},
    }
    assert found.text.startswith("on this machine the embedded PostgreSQL; with GOLDSMITH_ENVIRONMENT=prod")


def test_a_connection_of_another_warehouse(tmp_path: Path) -> None:
    """No PostgreSQL stands for it; its adapter is known by the mapping."""
    _, found = chosen(tmp_path, MAPPING.format(name="DatabricksToken"))
    assert found.keys == {"connection": "shop_db", "profile": {"schema": "core"}, "target": "dev"}
    assert found.adapter == "databricks"


def test_the_command_line_goes_before_the_dag(tmp_path: Path) -> None:
    """As with a profiles.yml."""
    _, found = chosen(tmp_path, MAPPING.format(name="PostgresUserPassword"), connection="mine")
    assert found.keys == {"connection": "mine", "profile": {"schema": "core"}, "target": "dev"}


def test_a_connection_beside_a_profiles_yml(tmp_path: Path) -> None:
    """The DAG's is the pipeline's, and what the file says is printed as the connection."""
    _, found = chosen(tmp_path, MAPPING.format(name="DuckDBUserPassword"), profiles=DUCKDB)
    assert found.keys == {
        "connection": "shop_db",
        "profile": {"schema": "core", "threads": 2},
        "target": "dev",
    }
    assert found.same is not None
    assert found.same.line.startswith("export AIRFLOW_CONN_SHOP_DB=")


def test_a_profiles_yml_of_the_dag(tmp_path: Path) -> None:
    """Found in the repository by its path in the image; dbt_project.yml names the profile."""
    path = 'profiles_yml_filepath="/usr/local/airflow/dbt/shop/profiles.yml"'
    cosmos, found = chosen(tmp_path, path, profiles=DUCKDB, dbt="/nowhere/bin/dbt")
    assert found.keys == {"target": "dev", "profile": {"file": "dbt/shop/profiles.yml"}}
    assert "dbt" not in cosmos.keys
    assert cosmos.values.notes == {
        "ExecutionConfig.dbt_executable_path": (
            "/nowhere/bin/dbt is not on this machine; if Airflow's image has it, set GOLDSMITH_DBT there."
        ),
        "ProfileConfig.profile_name": "The profile is the one that dbt_project.yml names: shop.",
    }


def test_nothing_of_airflow_and_cosmos_goes_to_stdout() -> None:
    """It is one JSON document with `--json`, and both log while they are imported."""
    code = (
        "from goldsmith.adopt.warehouse import adapter_of; print(adapter_of('DatabricksTokenProfileMapping'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "databricks\n"
