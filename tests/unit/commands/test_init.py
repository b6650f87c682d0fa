"""`goldsmith init`: what it refuses, and what it makes of an empty folder; dbt is not asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.layouts.build import POSTGRES, project, write
from typer.testing import CliRunner, Result

from goldsmith.adopt.files import Change
from goldsmith.adopt.files import write as write_changes
from goldsmith.cli import app
from goldsmith.errors import ConfigurationError, EnvironmentProblem, GoldsmithError, ProjectError


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, far from any profile of the machine."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("AIRFLOW__CORE__DAGS_FOLDER", raising=False)
    folder = tmp_path / "repository"
    folder.mkdir()
    return folder


def called(root: Path, *arguments: str) -> Result:
    """`goldsmith init` with arguments."""
    return CliRunner().invoke(app, ["init", str(root), *arguments])


def refused(root: Path, *arguments: str) -> GoldsmithError:
    """The mistake, by which nothing is written."""
    before = sorted(root.rglob("*"))
    error = called(root, "--yes", *arguments).exception
    assert isinstance(error, GoldsmithError), error
    assert error.hint
    assert sorted(root.rglob("*")) == before
    return error


def test_a_folder_without_a_dbt_project(root: Path) -> None:
    """It may be anything; only an empty one gets a project."""
    write({"README.md": "mine\n", "target/dbt_project.yml": "name: old\n"}, root)
    error = refused(root)
    assert isinstance(error, ProjectError)
    assert error.message == f"No dbt project: no dbt_project.yml in {root} or up to 4 folders below."
    assert error.hint.startswith("Name its folder: goldsmith init --project FOLDER.")
    assert "There is no folder" in refused(root / "nowhere").message


def test_several_projects_and_none_chosen(root: Path) -> None:
    """All are named, without those that tools and packages have there."""
    for place in ("warehouse", "transform", "transform/dbt_packages/utils", ".venv/x", "node_modules/y"):
        write(project("a", place=place), root)
    error = refused(root)
    assert error.message == "There are 2 dbt projects: transform, warehouse."
    assert error.hint == "Name one, or several: goldsmith init --project transform"
    error = refused(root, "--project", "elsewhere")
    assert "elsewhere/dbt_project.yml does not exist" in error.message
    assert error.hint == "dbt projects here: transform, warehouse"


def test_variables_of_the_target_that_are_not_set(root: Path) -> None:
    """All of them at once, with the way around."""
    write(project("a", profiles=POSTGRES), root)
    error = refused(root)
    assert error.message.endswith("profiles.yml needs SHOP_HOST, SHOP_USER in the environment; not set.")
    assert "goldsmith init --connection warehouse" in error.hint


def test_a_folder_beside_the_airflow_is_no_place_for_dag_files(root: Path) -> None:
    """The command names the folder with the Airflow, and the project from there."""
    write(project("a", place="transform"), root)
    (root / "airflow" / "dags").mkdir(parents=True)
    (root / "airflow" / "Dockerfile").write_text("FROM apache/airflow:3.3.2\n")
    error = refused(root)
    assert error.message == (
        f"An Airflow is in airflow: it reads DAG files in {root / 'airflow' / 'dags'}, and not in {root / 'dags'}."
    )
    assert error.hint.endswith("airflow --project ../transform")


def test_an_adapter_that_is_not_installed(root: Path) -> None:
    """The command that installs it."""
    write(project("a", profiles="{profile}:\n  outputs:\n    prod: {{type: nobodys}}\n"), root)
    error = refused(root)
    assert "needs the adapter dbt-nobodys, which is not installed" in error.message
    assert error.hint == "pip install dbt-nobodys"


def test_a_name_that_is_taken(root: Path) -> None:
    """By another DAG, or by its file."""
    write({**project("a"), "dags/old.py": 'from airflow.sdk import DAG\nDAG("shop_daily")\n'}, root)
    for name in ("old", "shop_daily"):
        error = refused(root, "--name", name)
        assert isinstance(error, ConfigurationError)
        assert error.hint == f"Choose another name: goldsmith init --name {name}_goldsmith"


def test_a_folder_that_cannot_be_written(root: Path) -> None:
    """Known before the first file is written."""
    (root / "dags").touch()
    changes = [Change(path=root / path, text="", why="") for path in ("first", "dags/shop.py")]
    with pytest.raises(EnvironmentProblem) as caught:
        write_changes(changes)
    assert (
        caught.value.message == f"{root / 'dags' / 'shop.py'} cannot be written: {root / 'dags'} is no folder"
    )
    assert caught.value.hint == f"Check its permissions: ls -ld {root / 'dags'}"
    assert not (root / "first").exists()


def test_nobody_can_be_asked(root: Path) -> None:
    """A program says `--yes`."""
    error = called(root).exception
    assert isinstance(error, ConfigurationError)
    assert error.hint == "The same command again, with --yes."
    assert not list(root.iterdir())


def test_an_empty_folder_would_get_a_project_of_five_models(root: Path) -> None:
    """Hidden files are no content: a new repository of git is empty."""
    (root / ".git").mkdir()
    done = called(root, "--dry-run", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    paths = [one["path"] for one in said["files"]]
    assert sum(path.startswith("dbt_project/models/") and path.endswith(".sql") for path in paths) == 5
    assert {"dags/shop.py", "dags/pipelines/shop.yml", ".gitignore"} < {*paths}
    assert (said["written"], said["next"]) == (
        False,
        [f"cd {os.path.relpath(root)}", "goldsmith plan shop", "goldsmith run shop"],
    )
    assert [path.name for path in root.iterdir()] == [".git"]


def test_a_mistake_is_a_document_too(root: Path) -> None:
    """One on stdout."""
    (root / "file").touch()
    done = subprocess.run(
        [sys.executable, "-m", "goldsmith.cli", "init", str(root), "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    said = json.loads(done.stdout)
    assert (done.returncode, said["exit_code"]) == (2, 2)
    assert said["error"].startswith("No dbt project")
