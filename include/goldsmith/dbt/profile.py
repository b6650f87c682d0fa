"""dbt's profile from an Airflow connection.

Cosmos has a mapping for every kind of connection; it writes a profiles.yml that names environment variables
in place of secrets, and hands the secrets to dbt as those variables. The connection is read when a task runs,
never while a DAG file is parsed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow.sdk import BaseHook
from cosmos.config import ProfileConfig
from cosmos.profiles import (
    BaseProfileMapping,
    PostgresUserPasswordProfileMapping,
    get_automatic_profile_mapping,
)

from goldsmith.errors import ConfigurationError


class PostgresWithoutPassword(PostgresUserPasswordProfileMapping):
    """PostgreSQL that asks for no password: a private socket, peer authentication, a client certificate."""

    required_fields = ("host", "user", "dbname")
    secret_fields = ()

    @property
    def profile(self) -> dict[str, Any]:
        """The profile, with the empty password that dbt's adapter wants to see."""
        known: dict[str, Any] = self.filter_null({"port": 5432, **self.mapped_params, **self.profile_args})
        return known | {"password": ""}


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
