"""The project's flags, and what is made of those that decide what a failure is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from goldsmith.dbt.flags import NO_MATCH, fails_fast, project_flags, warn_error_arguments


def project(folder: Path, **flags: Any) -> Path:
    """A dbt project with these flags."""
    (folder / "dbt_project.yml").write_text(yaml.safe_dump({"name": "shop", "flags": flags}))
    return folder


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (None, {"error": [NO_MATCH]}),
        ({"error": ["LogTestResult"]}, {"error": ["LogTestResult", NO_MATCH]}),
        ({"error": "all", "warn": [NO_MATCH, "Deprecations"]}, {"error": "all", "warn": ["Deprecations"]}),
        ({"error": "*", "silence": [NO_MATCH]}, {"error": "*"}),
        ({"include": ["LogTestResult"]}, {"error": ["LogTestResult", NO_MATCH]}),
        ({"include": "all", "exclude": [NO_MATCH, "X"]}, {"error": "all", "warn": ["X"]}),
        ({"error": None, "silence": ["X"]}, {"silence": ["X"], "error": [NO_MATCH]}),
        ({"error": ["X"], "include": ["Y"]}, {"error": ["X"], "include": ["Y"]}),
    ],
)
@pytest.mark.parametrize("by", ["project", "variable", "engine variable"])
def test_what_is_an_error_is_merged(tmp_path: Path, by: str, asked: Any, expected: Any) -> None:
    """In both spellings, wherever it is written; dbt itself refuses both at once."""
    folder = project(tmp_path, **({"warn_error_options": asked} if by == "project" else {}))
    name = "DBT_ENGINE_WARN_ERROR_OPTIONS" if by == "engine variable" else "DBT_WARN_ERROR_OPTIONS"
    env = {} if by == "project" or asked is None else {name: json.dumps(asked)}
    option, value = warn_error_arguments(folder, env)
    assert option == "--warn-error-options"
    assert json.loads(value) == expected


@pytest.mark.parametrize("is_set", [True, False])
def test_nothing_is_said_beside_warn_error(tmp_path: Path, *, is_set: bool) -> None:
    """dbt takes no options with it, wherever it is written and whatever it says."""
    assert warn_error_arguments(project(tmp_path, warn_error=is_set), {}) == []
    assert warn_error_arguments(project(tmp_path), {"DBT_WARN_ERROR": str(is_set)}) == []


def test_a_variable_goes_before_the_project(tmp_path: Path) -> None:
    """As in dbt; its newer name before the older one."""
    fast = project(tmp_path, fail_fast=True)
    assert fails_fast(fast, {})
    assert not fails_fast(fast, {"DBT_FAIL_FAST": "0"})
    assert fails_fast(project(tmp_path), {"DBT_ENGINE_FAIL_FAST": "true", "DBT_FAIL_FAST": "0"})
    assert not fails_fast(project(tmp_path), {})


def test_what_dbt_reads_in_a_file_counts_too(tmp_path: Path) -> None:
    """`.env`, in the project or above it; the environment goes before it."""
    folder = tmp_path / "project"
    folder.mkdir()
    project(folder, fail_fast=False, warn_error_options={"error": ["X"]})
    file = tmp_path / ".env"
    file.write_text('DBT_FAIL_FAST=1\nDBT_WARN_ERROR_OPTIONS={"error": ["Y"]}\n')
    assert fails_fast(folder, {})
    assert not fails_fast(folder, {"DBT_FAIL_FAST": "0"})
    assert json.loads(warn_error_arguments(folder, {})[1]) == {"error": ["Y", NO_MATCH]}
    file.write_text("export DBT_WARN_ERROR=true\n")
    assert warn_error_arguments(folder, {}) == []


@pytest.mark.parametrize("text", ["name: shop", "flags: 1", "[", "name: shop\nflags:"])
def test_a_project_without_flags_has_none(tmp_path: Path, text: str) -> None:
    """dbt says what is wrong with a file."""
    (tmp_path / "dbt_project.yml").write_text(text)
    assert project_flags(tmp_path) == {}
    assert project_flags(tmp_path / "gone") == {}
