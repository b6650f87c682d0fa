"""The profiles.yml of a dbt project's author: whether dbt can parse with it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from goldsmith.dbt.environment import option
from goldsmith.dbt.executable import dbt_executable, is_of_this_environment
from goldsmith.dbt.project import DbtProject, rendered
from goldsmith.errors import ProjectError
from goldsmith.spec.yaml_file import read_yaml

FILE = "profiles.yml"
_NEEDED = re.compile(r"env_var\(\s*['\"](\w+)['\"]\s*\)")


def profiles_file(project: DbtProject, env: Mapping[str, str]) -> Path:
    """The profiles.yml that dbt reads in a project's folder, whether it exists or not."""
    if named := option("PROFILES_DIR", env):
        return project.path / named / FILE
    beside = project.path / FILE
    return beside if beside.is_file() else Path(env.get("HOME") or "~").expanduser() / ".dbt" / FILE


def outputs_of(project: DbtProject, file: Path) -> tuple[str, Mapping[str, Any]]:
    """The outputs of a project's profile.

    Args:
        project: The dbt project.
        file: The profiles.yml.

    Returns:
        The name of the output that dbt takes by default, and name to output; both empty if there are none.
    """
    try:
        profiles = read_yaml(file.read_text(encoding="utf-8"), is_strict=False)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return "", {}  # dbt says what is wrong with it
    profile = profiles.get(project.profile) if isinstance(profiles, dict) else None
    outputs = profile.get("outputs") if isinstance(profile, dict) else None
    if not isinstance(profile, dict) or not isinstance(outputs, dict) or not outputs:
        return "", {}
    usual = str(profile.get("target", "default"))
    try:
        usual = rendered(usual, "target", file)
    except ProjectError:  # a variable that is not set
        usual = ""
    return usual if usual in outputs else next(iter(outputs)), outputs


def lacks(project: DbtProject, *, target: str, env: Mapping[str, str]) -> str:
    """What the author's profiles.yml lacks for a target; empty if dbt can parse with it.

    Args:
        project: The dbt project.
        target: dbt target.
        env: Environment of the dbt command.
    """
    file = profiles_file(project, env)
    if not file.is_file():
        return f"there is no {file}"
    try:
        profiles = read_yaml(file.read_text(encoding="utf-8"), is_strict=False)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return ""  # dbt says what is wrong with it
    profile = profiles.get(project.profile) if isinstance(profiles, dict) else None
    if not isinstance(profile, dict):
        return f"{file} has no profile {project.profile!r}"
    outputs = profile.get("outputs")
    if not isinstance(outputs, dict) or target not in outputs:
        return f"the profile {project.profile!r} in {file} has no target {target!r}"
    kind = outputs[target].get("type") if isinstance(outputs[target], dict) else None
    if isinstance(kind, str) and not has_adapter(kind, project.dbt):
        return f"the adapter dbt-{kind} of the profile {project.profile!r} in {file} is not installed"
    known = {*env, *_dotenv_names(project.path)}
    missing = sorted({name for name in needed_variables(outputs[target]) if name not in known})
    return f"{file} needs the environment variable {missing[0]}, which is not set" if missing else ""


def has_adapter(kind: str, dbt: str) -> bool:
    """Whether dbt finds an adapter; assumed if dbt does not belong to this environment, or only dbt knows the name."""
    if "{" in kind or not is_of_this_environment(dbt_executable(dbt)):
        return True
    return any(Path(folder, "dbt", "adapters", kind).is_dir() for folder in sys.path)


def needed_variables(value: Any) -> Iterator[str]:
    """The environment variables without a default in the texts of an output."""
    if isinstance(value, dict):
        for one in value.values():
            yield from needed_variables(one)
    elif isinstance(value, str):
        yield from _NEEDED.findall(value)


def _dotenv_names(start: Path) -> Iterator[str]:
    """Names in the `.env` that dbt loads: the nearest one, from the project's folder upwards."""
    for folder in (start, *start.parents):
        file = folder / ".env"
        if file.is_file():
            lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            yield from (
                line.removeprefix("export ").split("=", 1)[0].strip() for line in lines if "=" in line
            )
            return
