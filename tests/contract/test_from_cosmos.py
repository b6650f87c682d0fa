"""docs/from-cosmos.md names every setting of the Cosmos that is installed."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest
from cosmos import ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import ExecutionMode
from cosmos.converter import DbtToAirflowConverter

PAGE = Path(__file__).parents[2] / "docs" / "from-cosmos.md"
PARTS = {"Arguments of DbtDag": DbtToAirflowConverter}
PARTS |= {one.__name__: one for one in (ProjectConfig, ProfileConfig, RenderConfig, ExecutionConfig)}
OTHERS = {"project_config", "profile_config", "execution_config", "render_config", "args", "kwargs", "self"}


def part(name: str) -> str:
    """A section of the page."""
    return PAGE.read_text(encoding="utf-8").split(f"### {name}")[1].split("\n### ")[0]


@pytest.mark.parametrize("name", PARTS)
def test_every_setting_is_named_where_it_belongs(name: str) -> None:
    """A new version of Cosmos may have more, and people look here for what becomes of them."""
    settings = set(inspect.signature(PARTS[name].__init__).parameters) - OTHERS
    assert settings - set(re.findall(r"`(\w+)`", part(name))) == set()


def test_every_execution_mode_is_named() -> None:
    """By its value, as people write it in YAML, or close to it."""
    text = part("ExecutionConfig")
    assert [mode.value for mode in ExecutionMode if not re.search(rf"\b{mode.value}\b", text)] == []
