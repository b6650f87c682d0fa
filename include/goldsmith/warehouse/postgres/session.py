"""Sessions of our own in the warehouse, opened by Airflow's connection.

The provider's hook opens the first one, with whatever the connection says. Later ones reuse its parameters and ask
Airflow nothing: a signal handler that ends a lost query has interrupted code that may be asking Airflow right then,
and would wait for it forever.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import copy
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from goldsmith.errors import EnvironmentProblem, GoldsmithError
from goldsmith.profile_file import ProfileFile, airflow_connection, named
from goldsmith.warehouse.explain import explained

Session = psycopg.Connection[tuple[Any, ...]]

_PATIENCE = {
    "connect_timeout": 10,
    # Seconds until a server that vanished without a word is noticed: 30 + 3 * 10.
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,  # milliseconds; the same for what was sent and is not acknowledged
}
# The same the other way round, so that the locks of a vanished machine are freed; and no limit of the role's or the
# server's on a session that sits idle while dbt builds. Each server takes those that it knows.
_SETTINGS = """
select set_config(name, value, false) from (values
  ('tcp_keepalives_idle', '30'), ('tcp_keepalives_interval', '10'), ('tcp_keepalives_count', '3'),
  ('tcp_user_timeout', '60000'), ('idle_session_timeout', '0')
) as wanted (name, value) where current_setting(name, true) is not null
"""

_parameters: dict[str, dict[str, Any]] = {}


def open_session(conn_id: str, *, name: str, connect_timeout: int | None = None) -> Session:
    """Open a session in PostgreSQL, each statement a transaction of its own.

    Args:
        conn_id: An Airflow connection to PostgreSQL.
        name: Its `application_name`.
        connect_timeout: Seconds for connecting, once a session was opened; else what the connection says, or 10.

    Raises:
        EnvironmentProblem: The server does not answer or refuses, or the hook is not one of psycopg 3.
    """
    own: dict[str, Any] = {"application_name": name}
    if connect_timeout is not None:
        own["connect_timeout"] = connect_timeout
    try:
        if conn_id in _parameters:
            session = psycopg.connect(**{**_parameters[conn_id], **own}, autocommit=True)
        else:
            session = _open_by_hook(conn_id, name)
        session.execute(_SETTINGS)
    except psycopg.Error as error:
        raise unreachable(conn_id, error) from error
    return session


def loader(conn_id: str) -> Callable[[], psycopg.Connection[tuple[object, ...]]]:
    """What opens a session for raw files, with whatever the connection says.

    Raises:
        EnvironmentProblem: When it is called: the server does not answer or refuses, or the hook is not one of
            psycopg 3.
    """
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    hook = PostgresHook(connection=airflow_connection(conn_id))

    def connect() -> psycopg.Connection[tuple[object, ...]]:
        try:
            opened: Any = hook.get_conn()
        except psycopg.Error as error:
            raise unreachable(conn_id, error) from error
        if not isinstance(opened, psycopg.Connection):
            raise _wrong_driver(conn_id, opened)
        # The connection's extra may ask for rows of another kind.
        opened.row_factory = tuple_row
        return opened

    return connect


def _how_to_see(conn_id: str) -> str:
    return "dbt debug" if ProfileFile.of(conn_id) else f"airflow connections get {conn_id}"


def _wrong_driver(conn_id: str, opened: object) -> EnvironmentProblem:
    return EnvironmentProblem(
        f"{named(conn_id)} opens with {type(opened).__module__}; psycopg 3 is needed.",
        hint="Install apache-airflow-providers-postgres 7.1 or later with SQLAlchemy 2.",
    )


def unreachable(
    conn_id: str, error: psycopg.Error, *, grant: Callable[[str], str] = lambda _: ""
) -> GoldsmithError:
    """What to raise if the warehouse fails.

    Args:
        conn_id: The Airflow connection.
        error: What the driver raised.
        grant: Gives the statement for a right that is missing.
    """
    found = explained(str(error), conn_id, grant=grant, known=_parameters.get(conn_id))
    return found or EnvironmentProblem(
        f"The warehouse ({named(conn_id)}) failed: {str(error).strip()}",
        hint=f"Does the server run, and does it accept this login? {_how_to_see(conn_id)}",
    )


def _open_by_hook(conn_id: str, name: str) -> Session:
    from airflow.providers.postgres.hooks.postgres import PostgresHook

    connection = copy(airflow_connection(conn_id))
    extra = {**_PATIENCE, **connection.extra_dejson, "application_name": name}
    extra.pop("cursor", None)  # rows as a user's own tasks want them; ours are tuples
    connection.extra = json.dumps(extra)
    opened: Any = PostgresHook(connection=connection).get_conn()
    if not isinstance(opened, psycopg.Connection):
        raise _wrong_driver(conn_id, opened)
    opened.autocommit = True
    if not extra.get("iam"):  # that login is good for minutes: the hook asks for the next
        _parameters[conn_id] = {**opened.info.get_parameters(), "password": opened.info.password or None}
    return opened
