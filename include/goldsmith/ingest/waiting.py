"""Statements that may wait for locks: while they wait, the log says for whom, and at last the error does."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from time import monotonic
from typing import TypeVar

import psycopg
from psycopg import sql

from goldsmith.errors import IngestBlocked
from goldsmith.ingest.names import Connect, Connection

T = TypeVar("T")
log = logging.getLogger(__name__)

FIRST_LOOK = 2.0
"""Seconds after which a wait is looked into; later looks are further apart, by half of what has passed."""
LONGEST_PAUSE = 30.0
LOCK_WAIT = 300
"""Seconds to wait for a lock of a table or of a row. Waiting for another load is limited by the task alone."""

_BLOCKERS = """
select distinct on (waiting.pid, blocker.pid)
    coalesce(case when l.locktype in ('relation', 'extend', 'page', 'tuple') then l.relation::regclass::text end,
             case l.locktype when 'advisory' then 'another load' when 'transactionid' then 'a row that it changes'
                  else l.locktype end, 'a lock'),
    blocker.pid, coalesce(a.usename::text, '?'), coalesce(nullif(a.application_name, ''), '?'),
    coalesce(a.state, 'a prepared transaction'),
    coalesce(extract(epoch from clock_timestamp() - a.xact_start), 0)::bigint,
    coalesce(left(regexp_replace(a.query, '\\s+', ' ', 'g'), 200), '')
from unnest(%s::int[]) as waiting (pid)
cross join lateral unnest(pg_blocking_pids(waiting.pid)) as blocker (pid)
left join pg_stat_activity a on a.pid = blocker.pid
left join pg_locks l on l.pid = waiting.pid and not l.granted
where blocker.pid <> all(%s::int[])
order by waiting.pid, blocker.pid
"""


def limit_waits(connection: Connection) -> None:
    """Give up, for the rest of the transaction, a lock that is not free in time."""
    connection.execute(sql.SQL("set local lock_timeout = {}").format(sql.Literal(f"{LOCK_WAIT}s")))


def watched(connect: Connect, connection: Connection, what: str, work: Callable[[], T]) -> T:
    """Do something that may wait for a lock, and log who holds it while it waits.

    Args:
        connect: Opens a connection; one more is needed for a look at a wait.
        connection: Whose statements may wait.
        what: What is done, such as "the merge into data_lake.things".
        work: Executes the statements, in a thread.

    Raises:
        IngestBlocked: The lock was not free in time.
    """
    with ThreadPoolExecutor(1) as threads:
        return follow(connect, [connection], what, [threads.submit(work)])[0]


def follow(
    connect: Connect, connections: Sequence[Connection], what: str, running: Sequence[Future[T]]
) -> list[T]:
    """Wait for work in threads, as `watched` does for one piece of it; an error in one ends all.

    Raises:
        IngestBlocked: A lock was not free in time.
    """
    watch = _Watch(connect, [connection.info.backend_pid for connection in connections], what)
    try:
        unfinished = set(running)
        while unfinished:
            done, unfinished = wait(unfinished, timeout=watch.pause(), return_when=FIRST_EXCEPTION)
            for one in done:
                one.result()
            if unfinished:
                watch.look()
        return [one.result() for one in running]
    except BaseException as fault:
        for connection in connections:
            # The reason it ends matters more.
            with suppress(psycopg.Error):
                connection.cancel_safe()
        if isinstance(fault, psycopg.errors.LockNotAvailable):
            raise watch.given_up() from fault
        raise
    finally:
        watch.close()


class _Watch:
    """Looks, from a connection of its own, at what others wait for."""

    def __init__(self, connect: Connect, pids: list[int], what: str) -> None:
        self._connect, self._pids, self._what = connect, pids, what
        self._began, self._connection = monotonic(), None
        self._holders: list[str] = []
        self._pid = 0

    _connection: Connection | None

    def pause(self) -> float:
        """Return the seconds until the next look."""
        return min(LONGEST_PAUSE, max(FIRST_LOOK, (monotonic() - self._began) / 2))

    def look(self) -> None:
        """Log what is waited for, if anything is. Runs in the main thread: Airflow gives connections to no other."""
        try:
            if self._connection is None:
                self._connection = self._connect()
                self._connection.autocommit = True
            rows = self._connection.execute(_BLOCKERS, (self._pids, self._pids)).fetchall()
        except psycopg.Error as fault:
            log.warning("%s: cannot find out whether it waits for a lock (%s)", self._what, fault)
            return
        seen = [_holder(*row) for row in rows]
        for lock, holder in seen:
            log.warning(
                "%s has waited for %s since %d s; it is held by %s",
                self._what, lock, monotonic() - self._began, holder,
            )  # fmt: skip
        if rows:
            self._holders = [holder for _, holder in seen]
            self._pid = int(str(rows[0][1]))

    def given_up(self) -> IngestBlocked:
        """Return the error for a lock that was not free in time."""
        held_by = f", held by {'; '.join(self._holders[:5])}" if self._holders else ""
        end = f"select pg_terminate_backend({self._pid})" if self._pid else "see pg_locks"
        return IngestBlocked(
            f"{self._what} has waited {LOCK_WAIT} s for a lock{held_by}. Nothing was loaded.",
            hint=f"End that transaction, or its session ({end}), and retry the task.",
        )

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._connection is not None:
            self._connection.close()


def _holder(  # noqa: PLR0917 - a row of _BLOCKERS
    lock: object, pid: object, user: object, program: object, state: object, seconds: object, query: object
) -> tuple[str, str]:
    return str(lock), f"session {pid} (user {user}, program {program}, {state} for {seconds} s): {query}"
