"""Records of formats other than CSV, as bytes for PostgreSQL's COPY, or as rejected rows with their reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from goldsmith.ingest.records import KEPT
from goldsmith.spec.ingest import Ingest

Reject = Callable[[int, str, str], object]
"""Takes a record that cannot be loaded: its line, the reason and the record."""
_BLOCK = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """One record of a file."""

    line: int
    """Number of the line or, in a Parquet file, of the row; the first one is 1."""
    values: Sequence[str | None] = ()
    """Of the columns of the ingest, in their order; none if it cannot be loaded."""
    reason: str = ""
    """Why it cannot be loaded."""
    raw: str = ""
    """The record as it was, or the start of a long one."""


def copied(records: Iterable[Record], ingest: Ingest, reject: Reject) -> Iterator[tuple[bytes, int]]:
    """Yield bytes in COPY's CSV format, in UTF-8, with the number of records that they and the rejected ones are.

    Every value stands in quotes, so that an empty text is not a null.

    Args:
        records: Of one file.
        ingest: Its columns and limits.
        reject: Called for each record that cannot be loaded.
    """
    keys = [ingest.columns.index(name) for name in ingest.key]
    made, count = bytearray(), 0
    for record in records:
        count += 1
        line = b"" if record.reason else _line(record.values)
        if reason := record.reason or _fault(record, line, ingest, keys):
            reject(record.line, reason, (record.raw or _shown(record.values))[:KEPT].replace("\0", "\\x00"))
        else:
            made += line
        if len(made) >= _BLOCK:
            yield bytes(made), count
            made, count = bytearray(), 0
    if made or count:
        yield bytes(made), count


def _line(values: Sequence[str | None]) -> bytes:
    fields = ("" if value is None else '"' + value.replace('"', '""') + '"' for value in values)
    return (",".join(fields) + "\n").encode("utf-8", "surrogatepass")


def _fault(record: Record, line: bytes, ingest: Ingest, keys: Sequence[int]) -> str:
    if b"\0" in line:
        return "a NUL byte, which PostgreSQL cannot store"
    if b"\xed" in line and not _is_text(line):
        return "half of a surrogate pair, which is no character"
    if len(line) > ingest.max_record:
        return (
            f"a record of {len(line):,} bytes, longer than `max_record_mb: {ingest.max_record_mb}` allows "
            f"({ingest.max_record:,} bytes)"
        )
    empty = [ingest.columns[key] for key in keys if not record.values[key]]
    return f"empty key column {empty[0]}" if empty else ""


def _is_text(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _shown(values: Sequence[str | None]) -> str:
    return ",".join("" if value is None else value for value in values)
