"""dbt's profile from an Airflow connection, or from a profiles.yml that the pipeline names.

Cosmos has a mapping for every kind of connection; it writes a profiles.yml that names environment variables
in place of secrets, and hands the secrets to dbt as those variables. The connection is read when a task runs,
never while a DAG file is parsed.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from airflow.sdk import BaseHook
from cosmos.config import ProfileConfig
from cosmos.profiles import (
    BaseProfileMapping,
    PostgresUserPasswordProfileMapping,
    get_automatic_profile_mapping,
    profile_mappings,
)

from goldsmith.errors import UnusableConnection
from goldsmith.masking import hide_connection
from goldsmith.profile_file import OPTIONS_VARIABLE, ProfileFile, place_of, session_option
from goldsmith.wording import did_you_mean


class PostgresWithoutPassword(PostgresUserPasswordProfileMapping):
    """PostgreSQL that asks for no password: a private socket, peer authentication, a client certificate."""

    required_fields = ("host", "user", "dbname")
    secret_fields = ()

    @property
    def profile(self) -> dict[str, Any]:
        """The profile, with the empty password that dbt's adapter wants to see."""
        known: dict[str, Any] = self.filter_null({"port": 5432, **self.mapped_params, **self.profile_args})
        return known | {"password": ""}


_PORTS = {"postgres": 5432, "redshift": 5439}
"""Type of an Airflow connection to the usual port: dbt refuses a profile without one, Airflow's own hooks do not."""
_BIGQUERY = "google_cloud_platform"
"""Type of the Airflow connection."""
# Left to libpq, which takes it from PGAPPNAME: a name in the profile would make dbt parse the project anew each time.
# Not the empty text itself, which Cosmos leaves out; dbt renders this to it.
_UNNAMED_SESSION = {"application_name": "{{ '' }}"}


def profile_mapping(conn_id: str, profile_args: dict[str, Any]) -> BaseProfileMapping:
    """Cosmos's mapping for a connection, by its type.

    Raises:
        UnusableConnection: The connection is of a type, or lacks a field, that dbt cannot use.
    """
    connection = hide_connection(BaseHook.get_connection(conn_id))
    if connection.conn_type in _PORTS and not connection.port:
        profile_args = {"port": _PORTS[connection.conn_type], **profile_args}
    if connection.conn_type == "postgres":
        moved = {"search_path"} if _search_path(profile_args) else set()
        kept = {key: value for key, value in profile_args.items() if key not in moved}
        profile_args = {**_UNNAMED_SESSION, **kept}
    if connection.conn_type == _BIGQUERY and "schema" in profile_args:
        # Cosmos writes the connection's `dataset`, which is dbt's other name of the same key: it refuses both at once.
        profile_args = {"dataset": profile_args["schema"], **profile_args}
        del profile_args["schema"]
    if connection.conn_type == "postgres" and not connection.password:
        mapping = PostgresWithoutPassword(conn_id, profile_args)
        if mapping.can_claim_connection():
            return mapping
    try:
        return get_automatic_profile_mapping(conn_id, profile_args)
    except ValueError as error:
        raise _unusable(conn_id, str(connection.conn_type or ""), profile_args) from error


def _unusable(conn_id: str, kind: str, profile_args: dict[str, Any]) -> UnusableConnection:
    """Why Cosmos makes no profile of a connection: it does not know the type, or misses a field."""
    types = {one.airflow_connection_type: one for one in reversed(profile_mappings)}
    if kind not in types:
        meant = did_you_mean(kind, sorted(types))
        return UnusableConnection(
            f"Cosmos makes no dbt profile of the type {kind!r}, which the Airflow connection {conn_id!r} has. {meant}",
            hint=f"Correct {place_of(conn_id, 'conn_type')}, or write `profile: {{file: profiles.yml}}` into the spec",
        )
    mapping = (PostgresWithoutPassword if kind == "postgres" else types[kind])(conn_id, profile_args)
    made = mapping.profile
    missing = [
        str(mapping.airflow_param_mapping.get(name, name))
        for name in mapping.required_fields
        if not (mapping.get_dbt_value(name) if name in mapping.secret_fields else made.get(name))
    ]
    return UnusableConnection(
        f"dbt cannot use the Airflow connection {conn_id!r} of type {kind!r}: it has no {' and no '.join(missing)}.",
        hint=f"Add {place_of(conn_id, (missing or ['host'])[0])}",
    )


