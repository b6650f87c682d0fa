"""The tables of an ingest: their names, their making, their checks, and what failed runs leave behind."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable

import psycopg
from psycopg import sql

from goldsmith.errors import IngestError
from goldsmith.spec.ingest import LOAD_TIMESTAMP, Ingest

log = logging.getLogger(__name__)

Connect = Callable[[], psycopg.Connection[tuple[object, ...]]]
"""Opens a connection to the warehouse, not in autocommit mode."""

REJECTED = "rejected_rows"
KEPT_HOURS = 24
"""How long the staging tables of a failed run wait for somebody to retry it."""

_DDL_LOCK, MERGE_LOCK, PART_LOCK, CHUNK_LOCK = 710_001, 710_002, 710_003, 710_004


class Names:
    """The qualified, quoted names of one ingest.

    Args:
        ingest: The file and its table.
        run: Whatever tells this run from others; retries of one run share it.
    """

    def __init__(self, ingest: Ingest, run: str) -> None:
        self._prefix = f"{ingest.table_name[:30]}_{_digest(run, ingest.source, ingest.file)}"
        self.run = self._prefix
        """Short name of this run of this ingest."""
        self.staging_schema = staging_schema(ingest)
        self.target = sql.Identifier(ingest.schema_name, ingest.table_name)
        self.rejected = sql.Identifier(ingest.schema_name, REJECTED)
        self.merges = sql.Identifier(self.staging_schema, "merges")

    def chunk(self, number: int) -> str:
        """Unqualified name of a chunk's staging table."""
        return f"{self._prefix}_{number:04d}"

    def staging(self, number: int) -> sql.Identifier:
        """Staging table of a chunk's good rows."""
        return sql.Identifier(self.staging_schema, self.chunk(number))

    def staging_rejected(self, number: int) -> sql.Identifier:
        """Staging table of a chunk's malformed rows."""
        return sql.Identifier(self.staging_schema, f"{self.chunk(number)}_rejected")

    @property
    def pattern(self) -> str:
        """LIKE pattern of this run's staging tables."""
        return self._prefix.replace("_", r"\_") + r"\_%"


def staging_schema(ingest: Ingest) -> str:
    """Name of the schema that holds staging tables."""
    return f"{ingest.schema_name[:55]}_staging"


def lock(connection: psycopg.Connection[tuple[object, ...]], kind: int, name: str) -> None:
    """Wait for a lock that is held until the transaction ends."""
    connection.execute("select pg_advisory_xact_lock(%s, hashtext(%s))", (kind, name))


def prepare(connect: Connect, ingest: Ingest, run: str) -> None:
    """Make the tables that are not there, check those that are, and clear the way for a run.

    Args:
        connect: Opens a connection.
        ingest: The file and its table.
        run: Name of the run; what an earlier try of it left is removed.

    Raises:
        IngestError: The table exists with other columns or another key.
    """
    names = Names(ingest, run)
    with connect() as connection:
        # `create ... if not exists` is not safe against another one at the same time.
        lock(connection, _DDL_LOCK, "tables")
        for schema in (ingest.schema_name, names.staging_schema):
            _create_schema(connection, schema)
        _create_tables(connection, ingest, names)
        _check_target(connection, ingest)
        connection.execute(
            sql.SQL("delete from {} where run = %s or finished_at < now() - interval '30 days'").format(
                names.merges
            ),
            (names.run,),
        )
    discard(connect, ingest, run)
    _drop(connect, names.staging_schema, "%", older_than_hours=KEPT_HOURS)


def discard(connect: Connect, ingest: Ingest, run: str) -> None:
    """Remove the staging tables of a run."""
    names = Names(ingest, run)
    _drop(connect, names.staging_schema, names.pattern, older_than_hours=0)


def made_now(table: sql.Identifier) -> sql.Composed:
    """Remember in a staging table when it was made, so that a later run can tell it is stale."""
    return sql.SQL(
        "do $$ begin execute format('comment on table {} is %L', 'goldsmith staging ' || now()); end $$"
    ).format(table)


def _create_schema(connection: psycopg.Connection[tuple[object, ...]], schema: str) -> None:
    # Looked for first: `create schema if not exists` needs the right to create one even where there is one.
    if not connection.execute("select 1 from pg_namespace where nspname = %s", (schema,)).fetchone():
        connection.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))


def _exists(connection: psycopg.Connection[tuple[object, ...]], table: sql.Identifier) -> bool:
    found = connection.execute("select to_regclass(%s)", (table.as_string(connection),)).fetchone()
    return found is not None and found[0] is not None


def _create_tables(connection: psycopg.Connection[tuple[object, ...]], ingest: Ingest, names: Names) -> None:
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
                " changed bigint not null, unchanged bigint not null,"
                " finished_at timestamptz not null default now(), primary key (run, parts, part))"
            ).format(names.merges)
        )


_SHAPE = """
select a.attname, format_type(a.atttypid, null),
       coalesce(a.attnum = any(i.indkey), false)
from pg_attribute a
left join pg_index i on i.indrelid = a.attrelid and i.indisprimary
where a.attrelid = to_regclass(%s) and a.attnum > 0 and not a.attisdropped
"""


def _check_target(connection: psycopg.Connection[tuple[object, ...]], ingest: Ingest) -> None:
    table = sql.Identifier(ingest.schema_name, ingest.table_name).as_string(connection)
    shape = connection.execute(_SHAPE, (table,)).fetchall()
    types = {str(name): str(kind) for name, kind, _ in shape}
    wanted = {*ingest.columns, LOAD_TIMESTAMP}
    faults = [
        *(f"column {name} is missing" for name in sorted(wanted - types.keys())),
        *(f"column {name} is not in the file" for name in sorted(types.keys() - wanted)),
        *(
            f"column {name} is {types[name]}, not text"
            for name in ingest.columns
            if types.get(name, "text") not in ("text", "character varying")
        ),
    ]
    key = {str(name) for name, _, in_key in shape if in_key}
    if not faults and key != set(ingest.key):
        faults.append(f"its primary key is ({', '.join(sorted(key))}), not ({', '.join(ingest.key)})")
    if faults:
        raise IngestError(
            f"The table {ingest.source} exists with another shape than {ingest.file} needs:"
            f" {'; '.join(faults)}.",
            hint="Rename or drop the table, or correct `columns` and `key` in the pipeline spec.",
        )


_STAGED = """
select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = %(schema)s and c.relkind = 'r' and c.relname like %(pattern)s
  and nullif(split_part(obj_description(c.oid, 'pg_class'), 'goldsmith staging ', 2), '')::timestamptz
      <= clock_timestamp() - %(hours)s * interval '1 hour'
order by 1
"""


def _drop(connect: Connect, schema: str, pattern: str, *, older_than_hours: int) -> None:
    with connect() as connection:
        connection.execute("set local lock_timeout = '5s'")
        rows = connection.execute(
            _STAGED, {"schema": schema, "pattern": pattern, "hours": older_than_hours}
        ).fetchall()
        for (table,) in rows:
            try:
                with connection.transaction():
                    connection.execute(
                        sql.SQL("drop table if exists {}").format(sql.Identifier(schema, str(table)))
                    )
            except psycopg.errors.LockNotAvailable:
                log.warning("%s.%s is in use and stays for now", schema, table)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
