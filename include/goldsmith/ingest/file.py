"""A whole file into its table, in threads: for what runs outside Airflow."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from uuid import uuid4

import psycopg

from goldsmith.ingest.chunks import split
from goldsmith.ingest.leftovers import discard
from goldsmith.ingest.load import load
from goldsmith.ingest.merge import merge
from goldsmith.ingest.names import RUN_LOCK, Connect, Names
from goldsmith.ingest.results import Chunk, IngestResult
from goldsmith.ingest.tables import prepare
from goldsmith.spec.ingest import Ingest


def load_file(conninfo: str, ingest: Ingest, root: Path, *, parallel: int = 4) -> IngestResult:
    """Load a file into its table by the same steps as the task group.

    Args:
        conninfo: Connection string or URL of a PostgreSQL database.
        ingest: The file and its table.
        root: The folder a relative path starts from.
        parallel: Most connections at work at once.

    Raises:
        IngestError: The file or the table is not what the ingest says; the table is as it was.
        psycopg.OperationalError: The database cannot be reached.
    """
    connect: Connect = partial(psycopg.connect, conninfo)
    run = uuid4().hex
    chunks = split(ingest, root)
    with connect() as keeper:
        # Held until this process is done or dead: other loads do not remove what it stages.
        keeper.autocommit = True
        keeper.execute("select pg_advisory_lock_shared(%s, hashtext(%s))", (RUN_LOCK, Names(ingest, run).run))
        return _load(connect, ingest, root, run=run, chunks=chunks, parallel=parallel)


def _load(
    connect: Connect, ingest: Ingest, root: Path, *, run: str, chunks: list[Chunk], parallel: int
) -> IngestResult:
    prepare(connect, ingest, run)
    try:
        with ThreadPoolExecutor(parallel) as threads:
            loaded = list(
                threads.map(lambda chunk: load(connect, ingest, root, run=run, chunk=chunk), chunks)
            )
        return merge(connect, ingest, run=run, loaded=loaded, parallel=parallel)
    except BaseException:
        # Nobody can retry a run whose name is known here only.
        with suppress(psycopg.Error):
            discard(connect, ingest, run)
        raise
