"""Cut files into byte ranges at record boundaries, and check header and encoding, in one pass."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from goldsmith.errors import IngestError
from goldsmith.ingest.files import format_of, names_of, on_disk
from goldsmith.ingest.header import check_header, convert_hint, expected_file
from goldsmith.ingest.json_lines import check_first_line, lines_of
from goldsmith.ingest.parquet import rows_of
from goldsmith.ingest.reader import BLOCK, read_blocks
from goldsmith.ingest.records import Block
from goldsmith.ingest.results import Chunk, Part, checksum
from goldsmith.ingest.source import RawFile
from goldsmith.spec.ingest import Ingest

MAX_CHUNKS = 256
"""Most chunks of one ingest, or nearly so; larger files have larger chunks. Airflow maps a task 1,024 times at most."""


def split(ingest: Ingest, root: Path) -> list[Chunk]:
    """Cut the files of an ingest into chunks: a large file into several, small ones together into one.

    Args:
        ingest: The files and their columns.
        root: The folder a relative path starts from.

    Returns:
        At least one chunk; a file without rows has a part without rows.

    Raises:
        IngestError: A file is missing, empty, has other columns or is in another encoding. The message
            names the file, the line and what was expected.
        EnvironmentProblem: The object storage cannot be used, or what reads the format is not installed.
    """
    names = names_of(ingest, root)
    kind = format_of(ingest, names)
    parts: list[Part] = []
    for name in names:
        with on_disk(name, root) as path:
            parts += parts_of(ingest.model_copy(update={"file": name}), path, kind)
    return packed(parts, chunk_bytes=ingest.chunk_mb << 20)


def parts_of(ingest: Ingest, path: Path, kind: str) -> list[Part]:
    """The parts of one file.

    Args:
        ingest: With the name of this file.
        path: Where it is on this disk.
        kind: Its format.

    Raises:
        IngestError: As for `split`.
    """
    with _opened(path, ingest, kind) as file:
        try:
            return _cut(file, path, ingest) if kind == "csv" else [_whole(file, path, ingest, kind)]
        finally:
            # If the file has changed, that is the reason for whatever else is wrong.
            file.check_unchanged()


def packed(parts: Sequence[Part], *, chunk_bytes: int) -> list[Chunk]:
    """Parts as chunks, in their order: small ones together, as far as they do not become larger than a chunk.

    Args:
        parts: Of all files.
        chunk_bytes: Size of a chunk; more if there would be too many.
    """
    sizes = [part.end - part.start for part in parts]
    largest = max(chunk_bytes, sum(sizes) * 2 // MAX_CHUNKS + 1)
    groups: list[list[Part]] = []
    room = 0
    for part, size in zip(parts, sizes, strict=True):
        # Parts of one file are loaded in parallel, unless there are too many.
        may_join = bool(groups) and (largest > chunk_bytes or groups[-1][-1].file != part.file)
        if may_join and size <= room:
            groups[-1].append(part)
        else:
            groups.append([part])
            room = largest
        room -= size
    return [Chunk(number=number, parts=tuple(group)) for number, group in enumerate(groups)]


def _opened(path: Path, ingest: Ingest, kind: str) -> RawFile:
    where = f"{ingest.file}, line 1"
    try:
        return RawFile(path, ingest.file, is_text=kind != "parquet")
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


def _whole(file: RawFile, path: Path, ingest: Ingest, kind: str) -> Part:
    """A file of which nothing can be read from the middle, as one part."""
    digest, size = checksum(), 0
    if kind == "parquet":
        last = rows_of(path, ingest)
        while block := file.read(BLOCK):
            digest.update(block)
        size = file.identity.size
    else:
        check_first_line(file, ingest)
        last = 0
        for number, _, length in lines_of(file, ingest, digest.update):
            last, size = number, size + length + 1
    return Part(
        file=ingest.file,
        start=0,
        end=size,
        first_line=1,
        last_line=last,
        file_size=file.identity.size,
        checksum=digest.hexdigest(),
    )


def _cut(file: RawFile, path: Path, ingest: Ingest) -> list[Part]:
    start, size = check_header(file, ingest), file.identity.size
    cutter = _Cutter(
        name=ingest.file,
        start=start,
        file_size=size,
        chunk_bytes=max(ingest.chunk_mb << 20, size // MAX_CHUNKS + 1),
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
    """Collects blocks into parts."""

    def __init__(self, *, name: str, start: int, file_size: int, chunk_bytes: int) -> None:
        self.chunk_bytes, self._name, self._file_size = chunk_bytes, name, file_size
        self.line = self._first_line = 2
        self._start = self._end = start
        self._digest, self._made = checksum(), list[Part]()

    def see(self, data: bytes) -> None:
        """Take the bytes of the block that comes next into the checksum."""
        self._digest.update(data)

    def add(self, block: Block) -> None:
        """Put a block into the part, and end that where it is long enough: at the nearest end of a block."""
        self.line += block.lines
        self._end += block.consumed
        if self._end - self._start > self.chunk_bytes - BLOCK // 2:
            self._close()

    def finish(self) -> list[Part]:
        """End the last part, and return all."""
        if self._end > self._start or not self._made:
            self._close()
        return self._made

    def _close(self) -> None:
        self._made.append(
            Part(
                file=self._name,
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
