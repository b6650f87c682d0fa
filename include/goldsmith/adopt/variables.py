"""Variables that a dbt project reads and that nobody has set: named all at once, before dbt stops at the first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from goldsmith.dbt.environment import settings_of
from goldsmith.dbt.project import DbtProject
from goldsmith.spec.yaml_file import read_yaml

_ENV_VAR = re.compile(r"\benv_var\(\s*['\"](\w+)['\"]\s*\)")
_VAR = re.compile(r"(?<![\w.])var\(\s*['\"]([\w.]+)['\"]\s*\)")
# dbt renders what stands in a comment of SQL too.
_COMMENT = re.compile(r"\{#.*?#\}|^\s*#[^\n]*$", re.DOTALL | re.MULTILINE)
_READ = {".sql", ".yml", ".yaml"}


def unset_environment(project: DbtProject) -> dict[str, str]:
    """Environment variables without a default that are not set.

    Returns:
        Variable to the first file that reads it, from the project's folder.
    """
    known = settings_of(project.path)
    return {name: file for name, file in _first_files(project, _ENV_VAR) if name not in known}


def unset_vars(project: DbtProject, given: Iterable[str] = ()) -> dict[str, str]:
    """dbt variables without a default that neither dbt_project.yml nor the spec sets.

    Args:
        project: The dbt project.
        given: Names that the spec sets.

    Returns:
        As `unset_environment`. dbt may not need them all: those in a branch that it does not take.
    """
    known = {*given, *_own_vars(project)}
    return {name: file for name, file in _first_files(project, _VAR) if name.rpartition(".")[2] not in known}


def _first_files(project: DbtProject, pattern: re.Pattern[str]) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for path in sorted(project.sources()):
        if path.suffix not in _READ or not path.is_file():
            continue
        text = _COMMENT.sub("", path.read_text(encoding="utf-8", errors="replace"))
        for name in pattern.findall(text):
            if name not in seen:
                seen.add(name)
                yield name, _shown(path, project.path)


def _shown(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _own_vars(project: DbtProject) -> Iterator[str]:
    """Names of the variables in dbt_project.yml and vars.yml, those for single packages among them."""
    for name in ("dbt_project.yml", "vars.yml"):
        found = _mapping(project.path / name).get("vars")
        for key, value in found.items() if isinstance(found, Mapping) else ():
            yield str(key)
            if isinstance(value, Mapping):
                yield from map(str, value)


def _mapping(file: Path) -> Mapping[str, Any]:
    try:
        found = read_yaml(file.read_text(encoding="utf-8"), is_strict=False)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}  # dbt says what is wrong with it
    return found if isinstance(found, Mapping) else {}
