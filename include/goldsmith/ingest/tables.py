"""The tables of an ingest: their making, and what is done before anything is staged."""

from __future__ import annotations

from psycopg import sql

from goldsmith.ingest.leftovers import IsOver, discard, discard_dead
from goldsmith.ingest.names import DDL_LOCK, REJECTED, Connect, Connection, Names, lock
from goldsmith.ingest.refusals import explained
from goldsmith.ingest.shape import check_target
from goldsmith.ingest.waiting import limit_waits, watched
from goldsmith.spec.ingest import LOAD_TIMESTAMP, Ingest


def prepare(connect: Connect, ingest: Ingest, run: str, *, is_over: IsOver | None = None) -> None:
    """Make the tables that are not there, check those that are, and clear the way for a run.

    Args:
        connect: Opens a connection.
        ingest: The file and its table.
        run: Name of the run; what an earlier try of it left is removed, and what killed loads left.
        is_over: Says whether another load is over, by the owner it was given.

    Raises:
        IngestError: The table exists with other columns or another key.
    """
    names = Names(ingest, run)
    with explained(ingest), connect() as connection:

        def make() -> None:
            limit_waits(connection)
            _create_all(connection, ingest, names)
            check_target(connection, ingest, names)

        watched(connect, connection, f"The preparation of {ingest.source}", make)
    discard(connect, ingest, run)
    discard_dead(connect, ingest, run, is_over=is_over)


def _create_all(connection: Connection, ingest: Ingest, names: Names) -> None:
    """Make the schemas and tables that are not there, and forget merges of long ago."""
    # `create ... if not exists` is not safe against another one at the same time.
    lock(connection, DDL_LOCK, "tables")
    for schema in (ingest.schema_name, names.staging_schema):
        _create_schema(connection, schema)
    _create_tables(connection, ingest, names)
    connection.execute(
        sql.SQL("delete from {} where run = %s or finished_at < now() - interval '30 days'").format(
            names.merges
        ),
        (names.run,),
    )


def _create_schema(connection: Connection, schema: str) -> None:
    # Looked for first: `create schema if not exists` needs the right to create one even where there is one.
    if not connection.execute("select 1 from pg_namespace where nspname = %s", (schema,)).fetchone():
        connection.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))


def _exists(connection: Connection, table: sql.Identifier) -> bool:
    found = connection.execute("select to_regclass(%s)", (table.as_string(connection),)).fetchone()
    return found is not None and found[0] is not None


_HAS_SUPERSEDED = """
select 1 from pg_attribute where attrelid = to_regclass(%s) and attname = 'superseded' and not attisdropped
"""


def _create_tables(connection: Connection, ingest: Ingest, names: Names) -> None:
    if not _exists(connection, names.target):
        columns = [sql.SQL("{} text").format(sql.Identifier(name)) for name in ingest.columns]
        connection.execute(
            sql.SQL("create table {} ({}, {} timestamptz not null default now(), primary key ({}))").format(
                names.target,
                sql.SQL(", ").join(columns),
                sql.Identifier(LOAD_TIMESTAMP),
                sql.SQL(", ").join(map(sql.Identifier, ingest.key)),
            )
        )
    if not _exists(connection, names.rejected):
        connection.execute(
            sql.SQL(
                "create table {} (file text not null, line bigint not null, reason text not null,"
                " raw text not null, table_name text not null,"
                " load_timestamp timestamptz not null default now())"
            ).format(names.rejected)
        )
        connection.execute(
            sql.SQL("create unique index {} on {} (table_name, file, line, md5(raw))").format(
                sql.Identifier(f"{REJECTED}_once"), names.rejected
            )
        )
    if not _exists(connection, names.merges):
        connection.execute(
            sql.SQL(
                "create table {} (run text, part int, parts int not null, inserted bigint not null,"
                " changed bigint not null, unchanged bigint not null, superseded bigint not null default 0,"
                " finished_at timestamptz not null default now(), primary key (run, parts, part))"
            ).format(names.merges)
        )
    elif not connection.execute(_HAS_SUPERSEDED, (names.merges.as_string(connection),)).fetchone():
        # An earlier version of Goldsmith has made it.
        connection.execute(
            sql.SQL("alter table {} add superseded bigint not null default 0").format(names.merges)
        )
