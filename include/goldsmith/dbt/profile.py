"""dbt's profile from an Airflow connection, or from a profiles.yml that the pipeline names.

Cosmos has a mapping for every kind of connection; it writes a profiles.yml that names environment variables
in place of secrets, and hands the secrets to dbt as those variables. The connection is read when a task runs,
never while a DAG file is parsed.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
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
)

from goldsmith.errors import ConfigurationError
from goldsmith.profile_file import ProfileFile


class PostgresWithoutPassword(PostgresUserPasswordProfileMapping):
    """PostgreSQL that asks for no password: a private socket, peer authentication, a client certificate."""

    required_fields = ("host", "user", "dbname")
    secret_fields = ()

    @property
    def profile(self) -> dict[str, Any]:
        """The profile, with the empty password that dbt's adapter wants to see."""
        known: dict[str, Any] = self.filter_null({"port": 5432, **self.mapped_params, **self.profile_args})
        return known | {"password": ""}


_BIGQUERY = "google_cloud_platform"
"""Type of the Airflow connection."""
# Left to libpq, which takes it from PGAPPNAME: a name in the profile would make dbt parse the project anew each time.
# Not the empty text itself, which Cosmos leaves out; dbt renders this to it.
_UNNAMED_SESSION = {"application_name": "{{ '' }}"}


def profile_mapping(conn_id: str, profile_args: dict[str, Any]) -> BaseProfileMapping:
    """Cosmos's mapping for a connection, by its type.

    Raises:
        ConfigurationError: The connection is of a type, or lacks a field, that dbt cannot use.
    """
    connection = BaseHook.get_connection(conn_id)
    if connection.conn_type == "postgres":
        profile_args = {**_UNNAMED_SESSION, **profile_args}
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
        raise ConfigurationError(
            f"dbt cannot use the Airflow connection {conn_id!r} of type {connection.conn_type!r}: Cosmos knows no "
            "dbt profile for it, or host, login, password or database is missing.",
            hint=f"Look at it: airflow connections get {conn_id}",
        ) from error


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
            ConfigurationError: The connection is of a type, or lacks a field, that dbt cannot use.
        """
        self.profile_mapping = profile_mapping(self.conn_id, self.profile_args)
        with super().ensure_profile(desired_profile_path, use_mock_values) as profile:
            yield profile


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
            ConfigurationError: The file cannot be read, or a connection lacks a field.
        """
        self.source.output()  # says which variable is not set, before dbt starts
        written = self.source.written()
        tagged = _UNNAMED_SESSION if written["type"] == "postgres" else {}
        output = {**written, **tagged, **self.profile_args}
        whole = {self.profile_name: {"target": self.target_name, "outputs": {self.target_name: output}}}
        with tempfile.TemporaryDirectory(prefix="goldsmith-") as folder:
            path = Path(folder) / "profiles.yml"
            path.touch(mode=0o600)
            path.write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")
            yield path, self.source.given()


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
