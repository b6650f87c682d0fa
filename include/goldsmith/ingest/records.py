"""Rows of a block of bytes, told apart in bulk: those PostgreSQL's COPY will accept, and the malformed ones.

The rules are RFC 4180's. A record that breaks the quoting costs its first line only: reading starts again on
the next line, so that one stray quote does not swallow what follows. A quoted field that is closed somewhere is
one field however long it is: nothing inside it is ever taken for a record. Whatever the size of the blocks, a file
has the same records, because a record's end depends on nothing before its start.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

MAX_RECORD = 1 << 20
"""Longest record, in bytes, unless the spec says otherwise."""
KEPT = 1 << 12
"""Bytes kept of a record that is longer."""

_NEWLINE, _RETURN, _QUOTE = 10, 13, 34

Positions = NDArray[np.intp]
NO_MARKS: Positions = np.zeros(0, dtype=np.intp)


@dataclass(frozen=True, kw_only=True, slots=True)
class Oversized:
    """A record that is longer than any may be, of which only the start is kept."""

    size: int
    """Bytes without the line end."""
    lines: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Block:
    """Whole records at the start of some bytes."""

    data: bytes
    """The records, the last with its line end."""
    consumed: int
    """How many bytes of the input they are; `data` may hold one line end more."""
    marks: Positions
    """Where fields end: delimiters and line ends outside quotes."""
    row_ends: Positions
    """Which of the marks are line ends."""
    broken: bool
    """Whether the last record is the first line of one with broken quotes; it is not among `row_ends`."""
    oversized: Oversized | None = None
    """Set if the block is a single record that was not read into memory; `data` is its start then."""

    @cached_property
    def numbers(self) -> NDArray[np.uint8]:
        """The data as numbers."""
        return np.frombuffer(self.data, dtype=np.uint8)

    @cached_property
    def quotes(self) -> Positions:
        """Where quotes are."""
        return np.flatnonzero(self.numbers == _QUOTE) if b'"' in self.data else self.marks[:0]

    @cached_property
    def ends(self) -> Positions:
        """Where each row's line end is."""
        return self.marks[self.row_ends]

    @cached_property
    def starts(self) -> Positions:
        """Where each row starts."""
        return np.concatenate(([0], self.ends[:-1] + 1)) if self.ends.size else self.ends

    @property
    def body(self) -> int:
        """How many bytes the rows take that have their quotes in order."""
        return int(self.ends[-1]) + 1 if self.ends.size else 0

    @property
    def lines(self) -> int:
        """How many lines the records take."""
        return self.oversized.lines if self.oversized else self.data.count(b"\n")

    @property
    def records(self) -> int:
        """How many records there are, good or not."""
        return int(self.ends.size) + self.broken + (self.oversized is not None)

    def undecodable(self, encoding: str) -> list[int]:
        """Rows that hold bytes the encoding does not know."""
        rows: list[int] = []
        if self.data.isascii():
            return rows
        decode, view, start = codecs.getdecoder(encoding), memoryview(self.data), 0
        while start < self.body:
            try:
                decode(view[start : self.body], "strict")
            except UnicodeDecodeError as fault:
                row = int(np.searchsorted(self.ends, start + fault.start))
                rows.append(row)
                start = int(self.ends[row]) + 1
            else:
                break
        return rows


def first_block(data: bytes, *, delimiter: int, final: bool) -> Block:
    """Find the whole records at the start of some bytes.

    Args:
        data: Bytes from the start of a record on.
        delimiter: The byte between two fields.
        final: Whether nothing follows, so that the last record is whole even without a line end.
    """
    size = len(data)
    if final and size and data[-1] != _NEWLINE:
        data += b"\n"
    numbers = np.frombuffer(data, dtype=np.uint8)
    marks: Positions = np.flatnonzero((numbers == delimiter) | (numbers == _NEWLINE))
    faulty = False
    if b'"' in data:
        marks, faulty = _outside_quotes(numbers, marks, delimiter=delimiter, final=final)
    row_ends = np.flatnonzero(numbers[marks] == _NEWLINE)
    whole = int(marks[row_ends[-1]]) + 1 if row_ends.size else 0
    # A line end beyond the last whole row is one that an open quote has swallowed.
    next_line = data.find(b"\n", whole) + 1
    broken = bool(next_line) and faulty
    taken = next_line if broken else whole
    return Block(data=data[:taken], consumed=min(taken, size), marks=marks, row_ends=row_ends, broken=broken)


