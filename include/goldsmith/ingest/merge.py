"""All staged chunks of a run into the table, keyed, in one go.

The keys are dealt out to a few parts by ranges, so that parts never touch the same row and cannot deadlock.
Each part is a transaction on its own connection. None commits before all have done their work, and the first
commits last: an error in any part, or the end of this process, leaves the table as it was. Only a crash
between the commits, which follow each other at once, leaves some parts merged; a retry then adds the others.
One part, which small files have, leaves no such gap.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import psycopg
from psycopg import sql

from goldsmith.errors import IngestError
from goldsmith.ingest.leftovers import discard
from goldsmith.ingest.names import MERGE_LOCK, PART_LOCK, REJECTED, Connect, Connection, Names, lock, lock_run
from goldsmith.ingest.refusals import explained
from goldsmith.ingest.results import IngestResult, Loaded
from goldsmith.ingest.shape import check_target
from goldsmith.ingest.upsert import Upsert, key_bounds
from goldsmith.ingest.waiting import follow, limit_waits, watched
from goldsmith.spec.ingest import Ingest

log = logging.getLogger(__name__)

ROWS_PER_PART = 50_000
"""Fewer rows than this are not worth another connection."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Counts:
    inserted: int
    changed: int
    unchanged: int
    superseded: int


def merge(
    connect: Connect, ingest: Ingest, *, run: str, loaded: Sequence[Loaded], parallel: int = 4
) -> IngestResult:
    """Upsert what was staged, file the malformed rows, and remove the staging tables.

    May be repeated: what is merged already is not merged again, and the result is the same.

    Args:
        connect: Opens a connection.
        ingest: The file and its table.
        run: Name of the run.
        loaded: What was loaded, for every chunk of the file.
        parallel: Most connections at work at once.

    Raises:
        IngestError: Staged rows are gone, a row is not in the table afterwards, or the rows do not add up;
            nothing was merged then.
        IngestBlocked: Somebody holds a lock for too long.
    """
    names = Names(ingest, run)
    most = max(1, min(parallel, sum(chunk.staged for chunk in loaded) // ROWS_PER_PART))
    what = f"The merge of {ingest.file} into {ingest.source}"
    with explained(ingest), ExitStack() as stack:
        # Not opened in threads: Airflow's supervisor, which is asked for the connection, serves one.
        connections = [stack.enter_context(connect()) for _ in range(most)]
        first = connections[0]
        stamp = watched(connect, first, what, lambda: _begin(first, ingest, names))
        result = _merged_before(first, ingest, names, loaded)
        if result is None:
            job, rejected = watched(
                connect, first, what, lambda: _prepare(first, ingest, names, loaded, parts=most, stamp=stamp)
            )
            counts = _merge_parts(connect, connections[: job.parts], job, what)
            watched(connect, first, what, lambda: _file_rejected(first, job))
            result = _result(ingest, loaded, counts, rejected=rejected)
        for connection in reversed(connections):
            connection.commit()
    discard(connect, ingest, run)
    log.info("%s", result)
    return result


def _begin(connection: Connection, ingest: Ingest, names: Names) -> object:
    """Wait until no other run merges into the table; return the time from then on."""
    lock_run(connection, names)
    lock(connection, MERGE_LOCK, ingest.source)
    # The server may still be at work for a merge whose process was killed: its parts hold this lock.
    connection.execute("select pg_advisory_lock(%s, hashtext(%s))", (PART_LOCK, ingest.source))
    connection.execute("select pg_advisory_unlock(%s, hashtext(%s))", (PART_LOCK, ingest.source))
    return _one(connection.execute("select clock_timestamp()"))[0]


def _is_empty(connection: Connection, table: sql.Identifier) -> bool:
    return not _one(connection.execute(sql.SQL("select exists (select from {})").format(table)))[0]


def _merged_before(
    connection: Connection, ingest: Ingest, names: Names, loaded: Sequence[Loaded]
) -> IngestResult | None:
    """The result of this run's merge, if an earlier try of it got through: its first part commits last."""
    row = connection.execute(
        sql.SQL("select parts from {} where run = %s and part = 0").format(names.merges), (names.run,)
    ).fetchone()
    if row is None:
        return None
    done = _recorded(connection, names, parts=int(str(row[0])))
    return _result(ingest, loaded, list(done.values()), rejected=sum(chunk.rejected for chunk in loaded))


def _prepare(
    connection: Connection,
    ingest: Ingest,
    names: Names,
    loaded: Sequence[Loaded],
    *,
    parts: int,
    stamp: object,
) -> tuple[Upsert, int]:
    """Check that table and everything staged are there, and deal it out; return the malformed rows' number too."""
    limit_waits(connection)
    shape = check_target(connection, ingest, names)
    chunks = tuple(chunk.number for chunk in loaded)
    expected = sum(chunk.staged + chunk.rejected for chunk in loaded)
    try:
        staged = _count(connection, [names.staging(number) for number in chunks])
        rejected = _count(connection, [names.staging_rejected(number) for number in chunks])
    except psycopg.errors.UndefinedTable as fault:
        raise _staging_lost(ingest, str(fault.diag.message_primary)) from fault
    if staged + rejected != expected:
        raise _staging_lost(ingest, f"{staged + rejected} of {expected} rows are there")
    # Parts do not see each other's rows, and what a trigger does may depend on them.
    parts = 1 if shape.suspects else parts
    bounds = key_bounds(connection, ingest, names, chunks, staged=staged, parts=parts)
    # A table whose rows are hidden looks empty too.
    is_first = not shape.suspects and _is_empty(connection, names.target)
    job = Upsert(
        ingest=ingest, names=names, shape=shape, chunks=chunks, bounds=bounds, stamp=stamp, is_first=is_first
    )
    return job, rejected


def _result(
    ingest: Ingest, loaded: Sequence[Loaded], counts: Sequence[_Counts], *, rejected: int
) -> IngestResult:
    staged = sum(chunk.staged for chunk in loaded)
    return IngestResult(
        source=ingest.source,
        file=ingest.file,
        rows=staged + sum(chunk.rejected for chunk in loaded),
        inserted=sum(part.inserted for part in counts),
        changed=sum(part.changed for part in counts),
        unchanged=sum(part.unchanged for part in counts),
        superseded=sum(part.superseded for part in counts),
        rejected=rejected,
        files=_by_file(loaded),
    )


def _by_file(loaded: Sequence[Loaded]) -> dict[str, int]:
    """Records of each file; nothing if there is only one."""
    found: Counter[str] = Counter()
    for chunk in loaded:
        found.update(chunk.files)
    return dict(found) if len(found) > 1 else {}


def _staging_lost(ingest: Ingest, detail: str) -> IngestError:
    return IngestError(
        f"What was staged of {ingest.file} for {ingest.source} is not there any more: {detail}."
        " Nothing was merged.",
        hint="Staging does not outlive a crash of the database, nor its merge. Run the ingest again from its"
        " split: in Airflow, clear that task with its downstream tasks.",
    )


def _count(connection: Connection, tables: Sequence[sql.Identifier]) -> int:
    counts = [sql.SQL("(select count(*) from {})").format(table) for table in tables]
    return int(str(_one(connection.execute(sql.SQL("select {}").format(sql.SQL(" + ").join(counts))))[0]))


def _merge_parts(
    connect: Connect, connections: Sequence[Connection], job: Upsert, what: str
) -> list[_Counts]:
    """Merge every part that no earlier try has merged, each on its connection; commit none."""
    done = _recorded(connections[0], job.names, parts=job.parts)
    to_merge = [part for part in range(job.parts) if part not in done]
    with ThreadPoolExecutor(len(connections)) as threads:
        merging = [threads.submit(_merge_part, connections[part], job, part) for part in to_merge]
        merged = follow(connect, connections, what, merging)
    return [*done.values(), *merged]


def _recorded(connection: Connection, names: Names, *, parts: int) -> dict[int, _Counts]:
    """Parts that an earlier try of this run's merge has committed."""
    rows = connection.execute(
        sql.SQL(
            "select part, inserted, changed, unchanged, superseded from {} where run = %s and parts = %s"
        ).format(names.merges),
        (names.run, parts),
    )
    return {
        part: _Counts(inserted=inserted, changed=changed, unchanged=unchanged, superseded=superseded)
        for part, inserted, changed, unchanged, superseded in _integers(rows)
    }


def _merge_part(connection: Connection, job: Upsert, part: int) -> _Counts:
    connection.execute(
        "select pg_advisory_xact_lock_shared(%s, hashtext(%s))", (PART_LOCK, job.ingest.source)
    )
    # A row that somebody else has locked could wait for us in turn, over two of our connections.
    limit_waits(connection)
    connection.execute("set local work_mem = '64MB'")
    done = connection.execute(job.statement(part), job.parameters(part))
    inserted, changed, unchanged, written, staged = next(_integers(done))
    superseded = 0
    if staged != inserted + changed + unchanged:
        (superseded,) = next(_integers(connection.execute(job.superseded(part), job.parameters(part))))
    if written != inserted + changed:
        raise _lost(
            job,
            f"{inserted + changed - written} of {inserted + changed} new or changed rows were not written",
        )
    if job.shape.suspects:
        _check_all_there(connection, job, part)
    counts = _Counts(inserted=inserted, changed=changed, unchanged=unchanged, superseded=superseded)
    connection.execute(
        sql.SQL(
            "insert into {} (run, part, parts, inserted, changed, unchanged, superseded)"
            " values (%s, %s, %s, %s, %s, %s, %s)"
        ).format(job.names.merges),
        (job.names.run, part, job.parts, inserted, changed, unchanged, superseded),
    )
    return counts


def _check_all_there(connection: Connection, job: Upsert, part: int) -> None:
    """Look for every row in the table, once everything that hangs on its triggers has happened."""
    connection.execute("set constraints all immediate")
    missing, others, first = _one(connection.execute(job.missing(part), job.parameters(part)))
    if missing:
        raise _lost(
            job, f"{missing} rows are not in the table, such as {job.ingest.key[0]} = {str(first)[:100]!r}"
        )
    if others:
        log.warning(
            "%s: %s rows have other values than in %s, by %s",
            job.ingest.source, others, job.ingest.file, " and ".join(job.shape.suspects),
        )  # fmt: skip


def _lost(job: Upsert, what: str) -> IngestError:
    suspects = " and ".join(job.shape.suspects) or "another session that writes the same rows"
    return IngestError(
        f"{job.ingest.file} into {job.ingest.source}: {what} after the merge, which may be due to {suspects}."
        " Nothing was merged.",
        hint=f"Correct or disable that (see `\\d {job.ingest.source}` in psql), and clear the merge task."
        if job.shape.suspects
        else "Clear the merge task once no other session writes to the table.",
    )


def _file_rejected(connection: Connection, job: Upsert) -> None:
    """Keep malformed rows; those of a file that was loaded before are there already."""
    ingest = job.ingest
    for number in job.chunks:
        staged = job.names.staging_rejected(number)
        connection.execute(
            sql.SQL(
                "insert into {} (file, line, reason, raw, table_name, load_timestamp)"
                " select file, line, reason, raw, %s, %s from {} on conflict do nothing"
            ).format(job.names.rejected, staged),
            (ingest.source, job.stamp),
        )
        missing = _one(
            connection.execute(
                sql.SQL(
                    "select count(*) from {} as staged where not exists (select from {} as kept"
                    " where kept.table_name = %s and kept.file = staged.file and kept.line = staged.line"
                    " and md5(kept.raw) = md5(staged.raw))"
                ).format(staged, job.names.rejected),
                (ingest.source,),
            )
        )[0]
        if missing:
            raise IngestError(
                f"{missing} malformed rows of {ingest.file} did not arrive in"
                f" {ingest.schema_name}.{REJECTED}. Nothing was merged.",
                hint="Triggers or row level security of that table swallow or hide them.",
            )


def _one(cursor: psycopg.Cursor[tuple[object, ...]]) -> tuple[object, ...]:
    row = cursor.fetchone()
    if row is None:
        raise IngestError(
            "The warehouse answered a count with no row.", hint="Is it PostgreSQL, version 14 or later?"
        )
    return row


def _integers(cursor: psycopg.Cursor[tuple[object, ...]]) -> Iterator[tuple[int, ...]]:
    return (tuple(int(str(value)) for value in row) for row in cursor)
