"""The examples run as their pages say."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.test_cli import goldsmith

pytestmark = [pytest.mark.full, pytest.mark.integration]


@pytest.fixture
def example(repository: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the example with the sample's project and raw files; its Airflow is stopped in the end."""
    for name in ("examples", "dbt_project", "include/sample_data"):
        left_out = shutil.ignore_patterns(".goldsmith", "target", "logs")
        shutil.copytree(repository / name, tmp_path / name, ignore=left_out)
    folder = tmp_path / "examples" / "one_file_per_table"
    yield folder
    goldsmith("down", cwd=folder)


def test_one_small_file_per_table(example: Path) -> None:
    """Each of the three loads its table, and builds and tests its model."""
    assert goldsmith("plan", "--all", cwd=example).stdout.count("load_") == 3
    for name in ("customers", "products", "exchange_rates"):
        done = goldsmith("run", f"load_{name}", cwd=example)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"load_{name}: success" in done.stdout
