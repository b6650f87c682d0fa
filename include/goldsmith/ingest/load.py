"""One chunk into its staging table: a part of a file, or several small files."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

import psycopg
from psycopg import sql

from goldsmith.errors import IngestError
from goldsmith.ingest.converted import copied
from goldsmith.ingest.files import format_of, on_disk
from goldsmith.ingest.json_lines import read_json_lines
from goldsmith.ingest.leftovers import PROCESS, made_now
from goldsmith.ingest.names import CHUNK_LOCK, Connect, Connection, Names, lock, lock_run, position_column
from goldsmith.ingest.parquet import read_parquet
from goldsmith.ingest.reader import BLOCK, read_blocks
from goldsmith.ingest.refusals import explained
from goldsmith.ingest.results import Chunk, Loaded, Part, checksum
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
        chunk: The byte range, or the files.
        owner: Who may be asked later whether this load is over; see `leftovers`.

    Raises:
        IngestError: The file is not the one that was split, or PostgreSQL did not take every row.
    """
    names = Names(ingest, run)
    name = chunk.parts[0].file
    # A connection takes one COPY at a time, so malformed rows wait here, on disk if they are many.
    with (
        SpooledTemporaryFile(max_size=1 << 20, mode="w+", encoding="utf-8") as spool,
        explained(ingest),
        connect() as connection,
    ):
        make = partial(_create_staging, connection, ingest, names, number=chunk.number, owner=owner)
        watched(connect, connection, f"The load of {name} for {ingest.source}", make)
        staging = _Staging(connection=connection, table=names.staging(chunk.number), spool=spool)
        counts = [_load_part(staging, ingest, root, part) for part in chunk.parts]
        _stage_rejected(connection, names.staging_rejected(chunk.number), spool)
    files: Counter[str] = Counter()
    for part, (staged, rejected) in zip(chunk.parts, counts, strict=True):
        files[part.file] += staged + rejected
    return Loaded(
        number=chunk.number,
        staged=sum(staged for staged, _ in counts),
        rejected=sum(rejected for _, rejected in counts),
        files=dict(files),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Staging:
    """Where the rows of a chunk go."""

    connection: Connection
    table: sql.Identifier
    spool: IO[str]


def _load_part(staging: _Staging, ingest: Ingest, root: Path, part: Part) -> tuple[int, int]:
    """Copy the rows of a part, and give the numbers of those that were staged and rejected."""
    own = ingest.model_copy(update={"file": part.file})
    kind = format_of(ingest, [part.file])
    with on_disk(part.file, root) as path, _opened(path, own, part, kind) as file:
        try:
            done = _copy(staging, own, path, part=part, kind=kind, file=file)
        finally:
            # If the file has changed, that is the reason for whatever else is wrong.
            file.check_unchanged()
    log.info(
        "%s, lines %d to %d: %d rows staged, %d rejected", part.file, part.first_line, part.last_line, *done
    )
    return done


def _opened(path: Path, ingest: Ingest, part: Part, kind: str) -> RawFile:
    try:
        file = RawFile(path, ingest.file, is_text=kind != "parquet")
    except OSError as fault:
        raise IngestError(
            f"{ingest.file}, line {part.first_line}: cannot be read ({fault.strerror}). Looked at {path}.",
            hint="Every worker needs the file under the same path.",
        ) from None
    if file.identity.size != part.file_size:
        with file:
            raise changed(
                ingest.file, f"since it was split: {part.file_size} bytes then, {file.identity.size} now"
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
        sql.SQL("create unlogged table {} (file text, line bigint, reason text, raw text)").format(rejected)
    )
    for made in (table, rejected):
        made_now(connection, made, owner)


def _copy(
    staging: _Staging, ingest: Ingest, path: Path, *, part: Part, kind: str, file: RawFile
) -> tuple[int, int]:
    is_csv = kind == "csv"
    statement = sql.SQL("copy {} ({}) from stdin (format csv, delimiter {}, encoding {})").format(
        staging.table,
        sql.SQL(", ").join(map(sql.Identifier, ingest.columns)),
        ingest.delimiter if is_csv else ",",
        _SERVER_ENCODING[ingest.encoding if is_csv else "utf-8"],
    )
    rows = _Rows(ingest=ingest, part=part, spool=staging.spool)
    try:
        with staging.connection.cursor() as cursor:
            with cursor.copy(statement) as copy:
                for good in rows.good_of_csv(path) if is_csv else rows.good_of(kind, path, file):
                    copy.write(good)
            staged = cursor.rowcount
    except psycopg.DataError as fault:
        raise IngestError(
            f"{ingest.file}, lines {part.first_line} to {part.last_line}: PostgreSQL refuses a row:"
            f" {fault.diag.message_primary}, {fault.diag.context}.",
            hint="The line it names is counted from the first line of the chunk.",
        ) from fault
    rows.check(staged)
    return staged, rows.rejected


class _Rows:
    """The rows of a part: what is to be copied, what is rejected, and how many they were.

    Args:
        ingest: With the name of the file.
        part: The part.
        spool: Takes malformed rows.
    """

    def __init__(self, *, ingest: Ingest, part: Part, spool: IO[str]) -> None:
        self._ingest, self._part, self._spool = ingest, part, spool
        self._digest = checksum()
        self.rows = self.rejected = 0

    def good_of_csv(self, path: Path) -> Iterator[bytes]:
        """Yield what to copy."""
        line = self._part.first_line
        blocks = read_blocks(
            path,
            start=self._part.start, end=self._part.end, line=line, delimiter=ord(self._ingest.delimiter),
            name=self._ingest.file, longest=self._ingest.max_record, seen=self._digest.update,
        )  # fmt: skip
        for block in blocks:
            found = sort_rows(block, self._ingest)
            self.rows += block.records
            for row in found.rejected:
                self._reject(line + row.line, row.reason, row.raw)
            line += block.lines
            yield found.good

    def good_of(self, kind: str, path: Path, file: RawFile) -> Iterator[bytes]:
        """Yield what to copy of a file that is not CSV."""
        if kind == "parquet":
            while block := file.read(BLOCK):
                self._digest.update(block)
            records = read_parquet(path, self._ingest)
        else:
            records = read_json_lines(file, self._ingest, self._digest.update)
        for good, count in copied(records, self._ingest, self._reject):
            self.rows += count
            yield good

    def check(self, staged: int) -> None:
        """Hold what was read against what was split, and against what arrived.

        Raises:
            IngestError: They differ.
        """
        where = f"lines {self._part.first_line} to {self._part.last_line}"
        if self._digest.hexdigest() != self._part.checksum:
            raise changed(self._ingest.file, f"since it was split: {where} are others now")
        if staged != self.rows - self.rejected:
            raise IngestError(
                f"{self._ingest.file}, {where}: {self.rows} rows were read"
                f" and {self.rejected} rejected, but {staged} arrived in staging.",
                hint="Report this with the lines: a row was counted otherwise than PostgreSQL counts it.",
            )

    def _reject(self, line: int, reason: str, raw: str) -> None:
        self._spool.write(json.dumps((self._ingest.file, line, reason, raw)) + "\n")
        self.rejected += 1
        if self.rejected <= _SHOWN:
            log.warning("%s, line %d is rejected: %s", self._ingest.file, line, reason)


def _stage_rejected(connection: Connection, table: sql.Identifier, spool: IO[str]) -> None:
    spool.seek(0)
    with connection.cursor().copy(sql.SQL("copy {} from stdin").format(table)) as copy:
        for row in spool:
            copy.write_row(json.loads(row))
