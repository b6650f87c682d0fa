"""One writer per target: runs take turns, also backfills, which no limit of Airflow's on a DAG's runs binds.

A writer is an advisory lock of a database session, so it ends with its process or its machine, needs no table and no
rights, and is seen by whoever waits. Three kinds, each named by a hash of the target (`class`) and one of the run:

    writer  held while writing: shared among the tasks of a run, or exclusive
    queue   held by a task that waits for its run's others to end, so that no more of them begin
    door    held for the moment of look and take

Nobody waits for a lock while inside the door, and who waits in the queue holds back only its own run: no deadlock.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import psycopg
from psycopg import sql

from goldsmith.errors import EnvironmentProblem
from goldsmith.warehouse.base import Writer
from goldsmith.warehouse.postgres.session import Session, open_session, unreachable
from goldsmith.warehouse.tags import session_tag

_SAY_AGAIN = 60.0  # seconds

_HELD = """
    select pid, classid::bigint as class, objid::bigint as object, mode from pg_locks
    where locktype = 'advisory' and objsubid = 2 and granted
      and database = (select oid from pg_database where datname = current_database())
"""
# One message, thus one transaction on the server: a client that freezes meanwhile does not hold the door.
_TAKE = """
select pg_advisory_xact_lock({door}, 0);
with held as ({held})
select {take}({writer}, {run})
where not exists (
    select from held
    where (class = {seen_writer} and object <> {seen_run})
       or (class = {seen_queue} and object = {seen_run} and not {exclusive})
)
"""
_OWN = """
with held as ({held})
select 1 from held where pid = pg_backend_pid() and class = {seen_writer} and object = {seen_run}
"""
_HOLDERS = """
with held as ({held})
select pid, a.application_name, to_char(a.backend_start at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS UTC')
from held left join pg_stat_activity a using (pid)
where pid <> pg_backend_pid() and (class = {seen_writer} or class = {seen_queue} and object = {seen_run})
order by class <> {seen_writer}, a.backend_start, pid limit 5
"""


def writer(
    conn_id: str,
    *,
    target: str,
    run: str,
    exclusive: bool,
    on_wait: Callable[[str], None],
    poll: float = 0.5,
    timeout: timedelta | None = None,
    tag: str = "",
) -> contextlib.AbstractContextManager[Writer]:
    """Become the writer of a target, and stay it until the end of the `with` block.

    Two runs never write a target at once. Tasks of one run write together where all of them ask for it. Not to be
    nested: a task that asks twice waits for itself. The connection must lead to a session of its own, not to a pool
    that serves each transaction by another one.

    Args:
        conn_id: The Airflow connection of the warehouse; the writers of a target use one database.
        target: Names what is written, such as `warehouse/prod/analytics`.
        run: The run, by an id that no other run has.
        exclusive: Whether no other task of the run may write meanwhile.
        on_wait: Called with a sentence about who is waited for: at once, then every minute.
        poll: Seconds between two looks.
        timeout: How long to wait; none is for ever.
        tag: `application_name` of the session that holds the lock; made of target and run where empty. It is not
            the one of dbt's sessions, or ending those would end it too.

    Returns:
        The context manager.

    Raises:
        EnvironmentProblem: On entering: the warehouse fails, or the time is over.
    """
    lock = _Lock(target, run, exclusive=exclusive)
    name = tag or session_tag("writer", run, target)
    return _entered(conn_id, lock, name, on_wait=on_wait, poll=poll, timeout=timeout)


@dataclass(frozen=True, kw_only=True)
class _HeldBySession(Writer):
    session: Session
    lock: _Lock

    def is_held(self) -> bool:
        try:
            return self.session.execute(self.lock.own).fetchone() is not None
        except psycopg.Error:
            return False


class _Lock:
    """The statements for one lock of one run."""

    def __init__(self, target: str, run: str, *, exclusive: bool) -> None:
        writer_class, queue, door = (_key(kind, target) for kind in ("writer", "queue", "door"))
        own_run = _key("run", run)
        known = {
            "held": sql.SQL(_HELD),
            "take": sql.SQL("pg_try_advisory_lock" if exclusive else "pg_try_advisory_lock_shared"),
            "exclusive": sql.Literal(exclusive),
            "door": sql.Literal(door),
            "writer": sql.Literal(writer_class),
            "run": sql.Literal(own_run),
            # pg_locks shows the keys without their sign.
            "seen_writer": sql.Literal(writer_class % 2**32),
            "seen_queue": sql.Literal(queue % 2**32),
            "seen_run": sql.Literal(own_run % 2**32),
        }
        self.target = target
        self.exclusive = exclusive
        self.take = sql.SQL(_TAKE).format(**known)
        self.own = sql.SQL(_OWN).format(**known)
        self.holders = sql.SQL(_HOLDERS).format(**known)
        self.queue = sql.SQL("select pg_advisory_lock_shared({}, {})").format(queue, own_run)
        self.unqueue = sql.SQL("select pg_advisory_unlock_shared({}, {})").format(queue, own_run)


@contextlib.contextmanager
def _entered(
    conn_id: str,
    lock: _Lock,
    name: str,
    *,
    on_wait: Callable[[str], None],
    poll: float,
    timeout: timedelta | None,
) -> Iterator[Writer]:
    session = open_session(conn_id, name=name)
    try:
        try:
            if not _take(session, lock):
                _wait(session, lock, on_wait=on_wait, poll=poll, timeout=timeout)
        except psycopg.Error as error:
            raise unreachable(conn_id, error) from error
        yield _HeldBySession(target=lock.target, session=session, lock=lock)
    finally:
        with contextlib.suppress(psycopg.Error):
            # The server frees what an ended session held a moment later; whoever looks next need not wait for it.
            session.execute("select pg_advisory_unlock_all()")
        session.close()


def _wait(
    session: Session,
    lock: _Lock,
    *,
    on_wait: Callable[[str], None],
    poll: float,
    timeout: timedelta | None,
) -> None:
    started = said = time.monotonic()
    if lock.exclusive:
        session.execute(lock.queue)
    on_wait(_waiting(session, lock))
    while not _take(session, lock):
        now = time.monotonic()
        if timeout is not None and now - started >= timeout.total_seconds():
            raise EnvironmentProblem(
                f"{_waiting(session, lock)}; waited for {timeout}.",
                hint="Let the other run end, or end it; then clear this task.",
            )
        if now - said >= _SAY_AGAIN:
            said = now
            on_wait(_waiting(session, lock))
        time.sleep(poll)
    if lock.exclusive:
        session.execute(lock.unqueue)


def _take(session: Session, lock: _Lock) -> bool:
    cursor = session.execute(lock.take)
    cursor.nextset()
    row = cursor.fetchone()
    return row is not None and bool(row[0])


def _waiting(session: Session, lock: _Lock) -> str:
    holders = [
        f"{name or 'a session'} (process {pid}" + (f", since {since})" if since else ")")
        for pid, name, since in session.execute(lock.holders)
    ]
    return f"Waiting to write {lock.target}, held by {' and '.join(holders) or 'nobody any more'}"


def _key(kind: str, name: str) -> int:
    """A lock's key: 32 bits with a sign."""
    digest = hashlib.sha256(f"goldsmith {kind}\0{name}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:4], signed=True)
