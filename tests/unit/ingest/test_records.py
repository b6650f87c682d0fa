from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goldsmith.errors import IngestError
from goldsmith.ingest import reader, records
from goldsmith.ingest.reader import read_blocks
from goldsmith.ingest.rows import sort_rows
from goldsmith.spec.ingest import Ingest

THINGS = Ingest(source="data_lake.things", file="things.csv", key=("id",), columns=("id", "name", "note"))


@dataclass(frozen=True, slots=True)
class Record:
    """One record as a reader sees it that takes one character after the other."""

    line: int
    fields: tuple[str, ...] | None
    """None where the quotes are broken."""
    raw: str


def read_slowly(text: str) -> list[Record]:
    """Split text into records by the letter of RFC 4180; broken quotes cost one line, however long a field is."""
    found, at = [], 0
    while at < len(text):
        line = text.count("\n", 0, at)
        fields, end = _record(text, at)
        if fields is None:
            end = text.find("\n", at) if "\n" in text[at:] else len(text)
        found.append(Record(line, fields, text[at:end]))
        at = end + 1
    return found


def _record(text: str, at: int) -> tuple[tuple[str, ...] | None, int]:
    fields: list[str] = []
    while True:
        field, at = _quoted(text, at) if text[at : at + 1] == '"' else _plain(text, at)
        if field is None:
            return None, at
        fields.append(field)
        if at >= len(text) or text[at] == "\n":
            return tuple(fields), at
        at += 1


def _plain(text: str, at: int) -> tuple[str | None, int]:
    end = at
    while end < len(text) and text[end] not in ",\n":
        if text[end] == '"':
            return None, end
        end += 1
    return text[at:end], end


def _quoted(text: str, at: int) -> tuple[str | None, int]:
    end = at + 1
    while end < len(text):
        if text[end] == '"' and text[end + 1 : end + 2] == '"':
            end += 2
        elif text[end] == '"':
            rest, behind = _plain(text, end + 1)
            is_closed = rest is not None and (not rest or rest.startswith("\r"))
            return (text[at + 1 : end].replace('""', '"') + (rest or "") if is_closed else None), behind
        else:
            end += 1
    return None, end


def read_fast(path: Path, ingest: Ingest = THINGS) -> tuple[str, list[tuple[int, str, str]]]:
    """What the ingest makes of a file without a header: the text to copy, and line, reason and raw text."""
    good, rejected, line = b"", [], 0
    size = path.stat().st_size
    blocks = read_blocks(
        path,
        start=0,
        end=size,
        line=0,
        delimiter=ord(ingest.delimiter),
        name="things",
        longest=ingest.max_record,
    )
    for block in blocks:
        rows = sort_rows(block, ingest)
        good += rows.good
        rejected += [(line + row.line, row.reason, row.raw) for row in rows.rejected]
        line += block.lines
    return good.decode(), rejected


def _is_good(record: Record, longest: int) -> bool:
    fields = record.fields
    if fields is None or len(record.raw) > longest or len(fields) != len(THINGS.columns):
        return False
    stray = "\r" in record.raw.removesuffix("\r") and _returns_outside_quotes(record.raw)
    return not stray and fields[0] != ""


def _returns_outside_quotes(raw: str) -> bool:
    return any(raw[:at].count('"') % 2 == 0 for at, sign in enumerate(raw[:-1]) if sign == "\r")


