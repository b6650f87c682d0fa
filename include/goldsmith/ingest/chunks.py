"""Cut a file into byte ranges at record boundaries, and check its header and encoding, in one pass."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from goldsmith.errors import IngestError
from goldsmith.ingest.header import check_header, convert_hint, expected_file
from goldsmith.ingest.reader import BLOCK, read_blocks
from goldsmith.ingest.records import Block
from goldsmith.ingest.results import Chunk, checksum
from goldsmith.ingest.source import RawFile
from goldsmith.spec.ingest import Ingest

MAX_CHUNKS = 256
"""Most chunks of one file; a larger file has larger chunks. Airflow maps a task 1,024 times at most."""


def split(ingest: Ingest, root: Path) -> list[Chunk]:
    """Cut the file of an ingest into chunks.

    Args:
        ingest: The file and its columns.
        root: The folder a relative path starts from.

    Returns:
        At least one chunk; a file that is only a header has one without rows.

    Raises:
        IngestError: The file is missing, empty, has another header or is in another encoding. The message
            names the file, the line and what was expected.
    """
    with _opened(root / ingest.file, ingest) as file:
        try:
            chunks = _cut(file, root / ingest.file, ingest)
        finally:
            # If the file has changed, that is the reason for whatever else is wrong.
            file.check_unchanged()
    return chunks


def _opened(path: Path, ingest: Ingest) -> RawFile:
    where = f"{ingest.file}, line 1"
    try:
        return RawFile(path, ingest.file)
    except FileNotFoundError:
        raise IngestError(
            f"{where}: no such file; expected {expected_file(ingest)}. Looked at {path}.",
            hint=f"Put the file there, or correct `file` of {ingest.source} in the pipeline spec.",
        ) from None
    except OSError as fault:
        raise IngestError(
            f"{where}: cannot be read ({fault.strerror}); expected {expected_file(ingest)}. Looked at {path}.",
            hint="It must be a file that the user Airflow runs as may read.",
        ) from None


def _cut(file: RawFile, path: Path, ingest: Ingest) -> list[Chunk]:
    start, size = check_header(file, ingest), file.identity.size
    cutter = _Cutter(
        start=start, file_size=size, chunk_bytes=max(ingest.chunk_mb << 20, size // MAX_CHUNKS + 1)
    )
    if file.compression:
        # Nothing can be read from the middle of an archive.
        cutter.chunk_bytes = sys.maxsize
    encoding = _Encoding(name=ingest.encoding)
    blocks = read_blocks(
        path,
        start=start, end=None if file.compression else size, line=cutter.line, delimiter=ord(ingest.delimiter),
        name=ingest.file, longest=ingest.max_record, seen=cutter.see,
    )  # fmt: skip
    for block in blocks:
        encoding.look_at(block, cutter.line)
        cutter.add(block)
    encoding.check(ingest)
    return cutter.finish()


class _Cutter:
    """Collects blocks into chunks."""

    def __init__(self, *, start: int, file_size: int, chunk_bytes: int) -> None:
        self.chunk_bytes, self._file_size = chunk_bytes, file_size
        self.line = self._first_line = 2
        self._start = self._end = start
        self._digest, self._made = checksum(), list[Chunk]()

    def see(self, data: bytes) -> None:
        """Take the bytes of the block that comes next into the checksum."""
        self._digest.update(data)

    def add(self, block: Block) -> None:
        """Put a block into the chunk, and end that where it is long enough: at the nearest end of a block."""
        self.line += block.lines
        self._end += block.consumed
        if self._end - self._start > self.chunk_bytes - BLOCK // 2:
            self._close()

    def finish(self) -> list[Chunk]:
        """End the last chunk, and return all."""
        if self._end > self._start or not self._made:
            self._close()
        return self._made

    def _close(self) -> None:
        self._made.append(
            Chunk(
                number=len(self._made),
                start=self._start,
                end=self._end,
                first_line=self._first_line,
                last_line=self.line - 1,
                file_size=self._file_size,
                checksum=self._digest.hexdigest(),
            )
        )
        self._start, self._first_line, self._digest = self._end, self.line, checksum()


class _Encoding:
    """Tells a file in another encoding from one with a few damaged rows."""

    def __init__(self, *, name: str) -> None:
        self.name = name
        self.rows = self.undecodable = self.decodable = self.first_line = 0

    def look_at(self, block: Block, line: int) -> None:
        """Count the block's rows that are beyond ASCII, by whether they decode."""
        self.rows += block.records
        if block.data.isascii():
            return
        high = np.flatnonzero(block.numbers[: block.body] > 127)
        faulty = block.undecodable(self.name)
        self.decodable += np.unique(np.searchsorted(block.ends, high)).size - len(faulty)
        self.undecodable += len(faulty)
        if faulty and not self.first_line:
            self.first_line = line + block.data[: block.starts[faulty[0]]].count(b"\n")

    def check(self, ingest: Ingest) -> None:
        """Refuse the file where what is undecodable cannot be chance; a few such rows are malformed rows."""
        systematic = self.undecodable > self.rows / 2 or self.undecodable >= max(20, self.rows / 100)
        if self.undecodable > self.decodable and systematic:
            raise IngestError(
                f"{ingest.file}, line {self.first_line}: the text is not {self.name}, nor is that of"
                f" {self.undecodable - 1} more of {self.rows} rows; expected {self.name}.",
                hint=convert_hint(ingest, "ISO-8859-1"),
            )
