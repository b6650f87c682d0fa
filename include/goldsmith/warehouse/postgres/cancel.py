"""Ending what a lost or cancelled task still runs in the warehouse."""

from __future__ import annotations

import time

import psycopg

from goldsmith.errors import EnvironmentProblem
from goldsmith.warehouse.postgres.session import Session, open_session, unreachable

# By the login, not `current_user`: that is how pg_stat_activity knows a session.
_END = """
select pid, pg_terminate_backend(pid) from pg_stat_activity
where application_name = %s and usename = session_user and pid <> pg_backend_pid()
"""
# dbt names in a comment of each statement the node that it is for.
_CANCEL = """
select pg_cancel_backend(pid) from pg_stat_activity
where application_name = %s and usename = session_user and pid <> pg_backend_pid()
  and state = 'active' and strpos(query, %s) > 0
"""
_CANCEL_TIME = 5  # seconds
_LONGEST_PAUSE = 0.1  # seconds


def end_sessions(conn_id: str, tag: str, *, timeout: float) -> int:
    """End the sessions of a tag, with what they run, and wait until they are gone.

    Safe in a signal handler once this process has opened a session of the connection (an earlier call does that):
    it then asks Airflow for nothing and logs nothing.

    Args:
        conn_id: The Airflow connection of the warehouse.
        tag: Their `application_name` in full; only sessions of the connection's own login are ended.
        timeout: Seconds for all of it.

    Returns:
        How many sessions there were.

    Raises:
        EnvironmentProblem: The warehouse does not answer, or a session is still there after the time.
    """
    end = time.monotonic() + timeout
    with open_session(conn_id, name="goldsmith end sessions", connect_timeout=int(timeout)) as session:
        try:
            session.execute("select set_config('statement_timeout', %s, false)", (str(int(timeout * 1000)),))
            return _end(session, tag, end)
        except psycopg.Error as error:
            raise unreachable(conn_id, error) from error


def cancel_node(conn_id: str, tag: str, unique_id: str) -> int:
    """Cancel what dbt runs for one node; its session goes on with others.

    Args:
        conn_id: The Airflow connection of the warehouse.
        tag: The `application_name` of dbt's sessions.
        unique_id: dbt's, of the node.

    Returns:
        How many queries.

    Raises:
        EnvironmentProblem: The warehouse does not answer.
    """
    with open_session(conn_id, name="goldsmith cancel", connect_timeout=_CANCEL_TIME) as session:
        try:
            session.execute("select set_config('statement_timeout', %s, false)", (str(_CANCEL_TIME * 1000),))
            found = session.execute(_CANCEL, (tag, f'"node_id": "{unique_id}"')).fetchall()
        except psycopg.Error as error:
            raise unreachable(conn_id, error) from error
    return sum(bool(was_sent) for (was_sent,) in found)


def _end(session: Session, tag: str, end: float) -> int:
    ended: set[int] = set()
    pause = 0.005
    while left := {pid for pid, _ in session.execute(_END, (tag,))}:
        ended |= left
        if time.monotonic() + pause > end:
            raise EnvironmentProblem(
                f"{len(left)} session(s) {tag!r} did not end in the warehouse in time: process {_listed(left)}.",
                hint="See pg_stat_activity for what they wait for.",
            )
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    return len(ended)


def _listed(pids: set[int]) -> str:
    return ", ".join(map(str, sorted(pids)))
