"""The project's own `flags`, as far as they decide how its commands are started; docs/environment.md has the table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from goldsmith.dbt.environment import is_true, option, settings_of
from goldsmith.spec.yaml_file import read_yaml

NO_MATCH = "NoNodesForSelectionCriteria"
"""dbt's warning that a selection matches nothing, which would be a success."""

_SPELLINGS = {"error": "include", "warn": "exclude", "silence": "silence"}
"""dbt's keys of `warn_error_options`, and their older names."""


def project_flags(project_dir: Path) -> dict[str, Any]:
    """The `flags` in dbt_project.yml; dbt itself reports a file that it cannot read."""
    try:
        document = read_yaml((project_dir / "dbt_project.yml").read_text(encoding="utf-8"), is_strict=False)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    flags = document.get("flags") if isinstance(document, dict) else None
    return flags if isinstance(flags, dict) else {}


def fails_fast(project_dir: Path, env: Mapping[str, str] | None = None) -> bool:
    """Whether the project, or a variable, asks dbt to stop at the first node that fails."""
    asked = option("FAIL_FAST", settings_of(project_dir, env))
    return is_true(asked) if asked is not None else bool(project_flags(project_dir).get("fail_fast"))


def warn_error_arguments(project_dir: Path, env: Mapping[str, str] | None = None) -> list[str]:
    """What the command line says about warnings, so that one about an empty selection is an error.

    The options on a command line replace those of the project and of the environment, so they are merged here. dbt
    takes no options beside `warn_error`, whoever sets it: then nothing is said, and with `warn_error: true` nothing has
    to be.

    Args:
        project_dir: The dbt project.
        env: The environment of the command; default is that of this process.
    """
    flags, settings = project_flags(project_dir), settings_of(project_dir, env)
    if flags.get("warn_error") is not None or option("WARN_ERROR", settings) is not None:
        return []
    given = option("WARN_ERROR_OPTIONS", settings)
    asked = _mapping(given) if given is not None else flags.get("warn_error_options")
    if asked is None or isinstance(asked, dict):
        return ["--warn-error-options", json.dumps(_with_no_match(asked or {}))]
    return [] if given is None else ["--warn-error-options", given]  # dbt says what is wrong with it


def _mapping(text: str) -> Any:
    try:
        return read_yaml(text, is_strict=False)
    except yaml.YAMLError:
        return text


def _with_no_match(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The options with the warning about an empty selection among the errors."""
    if any(asked.get(key) and asked.get(old) for key, old in _SPELLINGS.items() if key != old):
        return dict(asked)  # dbt refuses both spellings at once, and says so
    found = {key: asked.get(key) or asked.get(old) or [] for key, old in _SPELLINGS.items()}
    unknown = {key: value for key, value in asked.items() if key not in {*_SPELLINGS, *_SPELLINGS.values()}}
    for key in ("warn", "silence"):
        if isinstance(found[key], list):
            found[key] = [name for name in found[key] if name != NO_MATCH]
    if isinstance(found["error"], list):
        found["error"] = [*dict.fromkeys([*found["error"], NO_MATCH])]
    return {**{key: value for key, value in found.items() if value}, **unknown}
