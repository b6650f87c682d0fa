"""The command as a person calls it: exit codes and what is said, without a server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from goldsmith.cli import app

PROJECT = "name: shop\nprofile: shop\n"
DAG = "from goldsmith import Pipeline, build_dag\nfirst = build_dag(Pipeline(name={name!r}))\n"


def goldsmith(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Call the command."""
    return subprocess.run(
        [sys.executable, "-m", "goldsmith.cli", *arguments],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def repository_of_two(tmp_path: Path) -> Path:
    """A repository with the pipelines `orders` and `returns`."""
    (tmp_path / "dbt_project").mkdir()
    (tmp_path / "dbt_project" / "dbt_project.yml").write_text(PROJECT)
    (tmp_path / "dags").mkdir()
    for name in ("orders", "returns"):
        (tmp_path / "dags" / f"{name}.py").write_text(DAG.format(name=name))
    return tmp_path


def test_every_command_shows_an_example() -> None:
    """`--help` of each command ends with a line to copy."""
    names = [
        command.name or command.callback.__name__ for command in app.registered_commands if command.callback
    ]
    assert {"run", "retry", "up", "down", "status", "logs", "deps", "sample"} <= set(names)
    for name in names:
        shown = CliRunner().invoke(app, [name, "--help"])
        assert f"Example: goldsmith {name}" in shown.output


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["run", "order"], 2, "No pipeline is called 'order'. Nearest: orders."),
        (["run"], 2, "There are 2 pipelines: orders, returns."),
        (["retry", "stg_orders", "--pipeline", "orders"], 3, "Start it: goldsmith up"),
        (["status"], 3, ""),
        (["deps"], 2, "packages.yml does not exist"),
    ],
)
def test_a_mistake_ends_with_a_message_and_a_code(
    repository_of_two: Path, arguments: list[str], exit_code: int, said: str
) -> None:
    """Usage and configuration end with 2, the environment with 3; stderr says why, without a traceback."""
    done = goldsmith(*arguments, cwd=repository_of_two)
    assert done.returncode == exit_code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_outside_a_project_the_hint_says_how_to_name_one(tmp_path: Path) -> None:
    """Without a dbt project above the current folder the command says where it looked."""
    done = goldsmith("run", cwd=tmp_path)
    assert done.returncode == 2
    assert str(tmp_path) in done.stderr
    assert "GOLDSMITH_DBT_PROJECT_DIR" in done.stderr


def test_json_is_one_document_also_for_an_error(repository_of_two: Path) -> None:
    """With --json, stdout holds one JSON document whatever happens."""
    done = goldsmith("run", "nope", "--json", cwd=repository_of_two)
    assert done.returncode == 2
    assert json.loads(done.stdout)["exit_code"] == 2


def test_a_named_airflow_that_is_not_there_is_an_environment_problem(repository_of_two: Path) -> None:
    """A URL that nobody answers ends with 3 and names the URL; no local stack is started."""
    url = "http://127.0.0.1:1"
    done = goldsmith("run", "orders", cwd=repository_of_two, GOLDSMITH_AIRFLOW_URL=url)
    assert done.returncode == 3
    assert url in done.stderr
    assert not (repository_of_two / ".goldsmith").exists()
