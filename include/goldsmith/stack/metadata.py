"""Airflow's tables: made once for a database and a version of Airflow."""

from __future__ import annotations

import hashlib
import importlib.metadata
import subprocess
import sys
from collections.abc import Callable, Mapping

from goldsmith.errors import EnvironmentProblem
from goldsmith.stack.environment import METADATA_URL
from goldsmith.stack.postgres import EmbeddedPostgres
from goldsmith.stack.state import StateDir


def migrate(
    state: StateDir, env: Mapping[str, str], *, server: EmbeddedPostgres | None, report: Callable[[str], None]
) -> None:
    """Bring Airflow's tables up to date, where that has not been done yet.

    Args:
        state: The state folder, which remembers what was done.
        env: The components' environment.
        server: The embedded server where it holds the tables.
        report: Called with a line before the work, which takes seconds.

    Raises:
        EnvironmentProblem: Airflow cannot make its tables.
    """
    address = hashlib.sha256(env[METADATA_URL].encode()).hexdigest()[:16]
    wanted = f"{importlib.metadata.version('apache-airflow')} {address}"
    if state.remembered().get("migrated") == wanted and (server is None or _has_tables(server)):
        return
    where = "" if server else f" in the database that {METADATA_URL} names: {_address(env[METADATA_URL])}"
    report(f"Creating or updating Airflow's tables{where}")
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=dict(env),
        cwd=state.airflow_home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    log = state.logs / "migrate.log"
    log.write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        raise EnvironmentProblem(
            "Airflow could not create its tables:\n" + last_lines(done.stderr or done.stdout),
            hint=f"The whole output: {log}",
        )
    state.remember(migrated=wanted)


def last_lines(text: str, count: int = 15) -> str:
    """The end of an output, without its empty lines."""
    return "\n".join([line for line in text.splitlines() if line.strip()][-count:])


def _address(url: str) -> str:
    """Host and database of a SQLAlchemy URL; never its user or password."""
    import sqlalchemy  # half a second, which most commands need not pay

    try:
        found = sqlalchemy.make_url(url)
    except sqlalchemy.exc.ArgumentError:
        return "not a URL that SQLAlchemy reads"
    host = found.host or found.query.get("host") or found.get_backend_name()
    return f"{host}/{found.database or ''}"


def _has_tables(server: EmbeddedPostgres) -> bool:
    with server.connected("airflow") as connection:
        row = connection.execute("select to_regclass('alembic_version') is not null").fetchone()
    return bool(row and row[0])
