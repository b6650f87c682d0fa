"""What users may rely on."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.main import get_command

import goldsmith
from goldsmith.cli import app


def test_the_public_names_are_those_of_the_docs() -> None:
    """A new one is a promise, a missing one a broken promise."""
    specs = ["Ingest", "Pipeline", "Profile", "Retries"]
    assert goldsmith.__all__ == ["GoldsmithError", *specs, "build_dag", "build_dags"]
    for name in goldsmith.__all__:
        assert getattr(goldsmith, name).__name__ == name


def test_importing_the_package_imports_no_framework() -> None:
    """DAG files that only name a spec, and commands, are quick; with Airflow, they would also take its folders."""
    code = (
        "import sys, goldsmith, goldsmith.cli, goldsmith.spec.pipeline, goldsmith.plan.compile;"
        "import goldsmith.check, goldsmith.client.run, goldsmith.client.retry, goldsmith.client.node_log;"
        "print(sorted({'airflow', 'cosmos', 'dbt', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", sorted(get_command(app).commands))  # type: ignore[attr-defined]
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    """Help is where people look first."""
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    assert command.help
    assert f"goldsmith {name}" in command.epilog
