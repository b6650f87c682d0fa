"""Airflow without dbt in its environment: deploy/requirements-slim.txt adds all that Goldsmith needs there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from goldsmith.dbt.project import DbtProject

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
FULL = ROOT / "deploy" / "requirements-full.txt"
SLIM = ROOT / "deploy" / "requirements-slim.txt"
IS_CI = bool(os.environ.get("GOLDSMITH_CI"))  # read before a fixture clears our variables

BUILD = """
import importlib.util
from airflow.dag_processing.dagbag import DagBag
import goldsmith.pipeline
absent = [name for name in ("dbt", "elementary", "boto3", "slack_sdk") if importlib.util.find_spec(name)]
bag = DagBag()
print(absent, bag.import_errors, {name: len(dag.tasks) > 100 for name, dag in bag.dags.items()})
"""


def _install(venv: Path, *arguments: str) -> None:
    """Install with uv: from its cache, which knows all packages on a machine that has synced, else from the index."""
    command = ["uv", "pip", "install", "--quiet", "--python", str(venv / "bin" / "python"), *arguments]
    for mode in ("--offline", ""):
        done = subprocess.run(
            [*command, *filter(None, [mode])], cwd=ROOT, check=False, capture_output=True, text=True
        )
        if done.returncode == 0:
            return
    if "Failed to fetch" in done.stderr and not IS_CI:
        pytest.skip("no package index in reach")
    pytest.fail(done.stderr)


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Airflow as its users have it, Goldsmith, and no dbt."""
    folder = tmp_path_factory.mktemp("apart")
    venv, held = folder / "venv", folder / "held.txt"
    pins = re.findall(r"^[a-z0-9._-]+==[^\\\n]+", FULL.read_text(encoding="utf-8"), flags=re.MULTILINE)
    held.write_text("\n".join(pins), encoding="utf-8")
    subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, str(venv)], check=True)
    _install(venv, "apache-airflow", "--constraint", str(held))
    _install(venv, "--no-deps", "--requirement", str(SLIM))
    _install(venv, "--no-deps", "--editable", str(ROOT))
    return venv


@pytest.fixture
def env(venv: Path, sample: DbtProject, tmp_path: Path) -> dict[str, str]:
    """The environment of a process there, without any dbt of this machine on its PATH."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    return {
        **kept,
        "PATH": f"{venv / 'bin'}:/usr/bin:/bin",
        "AIRFLOW_HOME": str(tmp_path),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "GOLDSMITH_DBT_PROJECT_DIR": str(sample.path),
    }


def test_nothing_but_dbt_and_elementary_is_missing(venv: Path) -> None:
    """Of all that the metadata of all packages ask for."""
    done = subprocess.run(
        ["uv", "pip", "check", "--python", str(venv / "bin" / "python")],
        check=False,
        capture_output=True,
        text=True,
    )
    missing = set(re.findall(r"^The package `(\S+)` requires `([a-z-]+)", done.stderr, flags=re.MULTILINE))
    dbt = {"dbt-core", "dbt-postgres", "dbt-databricks", "elementary-data"}
    assert missing == {("goldsmith", name) for name in dbt}, done.stderr


def test_airflow_builds_the_dag_of_a_manifest(env: dict[str, str], venv: Path) -> None:
    """Of the sample, whose manifest dbt has made elsewhere."""
    done = subprocess.run(
        [venv / "bin" / "python", "-c", BUILD], env=env, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[] {} {'customer_transactions': True}"


def test_the_commands_show_the_plan(env: dict[str, str], venv: Path) -> None:
    """And their help."""
    for arguments, said in (("--help", "Usage: goldsmith"), ("plan", "gold.gate  gate")):
        done = subprocess.run(
            [venv / "bin" / "goldsmith", arguments], env=env, check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert said in done.stdout
