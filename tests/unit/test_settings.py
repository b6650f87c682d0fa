"""Where the project is found, and what is said when it is not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from goldsmith.errors import ProjectError
from goldsmith.settings import settings


@pytest.fixture(autouse=True)
def _outside_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at the folders as the command line does."""
    monkeypatch.setattr("goldsmith.settings.airflow_dags_dir", lambda: None)
    monkeypatch.setattr("sys.modules", {k: v for k, v in sys.modules.items() if k != "airflow.configuration"})


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a dbt project and a folder inside it."""
    (tmp_path / "dbt_project" / "models").mkdir(parents=True)
    (tmp_path / "dbt_project" / "dbt_project.yml").touch()
    return tmp_path


@pytest.mark.parametrize("inside", [".", "dbt_project", "dbt_project/models"])
def test_the_root_is_found_from_any_folder_in_it(
    repository: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    """People call the command where they happen to be."""
    monkeypatch.chdir(repository / inside)
    here = settings()
    assert (here.root, here.dbt_project_dir) == (repository, repository / "dbt_project")
    assert (here.dags_dir, here.state_dir) == (repository / "dags", repository / ".goldsmith")


@pytest.mark.parametrize("inside", [".", "transform", "transform/models", "data/dbt"])
def test_the_root_is_where_the_dag_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: str
) -> None:
    """A project may have any name and depth: the spec names it, and is read later."""
    for folder in ("dags", "transform/models", "data/dbt"):
        (tmp_path / folder).mkdir(parents=True)
    for folder in ("transform", "data/dbt"):
        (tmp_path / folder / "dbt_project.yml").write_text("name: shop\n")
    (tmp_path / "dags" / "shop.py").write_text("from goldsmith import build_dag\n")
    monkeypatch.chdir(tmp_path / inside)
    assert settings().root == tmp_path


def test_outside_any_project_the_error_says_where_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And how to name one."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ProjectError, match=str(tmp_path)) as caught:
        settings()
    assert "GOLDSMITH_DBT_PROJECT_DIR" in caught.value.hint


def test_a_named_airflow_keeps_its_password_out_of_sight(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A settings object ends up in logs and tracebacks."""
    monkeypatch.chdir(repository)
    monkeypatch.setenv("GOLDSMITH_AIRFLOW_URL", "https://airflow.example.com/")
    monkeypatch.setenv("GOLDSMITH_AIRFLOW_PASSWORD", "hunter2")
    monkeypatch.setenv("GOLDSMITH_AIRFLOW_TOKEN", "token-1")
    here = settings()
    assert here.airflow is not None
    assert (here.airflow.url, here.airflow.password) == ("https://airflow.example.com", "hunter2")
    assert "hunter2" not in repr(here)
    assert "token-1" not in repr(here)


def test_empty_variables_count_as_not_set(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty state folder would be the current one; an account without a home has no ~/airflow."""
    monkeypatch.chdir(repository)
    empty = ("GOLDSMITH_STATE_DIR", "GOLDSMITH_TARGET", "GOLDSMITH_RESULTS_PATH", "AIRFLOW_HOME", "HOME")
    for name in empty:
        monkeypatch.setenv(name, "")
    here = settings()
    assert (here.state_dir, here.target) == (repository / ".goldsmith", "prod")
    assert here.plan_dir == repository / ".goldsmith" / "airflow"
    assert here.results_path == str(here.plan_dir / "goldsmith_results")
