"""What relations there are in PostgreSQL, and of which kind."""

from __future__ import annotations

from collections.abc import Collection

import psycopg

from goldsmith.warehouse.base import MATERIALIZED_VIEW, TABLE, VIEW
from goldsmith.warehouse.names import Relation
from goldsmith.warehouse.postgres.session import open_session, unreachable

_FIND = """
select wanted.schema, wanted.name, c.relkind::text
from unnest(%s::text[], %s::text[]) as wanted (schema, name)
join pg_namespace n on n.nspname = wanted.schema
join pg_class c on c.relnamespace = n.oid and c.relname = wanted.name
where c.relkind in ('r', 'p', 'f', 'v', 'm')
"""
_KINDS = {"v": VIEW, "m": MATERIALIZED_VIEW}


def relation_kinds(conn_id: str, wanted: Collection[Relation]) -> dict[Relation, str]:
    """Look which relations exist, with one query for all; upper and lower case differ.

    Raises:
        EnvironmentProblem: The warehouse fails.
    """
    schemas, names = [schema for schema, _ in wanted], [name for _, name in wanted]
    with open_session(conn_id, name="goldsmith relations") as session:
        try:
            rows = session.execute(_FIND, (schemas, names)).fetchall()
        except psycopg.Error as error:
            raise unreachable(conn_id, error) from error
    return {(schema, name): _KINDS.get(kind, TABLE) for schema, name, kind in rows}
