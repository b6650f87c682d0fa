"""Every option that dbt takes from a variable, and every flag of a project, has a place in our tables."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from goldsmith.dbt.environment import HONOURED, OVERRIDDEN, REFUSED

_ASK = """
import json, dataclasses, dbt.cli.main
from dbt.cli.params import KNOWN_ENV_VARS
from dbt.contracts.project import ProjectFlags
print(json.dumps([[one.name for one in KNOWN_ENV_VARS], [one.name for one in dataclasses.fields(ProjectFlags)]]))
"""


@pytest.fixture(scope="module")
def known() -> tuple[set[str], set[str]]:
    """The variables and flags of the installed dbt; another process, for nothing of ours imports it."""
    done = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, check=True)
    variables, flags = json.loads(done.stdout.splitlines()[-1])
    return {name.removeprefix("DBT_ENGINE_") for name in variables}, set(flags)


def test_every_variable_has_its_place(known: tuple[set[str], set[str]], repository: Path) -> None:
    """One place; and the page for readers names it."""
    page = (repository / "docs" / "environment.md").read_text()
    variables = known[0]
    assert variables <= {*REFUSED, *OVERRIDDEN, *HONOURED}
    assert not HONOURED & {*REFUSED, *OVERRIDDEN}
    assert not REFUSED.keys() & OVERRIDDEN.keys()
    assert sorted(one for one in (*REFUSED, *OVERRIDDEN, *HONOURED) if f"`{one}`" not in page) == []


def test_every_flag_has_its_place(known: tuple[set[str], set[str]], repository: Path) -> None:
    """The page says of each what becomes of it; the switches for old behaviour are dbt's alone."""
    page = (repository / "docs" / "environment.md").read_text()
    assert sorted(one for one in known[1] if f"`{one}`" not in page) == []
