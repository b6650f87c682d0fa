from __future__ import annotations

import bz2
import gzip
import lzma
import os
from pathlib import Path

import pytest

from goldsmith.errors import IngestError
from goldsmith.ingest.chunks import split
from goldsmith.ingest.reader import read_blocks
from goldsmith.spec.ingest import Ingest

THINGS = Ingest(
    source="data_lake.things", file="raw/things.csv", key=("id",), columns=("id", "name"), chunk_mb=1
)


@pytest.fixture
def things(tmp_path: Path) -> Path:
    """Where the file of the ingest belongs."""
    (tmp_path / "raw").mkdir()
    return tmp_path / THINGS.file


def _records(path: Path, *, start: int, end: int) -> int:
    blocks = read_blocks(path, start=start, end=end, line=1, delimiter=ord(","), name="things")
    return sum(block.records for block in blocks)


def test_chunks_meet_at_record_boundaries(things: Path, tmp_path: Path) -> None:
    """Chunks follow each other without a gap, count lines right, and cut no quoted field of many lines."""
    text = "id,name\n" + "".join(f'{row},"first\nsecond, {row:0100d}\nthird"\n' for row in range(40_000))
    things.write_text(text)

    chunks = [part for chunk in split(THINGS, tmp_path) for part in chunk.parts]

    assert len(chunks) > 2
    assert [chunk.start for chunk in chunks] == [8, *(chunk.end for chunk in chunks[:-1])]
    assert chunks[-1].end == len(text)
    for chunk in chunks:
        assert chunk.first_line == text.count("\n", 0, chunk.start) + 1
        assert chunk.last_line == text.count("\n", 0, chunk.end)
        assert text[chunk.end - 7 : chunk.end] == 'third"\n'
    assert sum(_records(things, start=chunk.start, end=chunk.end) for chunk in chunks) == 40_000


def test_a_header_alone_is_a_file_without_rows(things: Path, tmp_path: Path) -> None:
    """No row is no fault: there is one chunk, an empty one, so that later steps run."""
    things.write_text("id,name\n")

    [[chunk]] = [chunk.parts for chunk in split(THINGS, tmp_path)]

    assert (chunk.start, chunk.end) == (8, 8)


@pytest.mark.parametrize("header", [b"\xef\xbb\xbfid,name\n", b"id,name\r\n", b'"id","name"\n'])
def test_the_header_may_have_a_mark_windows_ends_or_quotes(
    header: bytes, things: Path, tmp_path: Path
) -> None:
    """A UTF-8 byte order mark, a carriage return and quotes leave the header's meaning alone."""
    things.write_bytes(header + b"1,a\n")

    [[chunk]] = [chunk.parts for chunk in split(THINGS, tmp_path)]

    assert (chunk.start, chunk.end, chunk.first_line) == (len(header), len(header) + 4, 2)


