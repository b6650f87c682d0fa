"""One chunk of a file into its staging table."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

import psycopg
from psycopg import sql

from goldsmith.errors import IngestError
from goldsmith.ingest.leftovers import PROCESS, made_now
from goldsmith.ingest.names import CHUNK_LOCK, Connect, Connection, Names, lock, lock_run, position_column
from goldsmith.ingest.reader import read_blocks
from goldsmith.ingest.refusals import explained
from goldsmith.ingest.results import Chunk, Loaded, checksum
from goldsmith.ingest.rows import sort_rows
from goldsmith.ingest.source import RawFile, changed
from goldsmith.ingest.waiting import limit_waits, watched
from goldsmith.spec.ingest import Ingest

log = logging.getLogger(__name__)

_SHOWN = 5
"""How many malformed rows of a chunk are written to the log."""
_SERVER_ENCODING = {"utf-8": "UTF8", "latin-1": "LATIN1", "iso-8859-15": "LATIN9", "cp1252": "WIN1252"}


def load(
    connect: Connect, ingest: Ingest, root: Path, *, run: str, chunk: Chunk, owner: str = PROCESS
) -> Loaded:
    """Copy a chunk's good rows into a staging table, and its malformed ones into another.

    All of it is one transaction that starts by removing what an earlier try has left, so it may be repeated.

    Args:
        connect: Opens a connection.
        ingest: The file and its table.
        root: The folder a relative path starts from.
        run: Name of the run.
        chunk: The byte range.
        owner: Who may be asked later whether this load is over; see `leftovers`.

    Raises:
        IngestError: The file is not the one that was split, or PostgreSQL did not take every row.
    """
    names = Names(ingest, run)
    # A connection takes one COPY at a time, so malformed rows wait here, on disk if they are many.
    with (
        _opened(root / ingest.file, ingest, chunk) as file,
        SpooledTemporaryFile(max_size=1 << 20, mode="w+", encoding="utf-8") as spool,
        explained(ingest),
        connect() as connection,
    ):
        make = partial(_create_staging, connection, ingest, names, number=chunk.number, owner=owner)
        watched(connect, connection, f"The load of {ingest.file} for {ingest.source}", make)
        try:
            loaded = _copy(connection, ingest, root, names=names, chunk=chunk, spool=spool)
        finally:
            # If the file has changed, that is the reason for whatever else is wrong.
            file.check_unchanged()
        _stage_rejected(connection, names.staging_rejected(chunk.number), spool)
    log.info(
        "%s, lines %d to %d: %d rows staged, %d rejected",
        ingest.file, chunk.first_line, chunk.last_line, loaded.staged, loaded.rejected,
    )  # fmt: skip
    return loaded


def _opened(path: Path, ingest: Ingest, chunk: Chunk) -> RawFile:
    try:
        file = RawFile(path, ingest.file)
    except OSError as fault:
        raise IngestError(
            f"{ingest.file}, line {chunk.first_line}: cannot be read ({fault.strerror}). Looked at {path}.",
            hint="Every worker needs the file under the same path.",
        ) from None
    if file.identity.size != chunk.file_size:
        with file:
            raise changed(
                ingest.file, f"since it was split: {chunk.file_size} bytes then, {file.identity.size} now"
            )
    return file


def _create_staging(connection: Connection, ingest: Ingest, names: Names, *, number: int, owner: str) -> None:
    limit_waits(connection)
    lock_run(connection, names)
    lock(connection, CHUNK_LOCK, names.chunk(number))
    # A merge that this run may have had is void: its staging changes now.
    connection.execute(sql.SQL("delete from {} where run = %s").format(names.merges), (names.run,))
    table, rejected = names.staging(number), names.staging_rejected(number)
    connection.execute(sql.SQL("drop table if exists {}, {}").format(table, rejected))
    # Keys sort as bytes, several times faster than by a language's rules.
    columns = [
        sql.SQL('{} text collate "C"' if name in ingest.key else "{} text").format(sql.Identifier(name))
        for name in ingest.columns
    ]
    connection.execute(
        sql.SQL(
            "create unlogged table {} ({}, {} bigint generated always as identity (cache 1000))"
            " with (autovacuum_enabled = false)"
        ).format(table, sql.SQL(", ").join(columns), sql.Identifier(position_column(ingest)))
    )
    connection.execute(
        sql.SQL("create unlogged table {} (line bigint, reason text, raw text)").format(rejected)
    )
    for made in (table, rejected):
        made_now(connection, made, owner)


def _copy(
    connection: Connection,
    ingest: Ingest,
    root: Path,
    *,
    names: Names,
    chunk: Chunk,
    spool: IO[str],
) -> Loaded:
    statement = sql.SQL("copy {} ({}) from stdin (format csv, delimiter {}, encoding {})").format(
        names.staging(chunk.number),
        sql.SQL(", ").join(map(sql.Identifier, ingest.columns)),
        ingest.delimiter,
        _SERVER_ENCODING[ingest.encoding],
    )
    counts = {"rows": 0, "rejected": 0}
    digest = checksum()
    try:
        with connection.cursor() as cursor:
            with cursor.copy(statement) as copy:
                for good in _good_rows(
                    ingest, root, chunk=chunk, spool=spool, counts=counts, seen=digest.update
                ):
                    copy.write(good)
            staged = cursor.rowcount
    except psycopg.DataError as fault:
        raise IngestError(
            f"{ingest.file}, lines {chunk.first_line} to {chunk.last_line}: PostgreSQL refuses a row:"
            f" {fault.diag.message_primary}, {fault.diag.context}.",
            hint="The line it names is counted from the first line of the chunk.",
        ) from fault
    if digest.hexdigest() != chunk.checksum:
        raise changed(
            ingest.file, f"since it was split: lines {chunk.first_line} to {chunk.last_line} are others now"
        )
    if staged != counts["rows"] - counts["rejected"]:
        raise IngestError(
            f"{ingest.file}, lines {chunk.first_line} to {chunk.last_line}: {counts['rows']} rows were read"
            f" and {counts['rejected']} rejected, but {staged} arrived in staging.",
            hint="Report this with the lines: a row was counted otherwise than PostgreSQL counts it.",
        )
    return Loaded(number=chunk.number, staged=staged, rejected=counts["rejected"])


def _good_rows(
    ingest: Ingest,
    root: Path,
    *,
    chunk: Chunk,
    spool: IO[str],
    counts: dict[str, int],
    seen: Callable[[bytes], object],
) -> Iterator[bytes]:
    """Yield what to copy, writing malformed rows to the spool and counting both on the way."""
    line = chunk.first_line
    blocks = read_blocks(
        root / ingest.file,
        start=chunk.start, end=chunk.end, line=line, delimiter=ord(ingest.delimiter), name=ingest.file,
        longest=ingest.max_record, seen=seen,
    )  # fmt: skip
    for block in blocks:
        rows = sort_rows(block, ingest)
        counts["rows"] += block.records
        for row in rows.rejected:
            spool.write(json.dumps((line + row.line, row.reason, row.raw)) + "\n")
            counts["rejected"] += 1
            if counts["rejected"] <= _SHOWN:
                log.warning("%s, line %d is rejected: %s", ingest.file, line + row.line, row.reason)
        line += block.lines
        yield rows.good


def _stage_rejected(connection: Connection, table: sql.Identifier, spool: IO[str]) -> None:
    spool.seek(0)
    with connection.cursor().copy(sql.SQL("copy {} from stdin").format(table)) as copy:
        for row in spool:
            copy.write_row(json.loads(row))
