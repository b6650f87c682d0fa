"""The header line of a file, and in which encoding the file seems to be."""

from __future__ import annotations

import csv

from goldsmith.errors import IngestError
from goldsmith.ingest.source import RawFile
from goldsmith.spec.ingest import Ingest

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_WIDE_MARKS = (
    (b"\xff\xfe\0\0", "UTF-32"),
    (b"\0\0\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
)
_HEADER_LIMIT = 1 << 20


def expected_file(ingest: Ingest) -> str:
    """Describe the file that an ingest reads."""
    return f"a file with the header {_header_text(ingest.columns, ingest)}"


def check_header(file: RawFile, ingest: Ingest) -> int:
    """Compare the header with the columns; return the offset behind it.

    Raises:
        IngestError: The file is empty, has another header or is in another encoding.
    """
    data = file.read(_HEADER_LIMIT)
    if not data:
        raise IngestError(
            f"{ingest.file}, line 1: the file is empty (0 bytes); expected {expected_file(ingest)}.",
            hint="A file without rows still needs its header line; was this one still being written?",
        )
    _check_unicode(data, ingest)
    skipped = len(_BYTE_ORDER_MARK) if data.startswith(_BYTE_ORDER_MARK) and ingest.encoding == "utf-8" else 0
    line, _, _ = data[skipped:].partition(b"\n")
    try:
        text = line.decode(ingest.encoding)
    except UnicodeDecodeError as fault:
        raise IngestError(
            f"{ingest.file}, line 1: byte 0x{line[fault.start]:02x} at position {fault.start + 1} of the"
            f" header is not {ingest.encoding}; expected {_header_text(ingest.columns, ingest)}.",
            hint=convert_hint(ingest, "ISO-8859-1"),
        ) from None
    try:
        found = next(csv.reader([text.removesuffix("\r")], delimiter=ingest.delimiter), [])
    except csv.Error:
        found = [text]
    if tuple(found) != ingest.columns:
        raise _wrong_header(tuple(found), ingest)
    return min(skipped + len(line) + 1, len(data))


def _wrong_header(found: tuple[str, ...], ingest: Ingest) -> IngestError:
    missing = [name for name in ingest.columns if name not in found]
    unknown = [name for name in found if name not in ingest.columns]
    faults = [
        *([f"missing: {', '.join(missing)}"] if missing else []),
        *([f"not expected: {', '.join(unknown)}"] if unknown else []),
    ] or ["the order differs" if len(found) == len(ingest.columns) else "a column stands twice"]
    other = next((sign for sign in ",;\t|" if sign != ingest.delimiter and sign in "".join(found)), None)
    text = "".join(found)
    hint = f"Correct the file, or `columns` of {ingest.source} in the pipeline spec."
    if missing and other and len(found) == 1:
        hint = f"The fields seem to be separated by {other!r}: set `delimiter` of {ingest.source}."
    elif missing and "\r" in text:
        hint = f"Its lines end in carriage returns alone. Convert it: tr '\\r' '\\n' < {ingest.file} > FILE"
    elif missing and any(len(name.encode()) > 63 for name in unknown):
        hint = "PostgreSQL cuts names after 63 bytes: give the columns shorter names, in the file and in the spec."
    return IngestError(
        f"{ingest.file}, line 1: the header is {_header_text(found, ingest)};"
        f" expected {_header_text(ingest.columns, ingest)} ({'; '.join(faults)}).",
        hint=hint,
    )


def _header_text(columns: tuple[str, ...], ingest: Ingest) -> str:
    text = ingest.delimiter.join(columns)
    return repr(text if len(text) <= 500 else f"{text[:500]}...")


def convert_hint(ingest: Ingest, encoding: str) -> str:
    """Say how to get the file into the encoding that is expected."""
    return (
        f"Convert it: iconv -f {encoding} -t UTF-8 FILE, or set `encoding` of {ingest.source} if it is a"
        " one-byte encoding (latin-1, iso-8859-15, cp1252)."
    )


def _check_unicode(data: bytes, ingest: Ingest) -> None:
    """Refuse a header that is in UTF-16 or UTF-32, or holds a NUL byte of its own."""
    line = data[: data.find(b"\n") + 1 or None]
    wide = next((name for mark, name in _WIDE_MARKS if data.startswith(mark)), "") or _wide(line)
    if wide:
        raise IngestError(
            f"{ingest.file}, line 1: the file is in {wide}; expected text in {ingest.encoding}.",
            hint=f"Convert it: iconv -f {wide} -t UTF-8 FILE",
        )
    if b"\0" in line:
        raise IngestError(
            f"{ingest.file}, line 1: the header holds a NUL byte at position {line.index(0) + 1}, so the file is"
            f" binary or damaged; expected {expected_file(ingest)}.",
            hint=f"Look at it: head -c 200 {ingest.file} | od -c",
        )


def _wide(line: bytes) -> str:
    """Name the encoding whose letters of the header are followed, or preceded, by NUL bytes."""
    for step, name in ((4, "UTF-32"), (2, "UTF-16")):
        for letter in (0, step - 1):
            padding = b"".join(line[at::step] for at in range(step) if at != letter)
            if line and 0 not in line[letter::step] and padding and not padding.strip(b"\0"):
                return name
    return ""