@pytest.mark.parametrize(
    ("content", "complaint", "hint"),
    [
        (None, "line 1: no such file; expected a file with the header 'id,name'", "Put the file there"),
        (
            b"",
            "line 1: the file is empty (0 bytes); expected a file with the header 'id,name'",
            "header line",
        ),
        (
            b"name,id\n1,a\n",
            "line 1: the header is 'name,id'; expected 'id,name' (the order differs)",
            "`columns`",
        ),
        (b"id,nam\n", "'id,nam'; expected 'id,name' (missing: name; not expected: nam)", "`columns`"),
        (b"id;name\n1;a\n", "line 1: the header is 'id;name'; expected 'id,name'", "separated by ';'"),
        ("id,name\n1,a\n".encode("utf-16"), "line 1: the file is in UTF-16", "iconv -f UTF-16 -t UTF-8"),
        ("id,name\n1,a\n".encode("utf-16-le"), "line 1: the file is in UTF-16", "iconv -f UTF-16 -t UTF-8"),
        ("id,name\n1,a\n".encode("utf-32"), "line 1: the file is in UTF-32", "iconv -f UTF-32 -t UTF-8"),
        ("id,name\n1,a\n".encode("utf-32-be"), "line 1: the file is in UTF-32", "iconv -f UTF-32 -t UTF-8"),
        (b"id,na\0me\n1,a\n", "line 1: the header holds a NUL byte at position 6", "od -c"),
        (b"\0" * 5000, "line 1: the header holds a NUL byte at position 1", "od -c"),
        (b"id,name\r1,a\r", "line 1: the header is ", "tr '\\r' '\\n'"),
        (b"id,n" + b"a" * 63 + b"\n", "not expected: na", "PostgreSQL cuts names after 63 bytes"),
        (b"PK\x03\x04rest", "line 1: this is a ZIP archive or an Excel workbook; expected text", "CSV"),
        (b"PAR1rest", "line 1: this is a Parquet file; expected text", "CSV"),
        (bz2.compress(b"id,name\n"), "line 1: this is compressed with bzip2; expected text", "gzip or zstd"),
        (lzma.compress(b"id,name\n"), "line 1: this is compressed with xz; expected text", "gzip or zstd"),
        # Without a time: the content is part of the test's name, on which two workers of pytest have to agree.
        (
            gzip.compress(gzip.compress(b"id,name\n", mtime=0), mtime=0),
            "line 1: this, inside gzip, is compressed twice (gzip, then gzip)",
            "gzip or zstd",
        ),
        (gzip.compress(b"", mtime=0), "line 1: the file is empty (0 bytes)", "header line"),
        (
            "id,naïve\n1,a\n".encode("latin-1"),
            "line 1: byte 0xef at position 6 of the header is not utf-8",
            "iconv",
        ),
        (
            b"id,name\n1,a\n" + "2,é\n3,ü\n".encode("latin-1"),
            "line 3: the text is not utf-8, nor is that of 1 more of 3 rows",
            "iconv -f ISO-8859-1",
        ),
    ],
)
def test_a_file_that_cannot_be_loaded_says_where_and_what_was_expected(
    content: bytes | None, complaint: str, hint: str, things: Path, tmp_path: Path
) -> None:
    """The error names the file, the line and the expectation, and what to do."""
    if content is not None:
        things.write_bytes(content)

    with pytest.raises(IngestError) as error:
        split(THINGS, tmp_path)

    assert error.value.message.startswith("raw/things.csv, line ")
    assert complaint in error.value.message
    assert hint in error.value.hint


@pytest.mark.parametrize("kind", ["a named pipe", "a directory"])
def test_what_is_no_file_is_refused_at_once(kind: str, things: Path, tmp_path: Path) -> None:
    """A named pipe is not waited for."""
    if kind == "a directory":
        things.mkdir()
    else:
        os.mkfifo(things)

    with pytest.raises(IngestError, match=rf"things\.csv, line 1: this is {kind}; expected a regular"):
        split(THINGS, tmp_path)


def test_a_few_damaged_rows_are_not_another_encoding(things: Path, tmp_path: Path) -> None:
    """Among rows that decode, one that does not is left to be rejected on its own."""
    things.write_bytes(b"id,name\n" + "1,é\n2,ü\n3,x\n".encode() + b"4,\xff\n")

    assert len(split(THINGS, tmp_path)) == 1


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"source": "things"}, "is not schema.table"),
        ({"columns": ("id", "load_timestamp")}, "is set by the database"),
        ({"columns": ("id", "name", "name")}, "column name is listed twice"),
        ({"columns": ("id", "the name")}, "'the name' is not a name"),
        ({"columns": ("id", "xmax")}, "column 'xmax' has the name of a system column"),
        ({"columns": ("id", "ctid")}, "column 'ctid' has the name of a system column"),
        ({"columns": ("id", *(f"c{number}" for number in range(1599)))}, "there are 1,600 columns"),
        ({"columns": ("id", "a" * 64)}, "has 64 bytes; PostgreSQL cuts names after 63"),
        (
            {"columns": ("id", "a" * 63 + "b", "a" * 63 + "c")},
            "cuts names after 63, after which it equals 'a+c'",
        ),
        ({"source": "data_lake." + "a" * 64}, "schema or table 'a+' has 64 bytes"),
        ({"source": "pg_temp.things"}, "the schema 'pg_temp' is PostgreSQL's own"),
        ({"source": "data_lake.rejected_rows"}, "is where rejected rows go"),
        ({"max_record_mb": 0}, "greater than or equal to 1"),
        ({"key": ("number",)}, "key number is not among the columns"),
        ({"key": ()}, "at least 1 item"),
        ({"delimiter": '"'}, "cannot separate fields"),
        ({"chunks": 3}, "Extra inputs"),
    ],
)
def test_an_ingest_that_makes_no_sense_is_refused(change: dict[str, object], complaint: str) -> None:
    """The spec is checked when it is written, not when the file is loaded."""
    with pytest.raises(ValueError, match=complaint):
        Ingest.model_validate({**THINGS.model_dump(), **change})
