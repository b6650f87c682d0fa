"""A place for files and tables of an ingest, for the tests that load files into a real PostgreSQL."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from itertools import count
from pathlib import Path

import psycopg
from psycopg import sql

from goldsmith.ingest.chunks import split
from goldsmith.ingest.file import load_file
from goldsmith.ingest.load import load
from goldsmith.ingest.results import IngestResult, Loaded
from goldsmith.ingest.tables import prepare
from goldsmith.spec.ingest import Ingest

LAKES = count(1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lake:
    """A schema of its own in the warehouse, and a folder of raw files."""

    conninfo: str
    schema: str
    root: Path

    def ingest(self, *, table: str = "things", key: tuple[str, ...] = ("id",)) -> Ingest:
        """The ingest of a file with the columns id, name and price."""
        columns = ("id", "name", "price")
        return Ingest(
            source=f"{self.schema}.{table}", file="things.csv", key=key, columns=columns, chunk_mb=1
        )

    def write(self, rows: str | bytes) -> None:
        """Write a file with the header id,name,price."""
        data = rows.encode() if isinstance(rows, str) else rows
        (self.root / "things.csv").write_bytes(b"id,name,price\n" + data)

    def execute(self, text: str) -> None:
        """Change something in the warehouse; `{}` in the text is the schema."""
        with self.connect() as connection:
            connection.execute(sql.SQL(text).format(sql.Identifier(self.schema)))

    def load(self, *, table: str = "things") -> IngestResult:
        """Load a file."""
        return load_file(self.conninfo, self.ingest(table=table), self.root)

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """Open a connection."""
        return psycopg.connect(self.conninfo)

    def query(self, text: str) -> list[tuple[object, ...]]:
        """Ask the warehouse; `{}` in the text is the schema."""
        with self.connect() as connection:
            return connection.execute(sql.SQL(text).format(sql.Identifier(self.schema))).fetchall()

    def things(self) -> dict[object, tuple[object, ...]]:
        """The table's rows by key."""
        return {row[0]: row[1:] for row in self.query("select id, name, price from {}.things")}

    def load_times(self) -> dict[object, object]:
        """The rows' load times by key."""
        return {row[0]: row[1] for row in self.query("select id, load_timestamp from {}.things")}

    def staging_tables(self) -> list[object]:
        """Tables that staged rows, still there."""
        with self.connect() as connection:
            rows = connection.execute(
                "select tablename from pg_tables where schemaname = %s and tablename <> 'merges' order by 1",
                (f"{self.schema}_staging",),
            )
            return [row[0] for row in rows]


def counts(result: IngestResult) -> tuple[int, ...]:
    """Rows, inserted, changed, unchanged, superseded, rejected."""
    return astuple(result)[2:8]


def stage(lake: Lake, run: str) -> tuple[Ingest, list[Loaded]]:
    """Go through an ingest up to its merge."""
    ingest = lake.ingest()
    chunks = split(ingest, lake.root)
    prepare(lake.connect, ingest, run)
    return ingest, [load(lake.connect, ingest, lake.root, run=run, chunk=chunk) for chunk in chunks]
