"""Staging tables that nobody needs any more: those of a load that is done, and of loads that were killed."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable

import psycopg
from psycopg import sql

from goldsmith.ingest.names import RUN_LOCK, Connect, Connection, Names
from goldsmith.spec.ingest import Ingest

log = logging.getLogger(__name__)

KEPT_HOURS = 24
"""How long staging tables stay if nobody can say whether their load still runs."""
PROCESS = "a process"
"""Owner of staging tables whose load is over once no session holds its lock."""

IsOver = Callable[[str], bool | None]
"""Says whether an owner's load is over; None if that is unknown."""

_STAGED = """
with staged as (
    select c.relname, obj_description(c.oid, 'pg_class') as text
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where n.nspname = %(schema)s and c.relkind = 'r' and c.relname like %(pattern)s
), found as (
    select relname, regexp_replace(relname, '_\\d{4}(_rejected)?$', '') as run,
           coalesce(substring(text from '^goldsmith load of (\\S+)'), substring(text from '^goldsmith staging (.*)'))
               ::timestamptz as made,
           coalesce(substring(text from '^goldsmith load of \\S+ by (.*)'), '') as owner
    from staged
)
select run, owner, relname, coalesce(extract(epoch from clock_timestamp() - made) / 3600, 0)::float
from found where made is not null order by relname
"""


def made_now(connection: Connection, table: sql.Identifier, owner: str) -> None:
    """Write on a staging table when it was made and by whom, so that a later load can tell if it is stale."""
    row = connection.execute(
        """select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""
    ).fetchone()
    text = f"goldsmith load of {row[0] if row else ''} by {owner}"
    connection.execute(sql.SQL("comment on table {} is {}").format(table, sql.Literal(text)))


def discard(connect: Connect, ingest: Ingest, run: str) -> None:
    """Remove the staging tables of a run."""
    names = Names(ingest, run)
    with connect() as connection:
        tables = [str(row[2]) for row in _staged(connection, names.staging_schema, names.pattern)]
        _drop(connection, names.staging_schema, tables)


def discard_dead(connect: Connect, ingest: Ingest, run: str, *, is_over: IsOver | None = None) -> None:
    """Remove the staging tables of other loads that were killed, or that failed and were not retried.

    A load that runs now is left alone: its sessions hold a lock, and between them its owner is asked.

    Args:
        connect: Opens a connection.
        ingest: The file and its table; all loads into the same schema are looked at.
        run: The run that goes on.
        is_over: Says whether an owner's load is over.
    """
    names = Names(ingest, run)
    with connect() as connection:
        runs = defaultdict[tuple[str, str], list[tuple[str, float]]](list)
        for found, owner, table, hours in _staged(connection, names.staging_schema, "%"):
            if found != names.run:
                runs[str(found), str(owner)].append((str(table), float(str(hours))))
        connection.commit()
        for (dead, owner), tables in runs.items():
            if _may_be_dead(owner, max(hours for _, hours in tables), is_over) and _is_free(connection, dead):
                log.info("Removing what a load that has ended left: %s.%s_*", names.staging_schema, dead)
                _drop(connection, names.staging_schema, [table for table, _ in tables])
            connection.commit()


def _may_be_dead(owner: str, hours: float, is_over: IsOver | None) -> bool:
    if owner == PROCESS:
        return True
    # An earlier version of Goldsmith wrote no owner.
    over = is_over(owner) if owner and is_over else None
    return hours >= KEPT_HOURS if over is None else over


def _is_free(connection: Connection, run: str) -> bool:
    """Take the lock that every session of a run holds, unless one does."""
    row = connection.execute("select pg_try_advisory_xact_lock(%s, hashtext(%s))", (RUN_LOCK, run)).fetchone()
    return row == (True,)


def _staged(connection: Connection, schema: str, pattern: str) -> list[tuple[object, ...]]:
    return connection.execute(_STAGED, {"schema": schema, "pattern": pattern}).fetchall()


def _drop(connection: Connection, schema: str, tables: list[str]) -> None:
    connection.execute("set local lock_timeout = '5s'")
    for table in tables:
        try:
            with connection.transaction():
                connection.execute(sql.SQL("drop table if exists {}").format(sql.Identifier(schema, table)))
        except psycopg.errors.LockNotAvailable:
            log.warning("%s.%s is in use and stays for now", schema, table)
