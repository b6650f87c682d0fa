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

from cosmos.config import ProfileConfig
from cosmos.profiles import get_automatic_profile_mapping

from goldsmith.errors import ConfigurationError


@dataclass
class ConnectionProfile(ProfileConfig):
    """A profile whose mapping is chosen by the type of the connection, at run time."""

    conn_id: str = ""
    profile_args: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Skip Cosmos's check: the mapping it asks for exists only once the connection is read."""

    @contextlib.contextmanager
    def ensure_profile(
        self, desired_profile_path: Path | None = None, use_mock_values: bool = False
    ) -> Iterator[tuple[Path, dict[str, str]]]:
        """Give the path of a profiles.yml without secrets, and the environment that holds them.

        Raises:
            ConfigurationError: The connection is of a type, or lacks a field, that dbt cannot use.
        """
        try:
            self.profile_mapping = get_automatic_profile_mapping(self.conn_id, self.profile_args)
        except ValueError as error:
            raise ConfigurationError(
                f"dbt cannot use the Airflow connection {self.conn_id!r}: its type is not one of Cosmos's "
                "profiles, or host, login, password or database is missing.",
                hint=f"Look at it: airflow connections get {self.conn_id}",
            ) from error
        with super().ensure_profile(desired_profile_path, use_mock_values) as profile:
            yield profile
