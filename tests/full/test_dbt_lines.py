"""The sample, from raw files to the marts, with each dbt that Goldsmith runs: in an environment of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.test_cli import goldsmith

from goldsmith.dbt.versions import is_same_line, usable_dbt

pytestmark = [pytest.mark.full, pytest.mark.integration]


@pytest.fixture
def clone(repository: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the files that a clone of the repository has, whose Airflow is stopped in the end."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=repository, capture_output=True, text=True, check=True
    )
    root = tmp_path / "clone"
    for name in filter(None, listed.stdout.split("\0")):
        if (repository / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(repository / name, root / name)
    yield root
    goldsmith("down", cwd=root)


@pytest.mark.parametrize("line", ["1.11", "1.12"])
def test_the_sample_runs(clone: Path, installed: Callable[..., str], line: str) -> None:
    """Every node of it is built; manifest and check name that dbt."""
    dbt = installed(f"dbt-core=={line}.*", "dbt-postgres")
    version = usable_dbt(dbt)
    assert is_same_line(version, f"{line}.0")
    done = goldsmith("run", "--json", cwd=clone, GOLDSMITH_DBT=dbt)
    assert done.returncode == 0, done.stdout + done.stderr
    ended = json.loads(done.stdout)
    assert (ended["state"], ended["failures"]) == ("success", [])
    manifest = json.loads((clone / "dbt_project" / "target" / "manifest.json").read_text())
    assert manifest["metadata"]["dbt_version"] == version
    checked = goldsmith("check", "--no-connections", cwd=clone, GOLDSMITH_DBT=dbt)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"is dbt {version}" in " ".join(checked.stdout.split())
