"""Read a range of a file as blocks of whole records, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from goldsmith.errors import IngestError
from goldsmith.ingest.records import Block, first_block

BLOCK = 1 << 20
"""Bytes looked at together."""
_SMALL_BLOCK = 1 << 16
"""Bytes looked at together after broken quotes, where much of a block may have to be looked at again."""
_LONGEST_LINE = 1 << 24


def read_blocks(path: Path, *, start: int, end: int, line: int, delimiter: int, name: str) -> Iterator[Block]:
    """Yield the records of a byte range, in order.

    Args:
        path: The file.
        start: Offset of the first byte, which starts a record.
        end: Offset behind the last byte, which ends a record or the file.
        line: Line number at `start`, for error messages.
        delimiter: The byte between two fields.
        name: How messages call the file.

    Raises:
        IngestError: A line is longer than 16 MiB, or the file is shorter than the range.
    """
    window = BLOCK
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        unread, rest = end - start, b""
        while unread or rest:
            if len(rest) < window and unread:
                more = file.read(min(window - len(rest), unread))
                if not more:
                    raise IngestError(
                        f"{name} has become shorter while it was read: {unread} bytes are gone.",
                        hint="Run the ingest again from its split, once the file is complete.",
                    )
                unread -= len(more)
                rest += more
            looked_at = rest[:window]
            block = first_block(
                looked_at, delimiter=delimiter, final=not unread and len(looked_at) == len(rest)
            )
            if block.consumed:
                rest = rest[block.consumed :]
                line += block.lines
                window = _SMALL_BLOCK if block.broken else min(2 * window, BLOCK)
                yield block
            elif window < _LONGEST_LINE:
                window *= 2
            else:
                raise IngestError(
                    f"{name}, line {line}: no line end within {_LONGEST_LINE >> 20} MiB.",
                    hint="Is this a text file with one record per line?",
                )
