"""Which warehouse a pipeline is to use: the project's profiles.yml, or an Airflow connection that means the same."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from goldsmith.adopt.connection import SameConnection, same_connection
from goldsmith.adopt.cosmos_found import FromCosmos
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


def choose_warehouse(
    project: DbtProject,
    found: Repository,
    connection: str | None,
    cosmos: FromCosmos,
    *,
    others: Iterable[Warehouse] = (),
) -> Warehouse:
    """Choose the warehouse of a project.

    Args:
        project: The dbt project.
        found: The folder.
        connection: An Airflow connection to use in place of the profiles.yml.
        cosmos: What DAGs of Cosmos that run the project say.
        others: The warehouses of other projects: a connection of theirs that means another one keeps its name.

    Raises:
        ProjectError: The profile needs an adapter that is not installed, or a variable that is not set.
    """
    named = cosmos.keys.get("profile", {}).get("file")
    file = found.root / named if named else profiles_file(project, dbt_environment(project.path))
    target, outputs = outputs_of(project, file)
    if cosmos.keys.get("target") in outputs:
        target = cosmos.keys["target"]
    output, of_cosmos = outputs.get(target, {}), connection or cosmos.keys.get("connection")
    if not outputs or not isinstance(output, Mapping):
        return _by_connection(project, connection, cosmos, adapter_of(cosmos.mapping))
    adapter = str(output.get("type", "postgres"))
    if of_cosmos is None and file.is_relative_to(found.root):
        _check(project, file, target, output)
        keys, text = (
            _by_file(found, file, target, outputs),
            f"{found.shown(file)}, target {target} ({adapter})",
        )
        return Warehouse(keys=keys, adapter=adapter, text=text, same=same_connection(output, USUAL))
    if of_cosmos is None:
        connection = _free_connection(project, output, others)
    same = same_connection(output, of_cosmos or connection or USUAL)
    if same is None and "connection" not in cosmos.keys:
        raise ProjectError(
            f"{file} has the adapter {adapter}, for which there is no Airflow connection.",
            hint=f"cp {file} {project.path}/ (without secrets in it), then again: goldsmith init",
        )
    return _by_connection(project, connection, cosmos, adapter, output=output, same=same)


def _free_connection(
    project: DbtProject, output: Mapping[str, Any], others: Iterable[Warehouse]
) -> str | None:
    """A name of its own for the connection of a project, if another project's has the usual one and means another."""
    usual = same_connection(output, USUAL)
    is_taken = usual and any(one.same and one.same.is_other_than(usual) for one in others)
    return f"{USUAL}_{project.name.lower()}" if is_taken else None


def adapter_of(mapping: str) -> str:
    """The dbt adapter of a profile mapping of Cosmos.

    Args:
        mapping: Name of its class; empty if it is not known, which means PostgreSQL.
    """
    if not mapping:
        return "postgres"
    with contextlib.redirect_stdout(sys.stderr):  # Airflow and Cosmos log to stdout while they are imported
        import cosmos.profiles

    return str(getattr(getattr(cosmos.profiles, mapping, None), "dbt_profile_type", "postgres"))


def _by_file(found: Repository, file: Path, target: str, outputs: Mapping[str, Any]) -> dict[str, Any]:
    keys: dict[str, Any] = {"target": target, "profile": {"file": found.shown(file)}}
    if target != PROD and PROD in outputs:
        keys["environments"] = {PROD: {"target": PROD}}
    return keys


def _by_connection(
    project: DbtProject,
    connection: str | None,
    cosmos: FromCosmos,
    adapter: str,
    *,
    output: Mapping[str, Any] = MappingProxyType({}),
    same: SameConnection | None = None,
) -> Warehouse:
    name = connection or cosmos.keys.get("connection", USUAL)
    profile = _profile(output, same, cosmos)
    defined = settings_of(project.path)
    keys: dict[str, Any] = {"connection": name, **({"profile": profile} if profile else {})}
    if "connection" in cosmos.keys and "target" in cosmos.keys:
        keys["target"] = cosmos.keys["target"]
    text = f"the Airflow connection {name} ({adapter})"
    is_embedded = adapter == "postgres" and not output
    if is_embedded and connection is None and name != USUAL and _variable(name) not in defined:
        # It is in Airflow's database or secrets, which are not here.
        keys |= {"connection": USUAL, "environments": {PROD: {"connection": name}}}
        text = f"on this machine the embedded PostgreSQL; with GOLDSMITH_ENVIRONMENT={PROD} {text}"
    elif name == USUAL and adapter == "postgres" and _variable(name) not in defined:
        text += ", on this machine the embedded PostgreSQL"
    return Warehouse(keys=keys, adapter=adapter, text=text, same=same)


def _variable(connection: str) -> str:
    return f"AIRFLOW_CONN_{connection.upper()}"


def _profile(output: Mapping[str, Any], same: SameConnection | None, cosmos: FromCosmos) -> dict[str, Any]:
    """What goes beside the connection: that of a DAG of Cosmos before that of a profiles.yml."""
    of_cosmos = dict(cosmos.keys.get("profile", {}))
    of_cosmos.pop("file", None)
    profile = {key: output[key] for key in ("schema", "threads") if _is_plain(output.get(key))} | of_cosmos
    extra = {key: value for key, value in (same.extra if same else {}).items() if _is_plain(value)}
    extra |= of_cosmos.get("extra", {})
    return {**profile, **({"extra": extra} if extra else {})}


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
