"""What the isolated engine asks of dbt."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from goldsmith.dbt.flags import warn_error_arguments
from goldsmith.dbt.project import DbtProject, dbt_executable
from goldsmith.engine.isolated.engine import DBT_FLAGS

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("command", ["run", "test", "seed", "snapshot"])
def test_a_node_that_dbt_does_not_find_fails_its_task(
    shop: DbtProject, copied: Callable[[DbtProject, Path], DbtProject], tmp_path: Path, command: str
) -> None:
    """dbt alone ends with success when there is nothing to do: a node that is gone would be green."""
    project = copied(shop, tmp_path / "dbt_project")
    strict = warn_error_arguments(project.path, {})
    dbt = [dbt_executable(), *DBT_FLAGS, *strict, command, "--select", "fqn:shop.gone"]
    done = subprocess.run(dbt, cwd=project.path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "fqn:shop.gone" in done.stdout
