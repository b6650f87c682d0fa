"""Rows of a block of bytes, told apart in bulk: those PostgreSQL's COPY will accept, and the malformed ones.

The rules are RFC 4180's. A record that breaks the quoting costs its first line only: reading starts again on
the next line, so that one stray quote does not swallow what follows. Whatever the size of the blocks, a file
has the same records, because a record's end depends on nothing before its start.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

MAX_RECORD = 1 << 20
"""Longest record, in bytes; a quoted field still open after that many is taken for a stray quote."""

_NEWLINE, _RETURN, _QUOTE = 10, 13, 34

Positions = NDArray[np.intp]


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
        return self.data.count(b"\n")

    @property
    def records(self) -> int:
        """How many records there are, good or not."""
        return int(self.ends.size) + self.broken

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
    broken = bool(next_line) and (faulty or len(data) - whole > MAX_RECORD)
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
            _too_long(numbers, marks, quotes),
        )
    )
    if not faults.size:
        return marks, False
    marks = marks[marks < faults.min()]
    ends = np.flatnonzero(numbers[marks] == _NEWLINE)
    return (marks[: ends[-1] + 1] if ends.size else marks[:0]), True


def _too_long(numbers: NDArray[np.uint8], marks: Positions, quotes: Positions) -> Positions:
    """Where records with quotes start that are longer than any may be."""
    ends = marks[numbers[marks] == _NEWLINE]
    starts = np.concatenate(([0], ends[:-1] + 1)) if ends.size else ends
    quoted = np.searchsorted(quotes, ends) > np.searchsorted(quotes, starts)
    too_long: Positions = starts[(ends - starts > MAX_RECORD) & quoted]
    return too_long