@settings(max_examples=600, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(alphabet='ab",\n\r', max_size=60),
    block=st.sampled_from([1, 3, 8, 1 << 20]),
    longest=st.sampled_from([4, 9, 1 << 20]),
)
def test_bulk_reading_agrees_with_reading_character_by_character(
    text: str, block: int, longest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the text, the blocks and the longest record, the same records are good, the others rejected."""
    monkeypatch.setattr(Ingest, "max_record", longest)
    monkeypatch.setattr(reader, "BLOCK", block)
    monkeypatch.setattr(reader, "_SMALL_BLOCK", max(1, block // 2))
    path = tmp_path / "things.csv"
    path.write_bytes(text.encode())
    expected = read_slowly(text)

    good, rejected = read_fast(path)

    assert [(line, raw, "max_record_mb" in reason) for line, reason, raw in rejected] == [
        (
            record.line,
            record.raw.removesuffix("\r") + ("..." if len(record.raw) > longest else ""),
            len(record.raw) > longest,
        )
        for record in expected
        if not _is_good(record, longest)
    ]
    rows = list(
        csv.reader(good.splitlines(keepends=True) if '"' not in good else _physical(good), strict=True)
    )
    assert rows == [_without_return(record) for record in expected if _is_good(record, longest)]


def _physical(text: str) -> list[str]:
    return [line + "\n" for line in text.split("\n")[:-1]]


def _without_return(record: Record) -> list[str]:
    fields = list(record.fields or ())
    fields[-1] = fields[-1].removesuffix("\r") if record.raw.endswith("\r") else fields[-1]
    return fields


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (b"1,a", "2 fields, expected 3"),
        (b"1,a,b,c", "4 fields, expected 3"),
        (b"1", "1 field, expected 3"),
        (b"", "an empty line"),
        (b'1,"a,b', "broken quotes: a quoted field is not closed, or text stands before or after its quotes"),
        (
            b'1,5" pipe,b',
            "broken quotes: a quoted field is not closed, or text stands before or after its quotes",
        ),
        (b",a,b", "empty key column id"),
        (b'"",a,b', "empty key column id"),
        (b"1,a\0,b", "a NUL byte, which PostgreSQL cannot store"),
        (b"1,caf\xe9,b", "bytes that are not utf-8"),
        (b"1,a\rb,c", "a carriage return outside quotes that does not end the line"),
        (b'1,"a\n\\.\nb",c', r'a line that holds only "\.", which PostgreSQL takes for the end of the data'),
    ],
)
def test_each_fault_is_named_and_costs_its_own_row_only(row: bytes, reason: str, tmp_path: Path) -> None:
    """A malformed row between two good ones is rejected with its line, and both neighbours are kept."""
    path = tmp_path / "things.csv"
    path.write_bytes(b"7,x,y\n" + row + b"\n8,x,y\n")

    good, rejected = read_fast(path)

    assert good == "7,x,y\n8,x,y\n"
    raw = row.decode("utf-8", "backslashreplace").replace("\0", "\\x00")
    assert rejected == [(1, reason, raw)]


def test_a_stray_quote_in_a_long_file_costs_one_line(tmp_path: Path) -> None:
    """An open quote with no other within the longest record is given up, not read to the end of the file."""
    path, rows = tmp_path / "things.csv", 3 * records.MAX_RECORD // 20
    path.write_text('0,"open,x\n' + "".join(f"{row:06d},some name,a note\n" for row in range(1, rows)))

    good, rejected = read_fast(path)

    assert good.count("\n") == rows - 1
    assert [line for line, _, _ in rejected] == [0]


LIMIT = "longer than `max_record_mb: 1` allows (1,048,576 bytes)"


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        ("9,not,a row\n" * 200_000, 200_001),
        ('9,""not"",a row\n' * 200_000, 200_001),
        ("9,not,a row\r\n" * 200_000, 200_001),
        ("x" * (3 << 20), 1),
    ],
)
@pytest.mark.parametrize("is_last", [False, True])
def test_a_quoted_record_that_is_too_long_is_one_rejected_record(
    content: str, lines: int, tmp_path: Path, *, is_last: bool
) -> None:
    """Nothing of its inside is taken for a row, and the rows around it are read; the limit is named."""
    path = tmp_path / "things.csv"
    record = f'1,"{content}",b'
    path.write_text(f"0,a,b\n{record}" + ("" if is_last else "\n2,c,d\n"), newline="")

    good, rejected = read_fast(path)

    assert good == "0,a,b\n" + ("" if is_last else "2,c,d\n")
    assert [(line, reason) for line, reason, _ in rejected] == [
        (1, f"a record of {len(record):,} bytes on {lines:,} {'lines' if lines > 1 else 'line'}, {LIMIT}")
    ]
    assert rejected[0][2].startswith('1,"')
    assert len(rejected[0][2]) < 5000


def test_a_higher_limit_lets_a_long_record_through(tmp_path: Path) -> None:
    """`max_record_mb` is the limit, to the byte."""
    path = tmp_path / "things.csv"
    row = '1,"' + "long,\n" * 500_000 + '",b'
    path.write_text(row + "\n2,c,d\n")

    assert read_fast(path, THINGS.model_copy(update={"max_record_mb": 3})) == (row + "\n2,c,d\n", [])
    assert [line for line, _, _ in read_fast(path)[1]] == [0]


def test_a_line_without_quotes_that_is_too_long_is_one_rejected_record(tmp_path: Path) -> None:
    """As a quoted one is: the limit is for both."""
    path = tmp_path / "things.csv"
    path.write_text("1," + "x" * (5 << 20) + ",b\n2,c,d\n")

    good, rejected = read_fast(path)

    assert (good, [line for line, _, _ in rejected]) == ("2,c,d\n", [0])
    assert LIMIT in rejected[0][1]


def test_windows_line_ends_become_plain_ones(tmp_path: Path) -> None:
    """COPY refuses mixed line ends, so each row is handed on with a bare line feed."""
    path = tmp_path / "things.csv"
    path.write_bytes(b'1,a,b\r\n2,"c\r\nd",e\n3,f,"g"\r\n')

    assert read_fast(path) == ('1,a,b\n2,"c\r\nd",e\n3,f,"g"\n', [])


def test_a_one_byte_encoding_takes_what_utf_8_refuses(tmp_path: Path) -> None:
    """With `encoding: latin-1` an accented letter of that encoding is no fault."""
    path = tmp_path / "things.csv"
    path.write_bytes("1,café,b\n".encode("latin-1"))
    latin = THINGS.model_copy(update={"encoding": "latin-1"})
    size = path.stat().st_size
    blocks = list(read_blocks(path, start=0, end=size, line=0, delimiter=ord(","), name="things"))

    assert [sort_rows(block, latin).rejected for block in blocks] == [[]]


def test_a_file_that_shrinks_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    """Rows that were there when the file was split are not silently missing."""
    path = tmp_path / "things.csv"
    path.write_text("1,a,b\n")

    with pytest.raises(IngestError, match="things has become shorter while it was read: 4 bytes are gone"):
        list(read_blocks(path, start=0, end=10, line=1, delimiter=ord(","), name="things"))
