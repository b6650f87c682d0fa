"""Cut a file into byte ranges at record boundaries, and check its header and encoding, in one pass."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from goldsmith.errors import IngestError
from goldsmith.ingest.reader import BLOCK, read_blocks
from goldsmith.ingest.records import Block
from goldsmith.ingest.results import Chunk
from goldsmith.spec.ingest import Ingest

MAX_CHUNKS = 256
"""Most chunks of one file; a larger file has larger chunks. Airflow maps a task 1,024 times at most."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_HEADER_LIMIT = 1 << 20


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
    path = root / ingest.file
    size = _size(path, ingest)
    start = end = _check_header(path, ingest, size=size)
    chunk_bytes = max(ingest.chunk_mb << 20, size // MAX_CHUNKS + 1)
    chunks: list[Chunk] = []
    encoding = _Encoding(name=ingest.encoding)
    first_line = line = 2
    blocks = read_blocks(
        path, start=start, end=size, line=line, delimiter=ord(ingest.delimiter), name=ingest.file
    )
    for block in blocks:
        encoding.look_at(block, line)
        line, end = line + block.lines, end + block.consumed
        if end - start > chunk_bytes - BLOCK // 2:  # the nearest end of a block
            chunks.append(_chunk(len(chunks), (start, end), (first_line, line - 1), size))
            start, first_line = end, line
    if end > start or not chunks:
        chunks.append(_chunk(len(chunks), (start, end), (first_line, line - 1), size))
    encoding.check(ingest)
    return chunks


def _chunk(number: int, span: tuple[int, int], lines: tuple[int, int], size: int) -> Chunk:
    return Chunk(
        number=number, start=span[0], end=span[1], first_line=lines[0], last_line=lines[1], file_size=size
    )


def _size(path: Path, ingest: Ingest) -> int:
    where = f"{ingest.file}, line 1"
    expected = f"a file with the header {_header_text(ingest.columns, ingest)}"
    try:
        with path.open("rb") as file:
            size = file.seek(0, io.SEEK_END)
    except FileNotFoundError:
        raise IngestError(
            f"{where}: no such file; expected {expected}. Looked at {path}.",
            hint=f"Put the file there, or correct `file` of {ingest.source} in the pipeline spec.",
        ) from None
    except OSError as fault:
        raise IngestError(
            f"{where}: cannot be read ({fault.strerror}); expected {expected}. Looked at {path}.",
            hint="It must be a file that the user Airflow runs as may read.",
        ) from None
    if not size:
        raise IngestError(
            f"{where}: the file is empty (0 bytes); expected {expected}.",
            hint="A file without rows still needs its header line; was this one still being written?",
        )
    return size


def _check_header(path: Path, ingest: Ingest, *, size: int) -> int:
    """Compare the header with the columns; return the offset behind it."""
    with path.open("rb") as file:
        data = file.read(_HEADER_LIMIT)
    if data.startswith(_UTF_16_MARKS) or b"\0" in data[: data.find(b"\n") + 1 or None]:
        raise IngestError(
            f"{ingest.file}, line 1: the file is in UTF-16 or binary; expected text in {ingest.encoding}.",
            hint=_convert_hint(ingest, "UTF-16"),
        )
    skipped = len(_BYTE_ORDER_MARK) if data.startswith(_BYTE_ORDER_MARK) and ingest.encoding == "utf-8" else 0
    line, _, _ = data[skipped:].partition(b"\n")
    try:
        text = line.decode(ingest.encoding)
    except UnicodeDecodeError as fault:
        raise IngestError(
            f"{ingest.file}, line 1: byte 0x{line[fault.start]:02x} at position {fault.start + 1} of the"
            f" header is not {ingest.encoding}; expected {_header_text(ingest.columns, ingest)}.",
            hint=_convert_hint(ingest, "ISO-8859-1"),
        ) from None
    try:
        found = next(csv.reader([text.removesuffix("\r")], delimiter=ingest.delimiter), [])
    except csv.Error:
        found = [text]
    if tuple(found) != ingest.columns:
        raise _wrong_header(tuple(found), ingest)
    return min(skipped + len(line) + 1, size)


def _wrong_header(found: tuple[str, ...], ingest: Ingest) -> IngestError:
    missing = [name for name in ingest.columns if name not in found]
    unknown = [name for name in found if name not in ingest.columns]
    faults = [
        *([f"missing: {', '.join(missing)}"] if missing else []),
        *([f"not expected: {', '.join(unknown)}"] if unknown else []),
    ] or ["the order differs" if len(found) == len(ingest.columns) else "a column stands twice"]
    other = next((sign for sign in ",;\t|" if sign != ingest.delimiter and sign in "".join(found)), None)
    hint = f"Correct the file, or `columns` of {ingest.source} in the pipeline spec."
    if missing and other and len(found) == 1:
        hint = f"The fields seem to be separated by {other!r}: set `delimiter` of {ingest.source}."
    return IngestError(
        f"{ingest.file}, line 1: the header is {_header_text(found, ingest)};"
        f" expected {_header_text(ingest.columns, ingest)} ({'; '.join(faults)}).",
        hint=hint,
    )


def _header_text(columns: tuple[str, ...], ingest: Ingest) -> str:
    text = ingest.delimiter.join(columns)
    return repr(text if len(text) <= 500 else f"{text[:500]}...")


def _convert_hint(ingest: Ingest, encoding: str) -> str:
    return (
        f"Convert it: iconv -f {encoding} -t UTF-8 FILE, or set `encoding` of {ingest.source} if it is a"
        " one-byte encoding (latin-1, iso-8859-15, cp1252)."
    )


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
                hint=_convert_hint(ingest, "ISO-8859-1"),
            )
