"""Let the warehouse notice that dbt is gone, and end its query.

A server that computes does not look at its client: the query of a dbt that was killed runs to its end. PostgreSQL 14
and later look once in a while where a session asks for it.
"""

from __future__ import annotations

import psycopg
from psycopg.pq import Conninfo

from goldsmith.warehouse.postgres.session import open_session

_LOOK = "-c client_connection_check_interval=1s"


def watched_options(conn_id: str) -> str:
    """The options of a session whose query ends a second after its client, to be set as `PGOPTIONS`.

    Tried out: an older server, one on a system that cannot tell, and a pooler may refuse the session for it.

    Args:
        conn_id: The Airflow connection of the warehouse.

    Returns:
        The options of this process's own environment with one more; empty if the server does not take it.

    Raises:
        EnvironmentProblem: The warehouse does not answer.
    """
    options = f"{_from_environment()} {_LOOK}".strip()
    with open_session(conn_id, name="goldsmith options") as session:
        parameters = {**session.info.get_parameters(), "password": session.info.password or None}
    try:
        psycopg.connect(**{**parameters, "options": options}).close()  # type: ignore[arg-type]
    except psycopg.Error:
        return ""
    return options


def _from_environment() -> str:
    """What this process would send: libpq's default, which is the variable's value."""
    found = {one.keyword: one.val for one in Conninfo.get_defaults()}
    return (found.get(b"options") or b"").decode()
