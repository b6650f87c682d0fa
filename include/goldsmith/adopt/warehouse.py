"""Which warehouse a pipeline is to use: the project's profiles.yml, or an Airflow connection that means the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from goldsmith.adopt.connection import SameConnection, same_connection
from goldsmith.adopt.look import Repository
from goldsmith.dbt.environment import dbt_environment, settings_of
from goldsmith.dbt.profiles_yml import has_adapter, needed_variables, outputs_of, profiles_file
from goldsmith.dbt.project import DbtProject
from goldsmith.errors import ProjectError
from goldsmith.spec.run import PROD

USUAL = "warehouse"
"""The Airflow connection that is the embedded PostgreSQL on a laptop, if nobody defines it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Warehouse:
    """The keys of the spec that say which warehouse it is, and what a person has to know."""

    keys: Mapping[str, Any] = field(default_factory=dict)
    adapter: str
    """Type of the dbt adapter."""
    text: str
    """In one sentence."""
    same: SameConnection | None = None
    """The Airflow connection for where profiles.yml is not."""


def choose_warehouse(project: DbtProject, found: Repository, connection: str | None) -> Warehouse:
    """Choose the warehouse of a project.

    Args:
        project: The dbt project.
        found: The folder.
        connection: An Airflow connection to use in place of the profiles.yml.

    Raises:
        ProjectError: The profile needs an adapter that is not installed, or a variable that is not set.
    """
    file = profiles_file(project, dbt_environment(project.path))
    target, outputs = outputs_of(project, file)
    output = outputs.get(target, {})
    adapter = str(output.get("type", "postgres")) if isinstance(output, Mapping) else "postgres"
    if not outputs or not isinstance(output, Mapping):
        return _by_connection(project, connection or USUAL, "postgres")
    if connection is None and file.is_relative_to(found.root):
        _check(project, file, target, output)
        return Warehouse(
            keys=_by_file(found, file, target, outputs),
            adapter=adapter,
            text=f"{found.shown(file)}, target {target} ({adapter})",
            same=same_connection(output, USUAL),
        )
    same = same_connection(output, connection or USUAL)
    if same is None:
        raise ProjectError(
            f"{file} has the adapter {adapter}, for which there is no Airflow connection.",
            hint=f"cp {file} {project.path}/ (without secrets in it), then again: goldsmith init",
        )
    return _by_connection(project, connection or USUAL, adapter, output, same)


def _by_file(found: Repository, file: Path, target: str, outputs: Mapping[str, Any]) -> dict[str, Any]:
    keys: dict[str, Any] = {"target": target, "profile": {"file": found.shown(file)}}
    if target != PROD and PROD in outputs:
        keys["environments"] = {PROD: {"target": PROD}}
    return keys


def _by_connection(
    project: DbtProject,
    name: str,
    adapter: str,
    output: Mapping[str, Any] = MappingProxyType({}),
    same: SameConnection | None = None,
) -> Warehouse:
    profile = {key: output[key] for key in ("schema", "threads") if _is_plain(output.get(key))}
    extra = {key: value for key, value in (same.extra if same else {}).items() if _is_plain(value)}
    keys: dict[str, Any] = {"connection": name}
    if profile or extra:
        keys["profile"] = {**profile, **({"extra": extra} if extra else {})}
    is_defined = f"AIRFLOW_CONN_{name.upper()}" in settings_of(project.path)
    is_embedded = name == USUAL and adapter == "postgres" and not is_defined
    where = ", on this machine the embedded PostgreSQL" if is_embedded else ""
    return Warehouse(
        keys=keys, adapter=adapter, text=f"the Airflow connection {name} ({adapter}){where}", same=same
    )


def _is_plain(value: Any) -> bool:
    return isinstance(value, int | bool) or (isinstance(value, str) and value != "" and "{" not in value)


def _check(project: DbtProject, file: Path, target: str, output: Mapping[str, Any]) -> None:
    """Refuse an output that dbt cannot use here."""
    adapter = str(output.get("type"))
    if not has_adapter(adapter, project.dbt):
        raise ProjectError(
            f"The target {target} in {file} needs the adapter dbt-{adapter}, which is not installed.",
            hint=f"pip install dbt-{adapter}",
        )
    known = settings_of(project.path)
    missing = [name for name in dict.fromkeys(needed_variables(dict(output))) if name not in known]
    if missing:
        raise ProjectError(
            f"The target {target} in {file} needs {', '.join(missing)} in the environment; not set.",
            hint=f"export {missing[0]}=... (and so on), or use an Airflow connection: goldsmith init --connection "
            f"{USUAL}",
        )
