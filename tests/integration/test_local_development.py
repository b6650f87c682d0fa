"""Work with dbt alone, as a newcomer does it in a fresh clone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from goldsmith.stack.stack import Stack

pytestmark = pytest.mark.integration

PROGRAMS = Path(sys.executable).parent


@pytest.fixture
def fresh_clone(repository: Path, tmp_path: Path) -> Iterator[Path]:
    """What a clone holds: the files that git knows or would add, and nothing that was made from them."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True).stdout
    clone = tmp_path / "clone"
    for name in filter(None, listed.split("\0")):
        if (repository / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(repository / name, clone / name)
    yield clone
    Stack(root=clone).destroy()


def call(*command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a program of this environment as the developer `jane.doe`."""
    environment = {**os.environ, "USER": "jane.doe", "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


def test_up_warehouse_then_dbt_build_is_green(fresh_clone: Path) -> None:
    """`goldsmith up --warehouse`, `cd dbt_project`, `dbt build`: green, in schemas of the developer's own."""
    up = call("goldsmith", "up", "--warehouse", cwd=fresh_clone)
    assert up.returncode == 0, up.stderr
    build = call("dbt", "build", cwd=fresh_clone / "dbt_project")
    assert build.returncode == 0, build.stdout[-3000:]
    with psycopg.connect(Stack(root=fresh_clone).server.conninfo("warehouse")) as connection:
        found = connection.execute("select nspname from pg_namespace where nspname like 'jane%'")
        schemas = {name for (name,) in found}
        loaded = connection.execute("select count(*) from data_lake.transactions").fetchone()
    assert {f"jane_doe_{layer}" for layer in ("bronze", "silver", "gold", "marts")} <= schemas
    assert loaded
    assert loaded[0] > 4_000
    assert "PASSWORD" not in (fresh_clone / ".env").read_text()
    assert call("goldsmith", "down", cwd=fresh_clone).stdout.strip() == "Stopped."
