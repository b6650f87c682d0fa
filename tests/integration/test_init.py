"""`goldsmith init` as a person calls it, in a dbt repository without an Airflow: from the clone to a green run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.integration.test_cli import goldsmith
from tests.layouts.build import write
from tests.layouts.known import LAYOUTS

pytestmark = pytest.mark.integration

LAYOUT = LAYOUTS["dbt repository"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The repository; its Airflow is stopped in the end."""
    folder = write(LAYOUT.files, tmp_path_factory.mktemp("clone") / "shop")
    yield folder
    goldsmith("down", cwd=folder)


def texts(root: Path) -> dict[str, str]:
    """Path to text of all files but those of dbt and of the local stack."""
    found = {path.relative_to(root): path for path in root.rglob("*") if path.is_file()}
    made = ("target", "logs", ".goldsmith")
    return {str(short): path.read_text() for short, path in found.items() if short.parts[0] not in made}


def test_two_commands_after_the_clone_a_run_is_green(root: Path, tmp_path: Path) -> None:
    """What is shown is written, Airflow can import it, a second call writes nothing, and the run needs nothing more."""
    call = partial(goldsmith, cwd=root, HOME=str(tmp_path), COLUMNS="200")
    before = texts(root)
    said = json.loads(call("init", "--dry-run", "--json").stdout)
    assert said["pipelines"][0]["layers"] == {
        name: [f"path:models/{name}/"] for name in ("staging", "intermediate", "marts")
    }
    files = {one["path"]: one["action"] for one in said["files"]}
    assert files == {
        "dags/pipelines/shop.yml": "write",
        "dags/pipelines/pipeline.schema.json": "write",
        "dags/shop.py": "write",
        ".gitignore": "add",
    }
    assert texts(root) == before
    done = call("init", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-4:] == [
        "Wrote 4 files. Airflow can import shop.",
        "Next:",
        "  goldsmith plan shop",
        "  goldsmith run shop",
    ]
    again = call("init", "--yes")
    assert again.returncode == 0, again.stderr
    assert "Nothing to write: everything is there." in again.stdout
    after = texts(root)
    assert {*after} - {*before} == {path for path, action in files.items() if action == "write"}
    assert all(after[path].startswith(text) for path, text in before.items())
    done = call("run", "shop", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["state"] == "success"


def test_variables_that_dbt_does_not_need_are_named_and_stop_nothing(tmp_path: Path) -> None:
    """Those of a macro that nobody calls, of a branch and of a text; what dbt does need is named with them, at once."""
    root = write(LAYOUT.files, tmp_path / "shop")
    (root / "macros").mkdir(exist_ok=True)
    (root / "macros" / "grant.sql").write_text("{% macro grant() %}{{ env_var('GRANT_ROLE') }}{% endmacro %}")
    call = partial(goldsmith, "init", "--dry-run", "--json", cwd=root, HOME=str(tmp_path), COLUMNS="200")
    [said] = json.loads(call().stdout)["pipelines"]
    assert said["unset_environment"] == {"GRANT_ROLE": "macros/grant.sql"}
    (root / "models" / "staging" / "needs.sql").write_text("select '{{ env_var(\"NEEDED\") }}' as id")
    done = call()
    assert done.returncode == 2
    said = json.loads(done.stdout)
    assert "Env var required but not provided: 'NEEDED'" in said["error"]
    assert said["error"].endswith(
        "Environment variables that are not set: GRANT_ROLE (in macros/grant.sql), "
        "NEEDED (in models/staging/needs.sql)."
    )
    assert said["hint"] == "export GRANT_ROLE=... (and so on), then again: goldsmith init"


def test_a_connection_without_a_port_and_a_file_of_somebody_elses(tmp_path: Path) -> None:
    """PostgreSQL's usual port is meant; a file where the spec would be is left alone: the pipeline has another name."""
    root = write(LAYOUT.files, tmp_path / "shop")
    foreign = root / "dags" / "pipelines" / "shop.yml"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("stages: [build, test]\n")
    connection = {
        "conn_type": "postgres",
        "host": "db.example.com",
        "login": "dbt",
        "password": "x",
        "schema": "a",
    }
    done = goldsmith(
        "init",
        "--dry-run",
        "--json",
        cwd=root,
        HOME=str(tmp_path),
        AIRFLOW_CONN_WAREHOUSE=json.dumps(connection),
    )
    assert done.returncode == 0, done.stderr
    [said] = json.loads(done.stdout)["pipelines"]
    assert said["name"] == "shop_goldsmith"


def test_a_folder_that_is_named_from_elsewhere(tmp_path: Path) -> None:
    """The project lies beside the Airflow; a second call knows the pipeline, and both lead into the folder."""
    write(LAYOUT.files, tmp_path / "transform")
    airflow = tmp_path / "airflow"
    (airflow / "dags").mkdir(parents=True)
    (airflow / "Dockerfile").write_text("FROM apache/airflow:3.3.2\n")
    call = partial(
        goldsmith, "init", "airflow", "--project", "../transform", "--yes", cwd=tmp_path, HOME=str(tmp_path)
    )
    done = call()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-4:] == [
        "Next:",
        "  cd airflow",
        "  goldsmith plan shop",
        "  goldsmith run shop",
    ]
    assert "project: ../transform" in (airflow / "dags" / "pipelines" / "shop.yml").read_text()
    again = call()
    assert "shop runs this dbt project already." in again.stdout, again.stdout + again.stderr
    assert "Nothing to write: everything is there." in again.stdout
