"""docs/from-cosmos.md and `goldsmith init` know every setting of the Cosmos that is installed."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from cosmos.config import ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import (
    ExecutionMode,
    InvocationMode,
    LoadMode,
    SeedRenderingBehavior,
    SourceRenderingBehavior,
    TestBehavior,
    TestIndirectSelection,
)
from cosmos.converter import DbtToAirflowConverter
from cosmos.operators.base import AbstractDbtBase
from cosmos.operators.local import AbstractDbtLocalBase
from cosmos.operators.virtualenv import DbtVirtualenvBaseOperator
from cosmos.profiles import BaseProfileMapping

from goldsmith.adopt.cosmos_settings import NOTES, SILENT
from goldsmith.adopt.cosmos_spec import taken_settings

TEXT = (Path(__file__).parents[2] / "docs" / "from-cosmos.md").read_text(encoding="utf-8")
NOT_ARGUMENTS = {"self", "args", "kwargs"}
CONFIGS: dict[str, Callable[..., Any]] = {
    "ProjectConfig": ProjectConfig,
    "ProfileConfig": ProfileConfig,
    "RenderConfig": RenderConfig,
    "ExecutionConfig": ExecutionConfig,
    "profile_mapping": BaseProfileMapping.__init__,
}
OPERATORS = (
    AbstractDbtBase.__init__,
    AbstractDbtLocalBase.__init__,
    DbtVirtualenvBaseOperator.__init__,
)
# Read with others: a mapping and its arguments, and what Cosmos sets itself for each task.
READ_WITH_OTHERS = {"ProfileConfig.profile_mapping", "profile_mapping.profile_args", "operator_args.task_id"}
_QUOTED = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL))
WORDS = {word for text in _QUOTED for word in re.split(r"[^A-Za-z_]+", text)}


def arguments(function: Callable[..., Any]) -> set[str]:
    """Names of its arguments."""
    return {*inspect.signature(function).parameters} - NOT_ARGUMENTS


@pytest.mark.parametrize("config", CONFIGS)
def test_every_setting_of_a_config_is_in_the_page(config: str) -> None:
    """And has a key of the spec, or a sentence, in `goldsmith init`."""
    names = arguments(CONFIGS[config])
    assert names - WORDS == set()
    settings = {f"{config}.{name}" for name in names} - READ_WITH_OTHERS
    assert settings - {*NOTES, *SILENT, *taken_settings()} == set()


def test_every_argument_of_dags_and_operators_is_in_the_page() -> None:
    """`operator_args` reach all operators."""
    names = {name for function in OPERATORS for name in arguments(function)}
    assert (names | arguments(DbtToAirflowConverter.__init__)) - WORDS == set()
    settings = {f"operator_args.{name}" for name in names} - READ_WITH_OTHERS
    assert settings - {*NOTES, *taken_settings()} == set()


@pytest.mark.parametrize(
    "kind",
    [
        *(ExecutionMode, InvocationMode, LoadMode, TestBehavior, TestIndirectSelection),
        *(SourceRenderingBehavior, SeedRenderingBehavior),
    ],
)
def test_every_mode_is_in_the_page(kind: type[Enum]) -> None:
    """None may be forgotten when Cosmos has a new one."""
    assert {one.name for one in kind} - WORDS == set()


def test_no_sentence_is_about_a_setting_that_cosmos_no_longer_has() -> None:
    """Of its four configs; DAGs and operators take Airflow's arguments too."""
    known = {f"{config}.{name}" for config, one in CONFIGS.items() for name in arguments(one)}
    said = {name for name in (*NOTES, *SILENT) if name.partition(".")[0] in CONFIGS and "." in name}
    assert said - known == set()
