"""What a warehouse, its driver or dbt says before any node runs, as one error and one hint.

Which text is of which class is decided in `goldsmith.dbt.error_class`; here each class gets its words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from goldsmith.dbt.error_class import error_class
from goldsmith.errors import EnvironmentProblem, GoldsmithError, UnusableConnection, WarehouseRefused
from goldsmith.profile_file import airflow_connection, named, place_of
from goldsmith.wording import did_you_mean

ADAPTERS = (
    *("postgres", "databricks", "snowflake", "bigquery", "redshift", "duckdb", "sqlserver", "trino", "spark"),
    *("athena", "clickhouse", "fabric", "mysql", "oracle", "sqlite", "synapse", "teradata", "vertica"),
)
"""Types of dbt adapters that people use, to name the nearest one."""
_NO_ADAPTER = re.compile(r"Could not find adapter type (\w+)")
_VARIABLE = re.compile(r"Env var required but not provided: '(\w+)'")
_OPTION = re.compile(r'invalid connection option "([^"]+)"')
_LONGEST = 400  # characters of what was said

# Class of an error to what happened and what to do.
_WORDS = {
    "password refused": (
        "The warehouse at {server} refuses the password of the user {user} ({named}).",
        "Correct {password}",
    ),
    "unknown user": ("The warehouse at {server} has no user {user} ({named}).", "Correct {login}"),
    "unknown database": (
        "The warehouse at {server} has no database {database} ({named}).",
        "Correct {schema}, or create it: createdb {database}",
    ),
    "no right to connect": (
        "The user {user} may not connect to the database {database} at {server} ({named}).",
        'GRANT CONNECT ON DATABASE "{database}" TO "{user}";',
    ),
    "login refused": (
        "The warehouse at {server} refuses the user {user} ({named}): {said}",
        "Show this to the administrator of the warehouse, or correct {login}",
    ),
    "token refused": (
        "The warehouse at {server} refuses the token ({named}): it is wrong, or it has expired.",
        "Make a new token, and write it into {password}",
    ),
    "request refused": (
        "{server} refuses the connection, without a reason ({named}): the token is wrong or old, or the http_path is.",
        "Make a new token, and write it into {password}; and look at {http_path}",
    ),
    "host unknown": ("There is no host {host} ({named}).", "Correct {host_place}"),
    "nothing listens": (
        "Nothing listens at {server} ({named}): the warehouse is stopped, or has another address.",
        "{start}, or correct {host_place}",
    ),
    "no answer": (
        "The warehouse at {server} does not answer ({named}): it is stopped, or behind a firewall.",
        "Start it, or correct {host_place}",
    ),
    "warehouse starting or stopping": (
        "The warehouse at {server} takes no connection now ({named}): {said}",
        "Try again when it has started",
    ),
    "too many connections": (
        "The warehouse at {server} has no connection left for the user {user} ({named}): {said}",
        "Lower `threads` in the pipeline spec, or raise the limit in the warehouse",
    ),
    "permission denied": (
        "The user {user} lacks a right in the warehouse at {server} ({named}): {said}",
        "{grant}",
    ),
}


def explained(
    said: str,
    conn_id: str,
    *,
    grant: Callable[[str], str] = lambda _: "",
    known: Mapping[str, Any] | None = None,
) -> GoldsmithError | None:
    """The error that a text of the warehouse, its driver or dbt is.

    Args:
        said: The text.
        conn_id: The connection that was used.
        grant: Gives the statement that grants a right which a text says is missing; empty if it cannot tell.
        known: libpq's parameters of an earlier session: in a signal handler Airflow is not asked for the connection.

    Returns:
        `UnusableConnection` or `WarehouseRefused` if trying again would end the same, else an `EnvironmentProblem`;
        None if the text is about something else.
    """
    if found := _VARIABLE.search(said):
        return UnusableConnection(
            f"dbt needs the environment variable {found[1]}, which is not set: in the project, or in its profile.",
            hint=f"export {found[1]}=... for all of Airflow's components, or write it into .env beside dbt_project.yml",
        )
    if found := _NO_ADAPTER.search(said):
        return no_adapter(found[1], conn_id)
    if found := _OPTION.search(said):
        return _no_option(found[1], conn_id)
    kind = error_class(said)
    if kind is None or kind.name not in _WORDS:
        return None
    try:
        facts = _Facts.of(conn_id, said, known or _parameters(conn_id))
    except GoldsmithError as error:
        return error
    lacking = grant(said) if kind.name == "permission denied" else ""
    words = {**facts.words(), "grant": lacking or "Ask the owner of what it names for the right"}
    message, hint = (text.format(**words) for text in _WORDS[kind.name])
    return (EnvironmentProblem if kind.is_transient else WarehouseRefused)(message, hint=hint)


def no_adapter(kind: str, conn_id: str) -> UnusableConnection:
    """The error that dbt has no adapter of a type."""
    meant = did_you_mean(kind, ADAPTERS, "")
    known = kind in ADAPTERS or not meant
    text = f"dbt has no adapter for the type {kind!r} ({named(conn_id)})."
    if known:
        return UnusableConnection(text, hint=f"Install the adapter beside dbt: pip install dbt-{kind}")
    return UnusableConnection(f"{text} {meant}", hint=f"Correct {place_of(conn_id, 'conn_type', 'type')}")


def _no_option(key: str, conn_id: str) -> UnusableConnection:
    """The error that a key in a connection's extra is none of libpq's; dbt's profile leaves it out."""
    from psycopg.pq import Conninfo

    known = [option.keyword.decode() for option in Conninfo.get_defaults()]
    return UnusableConnection(
        f"The extra of the {named(conn_id)} has the key {key!r}, which PostgreSQL's driver does not know. "
        f"{did_you_mean(key, known, '')}".strip(),
        hint=f"Correct or delete it in {place_of(conn_id, 'extra')}",
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Facts:
    """Where a warehouse is and as whom it is asked; no secret is among it."""

    conn_id: str
    host: str
    port: int | str | None
    user: str
    database: str
    said: str

    @classmethod
    def of(cls, conn_id: str, said: str, known: Mapping[str, Any]) -> _Facts:
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        core = next((line for line in lines if "FATAL:" in line), lines[-1] if lines else "")
        return cls(
            conn_id=conn_id,
            host=str(known.get("host") or ""),
            port=known.get("port"),
            user=str(known.get("user") or ""),
            database=str(known.get("dbname") or ""),
            said=core.rpartition("FATAL:")[2].strip()[:_LONGEST],
        )

    def words(self) -> dict[str, str]:
        """Name to text, for the sentences above."""
        is_socket = self.host.startswith("/")
        server = self.host or "the default host"
        return {
            "server": f"{server}:{self.port}" if self.port and not is_socket else server,
            "host": self.host,
            "user": self.user,
            "database": self.database,
            "said": self.said,
            "named": named(self.conn_id),
            "start": "Start it: goldsmith up --warehouse" if is_socket else "Start it",
            "password": place_of(self.conn_id, "password", "password", "pass", "token"),
            "login": place_of(self.conn_id, "login", "user", "username"),
            "schema": place_of(self.conn_id, "schema", "dbname", "database", "catalog"),
            "host_place": place_of(self.conn_id, "host", "host"),
            "http_path": place_of(self.conn_id, "http_path", "http_path"),
        }


def _parameters(conn_id: str) -> dict[str, Any]:
    """Where a connection leads and as whom, in libpq's words."""
    found: Any = airflow_connection(conn_id)
    return {"host": found.host, "port": found.port, "user": found.login, "dbname": found.schema}
