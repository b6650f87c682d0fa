"""The first of the rows that made a test fail."""

from __future__ import annotations

import logging

import psycopg
from psycopg import sql

from goldsmith.errors import EnvironmentProblem
from goldsmith.results.record import FailingRows
from goldsmith.warehouse.postgres.session import Session, open_session
from goldsmith.warehouse.samples import LONGEST_VALUE, MOST_COLUMNS, shown

log = logging.getLogger(__name__)


def sample_rows(conn_id: str, query: str, *, limit: int, timeout: float) -> FailingRows | None:
    """Read the first rows of a test's compiled SQL, as text.

    Args:
        conn_id: The Airflow connection of the warehouse.
        query: The compiled SQL, one `select` as dbt makes it. It can change nothing.
        limit: Rows to read at most.
        timeout: Seconds that each of its two statements may take.

    Returns:
        The rows; of each the first 20 columns, of each value the first 200 characters. None if the SQL fails,
        with a line in the log: a sample is never the reason for a failure.
    """
    try:
        with open_session(conn_id, name="goldsmith sample") as session:
            session.execute("set default_transaction_read_only = on")
            session.execute("select set_config('statement_timeout', %s, false)", (str(int(timeout * 1000)),))
            return _read(session, query, limit)
    except (psycopg.Error, EnvironmentProblem) as error:
        log.warning("No sample of failing rows: %s", str(error).strip())
        return None


def _read(session: Session, query: str, limit: int) -> FailingRows:
    # On lines of its own: the SQL may end in a comment.
    failing = sql.SQL("(\n{}\n) as failing").format(sql.SQL(query))
    described = session.execute(sql.SQL("select * from {} limit 0").format(failing)).description or ()
    columns = tuple(column.name for column in described)[:MOST_COLUMNS]
    # By names of our own: a column may be there twice. Cut by the server: a value may be larger than this machine.
    aliases = [sql.Identifier(f"goldsmith {number}") for number, _ in enumerate(columns)]
    values = [sql.SQL("left({}::text, {})").format(alias, LONGEST_VALUE + 1) for alias in aliases]
    rows = session.execute(
        sql.SQL("select {} from {} ({}) limit {}").format(
            sql.SQL(", ").join(values), failing, sql.SQL(", ").join(aliases), limit
        )
    ).fetchall()
    return FailingRows(columns=columns, rows=tuple(tuple(map(shown, row)) for row in rows))