def _outside_quotes(
    numbers: NDArray[np.uint8], marks: Positions, *, delimiter: int, final: bool
) -> tuple[Positions, bool]:
    """Keep the marks outside quotes, of whole rows before the first fault; say whether there is one."""
    quotes = np.flatnonzero(numbers == _QUOTE)
    opening, closing = quotes[0::2], quotes[1::2]
    before = np.where(opening > 0, numbers[opening - 1], _NEWLINE)
    after = numbers[np.minimum(closing + 1, numbers.size - 1)]
    marks = marks[(np.searchsorted(quotes, marks) & 1) == 0]
    faults = np.concatenate(
        (
            opening[~np.isin(before, (delimiter, _NEWLINE, _QUOTE))],
            # The byte after the last quote may not be here yet; then its record is not whole either.
            closing[~np.isin(after, (delimiter, _NEWLINE, _RETURN, _QUOTE)) & (closing + 1 < numbers.size)],
            quotes[-1:] if final and quotes.size % 2 else quotes[:0],
        )
    )
    if not faults.size:
        return marks, False
    marks = marks[marks < faults.min()]
    ends = np.flatnonzero(numbers[marks] == _NEWLINE)
    return (marks[: ends[-1] + 1] if ends.size else marks[:0]), True


def record_size(pieces: Iterable[bytes], *, delimiter: int) -> tuple[int, int | None]:
    """Measure a record of any length, piece by piece.

    Args:
        pieces: Bytes from the start of the record to the end of the file or chunk.
        delimiter: The byte between two fields.

    Returns:
        The size of its first line, and its own; None instead of that if its quotes are broken.
    """
    is_open, is_broken, first_line, size, before = False, False, 0, 0, _NEWLINE
    for piece in pieces:
        numbers = np.frombuffer(piece, dtype=np.uint8)
        newlines = np.flatnonzero(numbers == _NEWLINE)
        if not first_line and newlines.size:
            first_line = size + int(newlines[0]) + 1
        if not is_broken:
            quotes = np.flatnonzero(numbers == _QUOTE)
            ends = newlines[(np.searchsorted(quotes, newlines) + is_open) & 1 == 0]
            fault = _first_fault(numbers, quotes, is_open=is_open, before=before, delimiter=delimiter)
            if ends.size and ends[0] < fault:
                return first_line, size + int(ends[0]) + 1
            is_broken = fault < numbers.size
            is_open ^= bool(quotes.size & 1)
            before = piece[-1]
        size += numbers.size
        if is_broken and first_line:
            return first_line, None
    return first_line or size, None if is_open or is_broken else size


def _first_fault(
    numbers: NDArray[np.uint8], quotes: Positions, *, is_open: bool, before: int, delimiter: int
) -> int:
    """Where the quotes of a piece of a record are broken first; the piece's size if they are not."""
    opens = (np.arange(quotes.size) + is_open) & 1 == 0
    previous = np.where(quotes > 0, numbers[quotes - 1], before)
    # The byte after a closing quote at the end of the piece is the first of the next one.
    following = numbers[np.minimum(quotes + 1, numbers.size - 1)]
    may_open = np.isin(previous, (delimiter, _NEWLINE, _QUOTE))
    may_close = np.isin(following, (delimiter, _NEWLINE, _RETURN, _QUOTE)) | (quotes + 1 == numbers.size)
    faults = quotes[np.where(opens, ~may_open, ~may_close)]
    if before == _QUOTE and not is_open and numbers[0] not in (delimiter, _NEWLINE, _RETURN, _QUOTE):
        return 0
    return int(faults[0]) if faults.size else int(numbers.size)
