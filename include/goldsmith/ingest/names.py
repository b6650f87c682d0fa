"""The names of an ingest's tables, and the locks of its steps."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import psycopg
from psycopg import sql

from goldsmith.spec.ingest import Ingest

Connection = psycopg.Connection[tuple[object, ...]]
Connect = Callable[[], Connection]
"""Opens a connection to the warehouse, not in autocommit mode."""

REJECTED = "rejected_rows"

DDL_LOCK, MERGE_LOCK, PART_LOCK, CHUNK_LOCK, RUN_LOCK = 710_001, 710_002, 710_003, 710_004, 710_005


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


def free_name(name: str, ingest: Ingest) -> str:
    """Return a name that no column of the file has."""
    while name in ingest.columns:
        name += "_"
    return name


def position_column(ingest: Ingest) -> str:
    """Name of the staging column that orders the rows of a chunk as in the file."""
    return free_name("position", ingest)


def lock(connection: Connection, kind: int, name: str) -> None:
    """Wait for a lock that is held until the transaction ends."""
    connection.execute("select pg_advisory_xact_lock(%s, hashtext(%s))", (kind, name))


def lock_run(connection: Connection, names: Names) -> None:
    """Show, until the transaction ends, that the run is at work: nobody removes its staging tables."""
    connection.execute("select pg_advisory_xact_lock_shared(%s, hashtext(%s))", (RUN_LOCK, names.run))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