def _search_path(profile_args: Mapping[str, Any]) -> str:
    """A search path that can be given to dbt's sessions beside other options; empty if only dbt can render it."""
    value = str(profile_args.get("search_path") or "")
    return "" if "{" in value else value


def _options(search_path: str) -> dict[str, str]:
    """The environment that gives a search path to dbt's sessions.

    In the profile it would be an option of libpq's of its own, and libpq then takes no notice of `PGOPTIONS`, by which
    the server notices that dbt is gone.
    """
    return {OPTIONS_VARIABLE: session_option("search_path", search_path)} if search_path else {}


@dataclass
class ConnectionProfile(ProfileConfig):
    """A profile whose mapping is chosen by the type of the connection, at run time."""

    conn_id: str = ""
    profile_args: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Skip Cosmos's check: the mapping it asks for exists only once the connection is read."""

    @contextlib.contextmanager
    def ensure_profile(
        self,
        desired_profile_path: Path | None = None,
        use_mock_values: bool = False,  # noqa: FBT001, FBT002 - the signature is Cosmos's
    ) -> Iterator[tuple[Path, dict[str, str]]]:
        """Give the path of a profiles.yml without secrets, and the environment that holds them.

        Raises:
            UnusableConnection: The connection is of a type, or lacks a field, that dbt cannot use.
        """
        self.profile_mapping = profile_mapping(self.conn_id, self.profile_args)
        is_postgres = self.profile_mapping.dbt_profile_type == "postgres"
        options = _options(_search_path(self.profile_args)) if is_postgres else {}
        with super().ensure_profile(desired_profile_path, use_mock_values) as (path, secrets):
            yield path, {**secrets, **options}


@dataclass
class FileProfile(ProfileConfig):
    """A profile that a profiles.yml holds; its secrets are variables that the environment or Airflow gives."""

    source: ProfileFile = field(default_factory=lambda: ProfileFile(file="", profile="", target=""))
    profile_args: dict[str, Any] = field(default_factory=dict)
    """Keys of the output that differ from the file's."""

    def __post_init__(self) -> None:
        """Skip Cosmos's check: the file is read when a task runs."""
        self.profiles_yml_filepath = self.source.file

    @contextlib.contextmanager
    def ensure_profile(
        self,
        desired_profile_path: Path | None = None,  # noqa: ARG002 - the signature is Cosmos's
        use_mock_values: bool = False,  # noqa: ARG002, FBT001, FBT002
    ) -> Iterator[tuple[Path, dict[str, str]]]:
        """Give the path of a profiles.yml with this output alone, as it is written, and the variables it needs.

        Raises:
            UnusableConnection: The file cannot be read, or a connection lacks a field.
        """
        found = self.source.read()  # says which variable is not set, before dbt starts
        output, options = {**found.written, **self.profile_args}, {}
        if found.rendered["type"] == "postgres":
            output |= _UNNAMED_SESSION
            output.pop("search_path", None)
            options = _options(str(found.rendered.get("search_path") or ""))
        whole = {self.profile_name: {"target": self.target_name, "outputs": {self.target_name: output}}}
        with tempfile.TemporaryDirectory(prefix="goldsmith-") as folder:
            path = Path(folder) / "profiles.yml"
            path.touch(mode=0o600)
            path.write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")
            yield path, {**found.given, **options}


def profile_config(
    *, profile_name: str, target_name: str, conn_id: str, profile_args: dict[str, Any]
) -> ConnectionProfile | FileProfile:
    """dbt's profile from a connection, be it Airflow's or that of a file.

    Args:
        profile_name: Name of the profile.
        target_name: dbt target.
        conn_id: The connection.
        profile_args: What the profile holds beside it, or in place of what the file says.
    """
    if source := ProfileFile.of(conn_id):
        return FileProfile(
            profile_name=profile_name, target_name=target_name, source=source, profile_args=profile_args
        )
    return ConnectionProfile(
        profile_name=profile_name, target_name=target_name, conn_id=conn_id, profile_args=profile_args
    )
