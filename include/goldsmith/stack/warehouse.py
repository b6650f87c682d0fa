"""The warehouse for work with dbt alone: the embedded database with the raw files of pipelines in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from goldsmith.errors import ConfigurationError
from goldsmith.ingest.file import load_file
from goldsmith.spec.pipeline import Pipeline
from goldsmith.stack.dotenv import write_dotenv
from goldsmith.stack.environment import WAREHOUSE
from goldsmith.stack.postgres import PORT, SUPERUSER, EmbeddedPostgres
from goldsmith.stack.stack import Stack


def start_warehouse(
    stack: Stack, pipelines: Callable[[], Iterable[Pipeline]], report: Callable[[str], None]
) -> EmbeddedPostgres:
    """Start the embedded database, load the pipelines' raw files, and write `.env`.

    Args:
        stack: The local stack.
        pipelines: Gives the pipelines whose raw files are loaded; called when the database is there.
        report: Called with a line for each step.

    Raises:
        ConfigurationError: The user has named a warehouse.
        EnvironmentProblem: The database does not start.
        IngestError: A raw file cannot be loaded.
    """
    if not stack.needs.warehouse:
        raise ConfigurationError(
            f"{WAREHOUSE} names a warehouse of your own: there is none to start.", hint=f"unset {WAREHOUSE}"
        )
    report("Starting PostgreSQL")
    server = stack.start_database()
    for spec in pipelines():
        for ingest in spec.ingest:
            with server.wrapped_errors():
                result = load_file(server.conninfo("warehouse"), ingest, stack.root)
            report(f"Loaded {result}")
    kept = write_dotenv(stack.root / ".env", dbt_variables(server))
    report(f"Wrote {stack.root / '.env'}" + (f"; kept your own {', '.join(kept)}" if kept else ""))
    return server


def dbt_variables(server: EmbeddedPostgres) -> dict[str, str]:
    """What the dbt profile reads from the environment."""
    return {
        "WAREHOUSE_TYPE": "postgres",
        "WAREHOUSE_HOST": str(server.socket_dir),
        "WAREHOUSE_PORT": str(PORT),
        "WAREHOUSE_USER": SUPERUSER,
        "WAREHOUSE_DATABASE": "warehouse",
    }
