"""Which rows of a block are good, and why the others are not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from goldsmith.ingest.records import KEPT, Block, Oversized, Positions
from goldsmith.spec.ingest import Ingest

_RETURN, _QUOTE = 13, 34

_EMPTY_LINE = "an empty line"
_NUL = "a NUL byte, which PostgreSQL cannot store"
_STRAY_RETURN = "a carriage return outside quotes that does not end the line"
_END_OF_DATA = r'a line that holds only "\.", which PostgreSQL takes for the end of the data'
_BROKEN_QUOTES = "broken quotes: a quoted field is not closed, or text stands before or after its quotes"


@dataclass(frozen=True, kw_only=True, slots=True)
class Rejected:
    """A record that cannot be loaded."""

    line: int
    """Line where it starts, counted from the first line of the block, which is 0."""
    reason: str
    raw: str
    """The record without its line end; bytes that are no text stand as backslash escapes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sorted:
    """A block's good rows, as bytes to copy, and its malformed records."""

    good: bytes
    rejected: list[Rejected]


def sort_rows(block: Block, ingest: Ingest) -> Sorted:
    """Tell good rows from malformed ones."""
    if block.oversized:
        return Sorted(good=b"", rejected=[_oversized(block.data, block.oversized, ingest)])
    reasons = _reasons(block, ingest)
    lines = _lines(block)
    rejected = [
        Rejected(line=int(lines[row]), reason=reason, raw=_text(block, row, ingest))
        for row, reason in sorted(reasons.items())
    ]
    if block.broken:
        first_line = block.data[block.body :]
        broken = Rejected(
            line=block.lines - 1, reason=_BROKEN_QUOTES, raw=_decoded(first_line, ingest.encoding)
        )
        if len(first_line) - 1 > ingest.max_record:
            found = Oversized(size=len(first_line) - 1, lines=1)
            broken = replace(_oversized(first_line, found, ingest), line=broken.line)
        rejected.append(broken)
    return Sorted(good=_good_bytes(block, list(reasons)), rejected=rejected)


def _oversized(start: bytes, found: Oversized, ingest: Ingest) -> Rejected:
    raw = f"{_decoded(start[:KEPT], ingest.encoding)}..."
    return Rejected(line=0, reason=_too_long(found.size, found.lines, ingest), raw=raw)


def _too_long(size: int, lines: int, ingest: Ingest) -> str:
    return (
        f"a record of {size:,} bytes on {lines:,} {'line' if lines == 1 else 'lines'}, longer than"
        f" `max_record_mb: {ingest.max_record_mb}` allows ({ingest.max_record:,} bytes)"
    )


def _reasons(block: Block, ingest: Ingest) -> dict[int, str]:
    """Why each malformed row is one; where several reasons hold, the one found first."""
    reasons: dict[int, str] = {}
    fields = np.diff(block.row_ends, prepend=-1)
    expected = len(ingest.columns)
    sizes = block.ends - block.starts
    for row in np.flatnonzero(sizes > ingest.max_record):
        lines = block.data.count(b"\n", int(block.starts[row]), int(block.ends[row]) + 1)
        reasons[int(row)] = _too_long(int(sizes[row]), lines, ingest)
    for row in np.flatnonzero(block.starts == block.ends):
        reasons.setdefault(int(row), _EMPTY_LINE)
    for row in np.flatnonzero(fields != expected):
        reasons.setdefault(
            int(row), f"{fields[row]} {'field' if fields[row] == 1 else 'fields'}, expected {expected}"
        )
    if b"\0" in block.data:
        _add(reasons, _rows_at(block, np.flatnonzero(block.numbers == 0)), _NUL)
    if b"\r" in block.data:
        _add(reasons, _rows_at(block, _stray_returns(block)), _STRAY_RETURN)
    if b"\\.\n" in block.data or b"\\.\r" in block.data:
        _add(reasons, _end_of_data_rows(block), _END_OF_DATA)
    _add(reasons, block.undecodable(ingest.encoding), f"bytes that are not {ingest.encoding}")
    for name in ingest.key:
        rows = _empty(block, ingest.columns.index(name), fields=fields, expected=expected)
        _add(reasons, rows, f"empty key column {name}")
    return reasons


def _add(reasons: dict[int, str], rows: list[int], reason: str) -> None:
    for row in rows:
        reasons.setdefault(row, reason)


def _rows_at(block: Block, positions: Positions) -> list[int]:
    """The rows that hold these bytes."""
    within = positions[positions < block.body]
    return [int(row) for row in np.unique(np.searchsorted(block.ends, within))]


def _stray_returns(block: Block) -> Positions:
    returns = np.flatnonzero(block.numbers == _RETURN)
    outside = returns[(np.searchsorted(block.quotes, returns) & 1) == 0]
    stray: Positions = outside[~np.isin(outside + 1, block.ends)]
    return stray


def _end_of_data_rows(block: Block) -> list[int]:
    """Rows with a line, be it within quotes, that holds nothing but a backslash and a full stop."""
    found = []
    for line_end in (b"\\.\n", b"\\.\r"):
        at = block.data.find(line_end)
        while at >= 0:
            if at == 0 or block.data[at - 1] in b"\n\r":
                found.append(at)
            at = block.data.find(line_end, at + 1)
    return _rows_at(block, np.array(found, dtype=np.intp))


def _empty(block: Block, column: int, *, fields: Positions, expected: int) -> list[int]:
    """Rows with nothing, or nothing but a pair of quotes, in a column."""
    rows = np.flatnonzero(fields == expected)
    first = block.row_ends[rows] - expected + 1
    begin = block.starts[rows] if column == 0 else block.marks[first + column - 1] + 1
    end = block.marks[first + column]
    if column == expected - 1:
        end = end - (block.numbers[np.maximum(end - 1, 0)] == _RETURN)
    quoted = (end - begin == 2) & (block.numbers[begin] == _QUOTE)
    return [int(row) for row in rows[(end <= begin) | quoted]]


def _good_bytes(block: Block, malformed: list[int]) -> bytes:
    """The good rows, each ending in a bare line feed: COPY wants one kind of line end throughout."""
    if not malformed and not block.broken and b"\r" not in block.data:
        return block.data
    keep: NDArray[np.bool_] = np.ones(len(block.data), dtype=bool)
    keep[block.body :] = False
    keep[block.ends[block.numbers[np.maximum(block.ends - 1, 0)] == _RETURN] - 1] = False
    for row in malformed:
        keep[block.starts[row] : block.ends[row] + 1] = False
    return block.numbers[keep].tobytes()


def _lines(block: Block) -> Positions:
    """The line of the block on which each row starts."""
    if not block.quotes.size:
        return np.arange(block.ends.size)
    return np.searchsorted(np.flatnonzero(block.numbers == 10), block.starts)


def _text(block: Block, row: int, ingest: Ingest) -> str:
    start, end = int(block.starts[row]), int(block.ends[row])
    if end - start > ingest.max_record:
        return f"{_decoded(block.data[start : min(end, start + KEPT)], ingest.encoding)}..."
    return _decoded(block.data[start:end], ingest.encoding)


def _decoded(raw: bytes, encoding: str) -> str:
    return (
        raw.removesuffix(b"\n")
        .removesuffix(b"\r")
        .decode(encoding, "backslashreplace")
        .replace("\0", "\\x00")
    )
