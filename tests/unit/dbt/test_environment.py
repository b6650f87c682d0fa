"""What becomes of dbt's own variables in the commands that are started here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from goldsmith.dbt.environment import (
    HONOURED,
    OVERRIDDEN,
    REFUSED,
    dbt_environment,
    environment,
    excluded_types,
    overridden,
    without_options,
)
from goldsmith.errors import ConfigurationError

PREFIXES = ("DBT_", "DBT_ENGINE_")
SECRETS = {"DBT_ENV_SECRET_TOKEN": "s", "DBT_ENV_CUSTOM_ENV_TEAM": "t", "PATH": "/bin"}


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("name", sorted(OVERRIDDEN))
def test_what_something_else_decides_does_not_reach_dbt(name: str, prefix: str, tmp_path: Path) -> None:
    """Under both spellings; the project's folder is what it is."""
    found = dbt_environment(tmp_path, {**SECRETS, f"{prefix}{name}": "x"})
    assert found.get(f"{prefix}{name}", "") == (str(tmp_path) if name == "PROJECT_DIR" else "")
    assert found.items() >= SECRETS.items()
    assert overridden({f"{prefix}{name}": "x"}) == (f"{prefix}{name} ({OVERRIDDEN[name]})",)


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_would_build_something_else_is_refused_by_name(name: str, prefix: str, tmp_path: Path) -> None:
    """Not where it is switched off, nor in commands that build nothing."""
    with pytest.raises(ConfigurationError, match=f"{prefix}{name}=1"):
        dbt_environment(tmp_path, {f"{prefix}{name}": "1"})
    for given, refuses in (("false", True), ("0", True), ("", True), ("1", False)):
        found = dbt_environment(tmp_path, {f"{prefix}{name}": given}, refuses=refuses)
        assert not found.get(f"{prefix}{name}")


@pytest.mark.parametrize("name", sorted(HONOURED - {"SEND_ANONYMOUS_USAGE_STATS"}))
def test_everything_else_passes(name: str, tmp_path: Path) -> None:
    """dbt takes it as on a command line without that option."""
    assert dbt_environment(tmp_path, {f"DBT_{name}": "1"})[f"DBT_{name}"] == "1"
    assert without_options({f"DBT_{name}": "1", **SECRETS}) == SECRETS


def test_the_file_that_dbt_reads_by_itself_is_no_way_around(tmp_path: Path) -> None:
    """dbt fills what is not set from the first `.env` upwards."""
    project = tmp_path / "project"
    project.mkdir()
    file = tmp_path / ".env"
    file.write_text("# ours\nexport DBT_STATE='x'\nWAREHOUSE_HOST=db\nDBT_QUIET = 1\n")
    found = dbt_environment(project, {})
    assert (found["DBT_STATE"], found["DBT_QUIET"]) == ("", "")
    # A dbt that was loaded before, or runs in a copy of the project, does not find the file.
    assert found["WAREHOUSE_HOST"] == "db"
    assert dbt_environment(project, {"WAREHOUSE_HOST": "mine"})["WAREHOUSE_HOST"] == "mine"
    file.write_text('DBT_ENGINE_EMPTY="true"\n')
    with pytest.raises(ConfigurationError, match="DBT_ENGINE_EMPTY=true"):
        dbt_environment(project, {})
    assert not dbt_environment(project, {"DBT_ENGINE_EMPTY": "false"}).get("DBT_ENGINE_EMPTY")


def test_an_environment_for_a_while_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """dbt in this process may add to it."""
    monkeypatch.setenv("DBT_QUIET", "1")
    before = dict(os.environ)
    with environment({"PATH": before["PATH"], "NEW": "x"}):
        assert "DBT_QUIET" not in os.environ
        os.environ["LEFT"] = "y"
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        ({}, ()),
        ({"DBT_EXCLUDE_RESOURCE_TYPES": "unit_test"}, ("unit_test",)),
        ({"DBT_ENGINE_EXCLUDE_RESOURCE_TYPES": "unit_test seed,exposure"}, ("seed", "unit_test")),
        ({"DBT_RESOURCE_TYPES": "model seed"}, ("snapshot", "test", "unit_test", "function")),
        ({"DBT_RESOURCE_TYPES": "all", "DBT_EXCLUDE_RESOURCE_TYPES": "test"}, ("test",)),
    ],
)
def test_types_that_dbt_leaves_out_are_left_out_of_the_plan(
    env: dict[str, str], expected: tuple[str, ...]
) -> None:
    """Of those that a pipeline runs."""
    assert excluded_types(env) == expected
