"""Single statements of our own in PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import psycopg

from goldsmith.errors import NoSuchTable
from goldsmith.warehouse.base import Value
from goldsmith.warehouse.postgres.rights import grant_for
from goldsmith.warehouse.postgres.session import open_session, unreachable


def run_statement(
    conn_id: str, statement: str, values: Sequence[Value], *, name: str, timeout: float
) -> list[tuple[Any, ...]]:
    """Run one statement in a session of its own; see `Warehouse.run`."""
    with open_session(conn_id, name=name) as session:
        try:
            session.execute("select set_config('statement_timeout', %s, false)", (str(int(timeout * 1000)),))
            cursor = session.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
            raise NoSuchTable(str(error).strip()) from error
        except psycopg.Error as error:
            asked = partial(grant_for, conn_id, query=statement, schema="")
            raise unreachable(conn_id, error, grant=asked) from error
