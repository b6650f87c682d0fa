"""Read a range of a file as blocks of whole records, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from goldsmith.errors import IngestError
from goldsmith.ingest.records import KEPT, MAX_RECORD, NO_MARKS, Block, Oversized, first_block, record_size
from goldsmith.ingest.source import RawFile

BLOCK = 1 << 20
"""Bytes looked at together."""
_SMALL_BLOCK = 1 << 16
"""Bytes looked at together after broken quotes, where much of a block may have to be looked at again."""


def read_blocks(
    path: Path,
    *,
    start: int,
    end: int | None,
    line: int,
    delimiter: int,
    name: str,
    longest: int = MAX_RECORD,
    seen: Callable[[bytes], object] = len,
) -> Iterator[Block]:
    """Yield the records of a byte range, in order.

    Args:
        path: The file; offsets of a compressed one are those of its text.
        start: Offset of the first byte, which starts a record.
        end: Offset behind the last byte, which ends a record or the file; None for the end of the file.
        line: Line number at `start`, for error messages.
        delimiter: The byte between two fields.
        name: How messages call the file.
        longest: Bytes of the longest record; a longer one is a block of its own, of which only the start is kept.
        seen: Called with all bytes in order, those of a block before the block is yielded.

    Raises:
        IngestError: The file is shorter than the range, or cannot be read.
    """
    with RawFile(path, name) as raw:
        reader = _Reader(raw, start=start, end=end, line=line, delimiter=delimiter, name=name)
        yield from reader.blocks(longest, seen)


class _Reader:
    def __init__(
        self, raw: RawFile, *, start: int, end: int | None, line: int, delimiter: int, name: str
    ) -> None:
        self._raw, self._end, self._line, self._delimiter, self._name = raw, end, line, delimiter, name
        self._offset, self._rest, self._at_end = 0, b"", False
        self._go_to(start)

    def blocks(self, longest: int, seen: Callable[[bytes], object]) -> Iterator[Block]:
        window = BLOCK
        while self._fill(window):
            looked_at = self._rest[:window]
            is_final = self._at_end and len(looked_at) == len(self._rest)
            block = first_block(looked_at, delimiter=self._delimiter, final=is_final)
            if not block.consumed and window <= longest:
                window *= 2
                continue
            if block.consumed:
                seen(block.data if len(block.data) == block.consumed else block.data[: block.consumed])
                self._rest = self._rest[block.consumed :]
                self._offset += block.consumed
            else:
                block = self._long_record(longest, seen)
            self._line += block.lines
            window = _SMALL_BLOCK if block.broken else min(2 * window, BLOCK)
            yield block

    def _go_to(self, offset: int) -> None:
        """Read on from an offset."""
        self._raw.seek(offset)
        self._offset, self._rest, self._at_end = offset, b"", offset == self._end

    def _fill(self, size: int) -> bool:
        """Have as many bytes in memory, or all there are; say whether there are any."""
        while len(self._rest) < size and not self._at_end:
            self._rest += self._next(size - len(self._rest))
        return bool(self._rest)

    def _next(self, size: int) -> bytes:
        """Read the bytes behind those in memory."""
        unread = size if self._end is None else self._end - self._offset - len(self._rest)
        more = self._raw.read(min(size, unread)) if unread else b""
        if not more and unread and self._end is not None:
            raise IngestError(
                f"{self._name} has become shorter while it was read: {unread} bytes are gone.",
                hint="Run the ingest again from its split, once the file is complete.",
            )
        self._at_end = not more or (len(more) == unread and self._end is not None)
        return more

    def _long_record(self, longest: int, seen: Callable[[bytes], object]) -> Block:
        """Take a record that does not fit into memory, or if its quotes are broken its first line."""
        start = self._offset
        first_line, whole = record_size(self._pieces(), delimiter=self._delimiter)
        # One that is closed nowhere, or not properly, was a stray quote: its other lines are records.
        self._go_to(start)
        size = whole or first_line
        if whole is None and first_line <= longest + 1:
            self._fill(size)
            line, self._rest = self._rest[:size], self._rest[size:]
            self._offset += size
            seen(line)
            data = line if line.endswith(b"\n") else line + b"\n"
            return Block(data=data, consumed=size, marks=NO_MARKS, row_ends=NO_MARKS, broken=True)
        return self._skipped(size, seen)

    def _pieces(self) -> Iterator[bytes]:
        while self._fill(BLOCK):
            yield self._rest
            self._offset += len(self._rest)
            self._rest = b""

    def _skipped(self, size: int, seen: Callable[[bytes], object]) -> Block:
        """Go past a record, keeping only its start."""
        head, lines, left, piece = b"", 0, size, b""
        while left:
            self._fill(min(left, BLOCK))
            piece, self._rest = self._rest[:left], self._rest[left:]
            self._offset += len(piece)
            seen(piece)
            head += piece[: KEPT - len(head)]
            lines += piece.count(b"\n")
            left -= len(piece)
        is_cut = not piece.endswith(b"\n")
        oversized = Oversized(size=size - (not is_cut), lines=lines + is_cut)
        data = head[: oversized.size]
        return Block(
            data=data, consumed=size, marks=NO_MARKS, row_ends=NO_MARKS, broken=False, oversized=oversized
        )
