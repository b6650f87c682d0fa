"""`goldsmith new`: the files of one more pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from goldsmith.cli import app
from goldsmith.dag_files import read_dag_files
from goldsmith.errors import ConfigurationError, EnvironmentProblem, ProjectError, SpecError

LOADER = '"""Airflow DAGs."""\nfrom goldsmith import build_dags\nglobals().update(build_dags("pipelines"))\n'


@pytest.fixture
def repository_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a dbt project and no pipeline; commands run there."""
    (tmp_path / "dbt_project").mkdir()
    (tmp_path / "dbt_project" / "dbt_project.yml").write_text("name: shop\n")
    (tmp_path / "dags").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(tmp_path / "dags"))  # or Airflow's, if it is loaded
    return tmp_path


def called(*arguments: str) -> Result:
    """`goldsmith new` with arguments."""
    return CliRunner().invoke(app, ["new", *arguments])


def test_a_spec_and_a_dag_file(repository_of_one: Path) -> None:
    """With the schema for editors beside it; a second call writes nothing."""
    done = called("finance")
    assert done.exit_code == 0, done.output
    dags = repository_of_one / "dags"
    assert sorted(str(path.relative_to(dags)) for path in dags.rglob("*.*")) == [
        *("finance.py", "pipelines/finance.yml", "pipelines/pipeline.schema.json")
    ]
    assert (
        (dags / "pipelines" / "finance.yml")
        .read_text()
        .startswith("# yaml-language-server: $schema=pipeline.schema")
    )
    found = read_dag_files(dags)
    assert (list(found.pipelines), found.broken) == (["finance"], ())
    assert found.pipelines["finance"][0].schedule == "@daily"
    assert isinstance(called("finance").exception, ConfigurationError)


def test_a_folder_that_is_loaded_needs_no_dag_file(repository_of_one: Path) -> None:
    """One loader for all specs."""
    dags = repository_of_one / "dags"
    (dags / "pipelines").mkdir()
    (dags / "pipelines" / "first.yml").write_text("{}")
    (dags / "all.py").write_text(LOADER)
    assert called("second").exit_code == 0
    assert not (dags / "second.py").exists()
    assert sorted(read_dag_files(dags).pipelines) == ["first", "second"]


def test_everything_in_one_file(repository_of_one: Path) -> None:
    """For those who prefer Python."""
    (repository_of_one / "transform").mkdir()
    (repository_of_one / "transform" / "dbt_project.yml").write_text("name: transform\n")
    assert called("finance", "--python", "--project", "transform").exit_code == 0
    dags = repository_of_one / "dags"
    assert [path.name for path in dags.iterdir()] == ["finance.py"]
    spec, _ = read_dag_files(dags).pipelines["finance"]
    assert (spec.name, spec.project) == ("finance", "transform")


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (("Finance-1",), SpecError, "'Finance-1' is not a name"),
        (("finance", "--project", "nowhere"), ProjectError, "No dbt project at"),
        (("theirs",), ConfigurationError, "theirs.py exists"),
    ],
)
def test_what_cannot_be_is_said_and_nothing_is_written(
    repository_of_one: Path, arguments: tuple[str, ...], error: type[Exception], said: str
) -> None:
    """A file that is there stays as it is."""
    (repository_of_one / "dags" / "theirs.py").write_text("mine = 1\n")
    done = called(*arguments)
    assert isinstance(done.exception, error)
    assert said in str(done.exception)
    assert [path.name for path in (repository_of_one / "dags").rglob("*")] == ["theirs.py"]


def test_a_folder_that_cannot_be_written_is_said(repository_of_one: Path) -> None:
    """A file stands in its place."""
    (repository_of_one / "dags" / "pipelines").write_text("")
    done = called("finance")
    assert isinstance(done.exception, EnvironmentProblem)
    assert "cannot be written" in str(done.exception)
