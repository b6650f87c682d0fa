"""Fixtures of the long tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def installed(tmp_path: Path) -> Callable[..., str]:
    """Make an environment with these packages, and give its `dbt`."""

    def install(*requirements: str) -> str:
        folder = tmp_path / "dbt"
        subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
        python = str(folder / "bin" / "python")
        subprocess.run(["uv", "pip", "install", "--quiet", "--python", python, *requirements], check=True)
        return str(folder / "bin" / "dbt")

    return install
