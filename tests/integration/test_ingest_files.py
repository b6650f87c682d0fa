"""Files that change while they are loaded, and files that are compressed."""

from __future__ import annotations

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from backports import zstd
from tests.integration.lake import Lake, counts

from goldsmith.errors import IngestError
from goldsmith.ingest import chunks as cutting
from goldsmith.ingest import load as loading
from goldsmith.ingest.chunks import split
from goldsmith.ingest.file import load_file
from goldsmith.ingest.load import load
from goldsmith.ingest.records import Block
from goldsmith.ingest.rows import Sorted, sort_rows
from goldsmith.ingest.tables import prepare
from goldsmith.spec.ingest import Ingest

pytestmark = pytest.mark.integration

ROWS = 30_000
OLD = "".join(f"{row},old {'x' * 40},5\n" for row in range(ROWS)).encode()
NEW = OLD.replace(b"old", b"new")


def _in_place(path: Path) -> None:
    path.write_bytes(b"id,name,price\n" + NEW)


def _by_rename(path: Path) -> None:
    other = path.with_suffix(".part")
    _in_place(other)
    other.rename(path)


def _with_its_old_time(path: Path) -> None:
    before = path.stat()
    _in_place(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _in_its_second_half(path: Path) -> None:
    data = b"id,name,price\n" + OLD
    path.write_bytes(data[: len(data) // 2] + data[len(data) // 2 :].replace(b"old", b"new"))


def _appended(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"9,more,5\n")


def _cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


CHANGES = (_in_place, _by_rename, _with_its_old_time, _in_its_second_half, _appended, _cut_off, Path.unlink)


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_between_split_and_load_is_not_loaded(
    change: Callable[[Path], None], lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it changes: the load ends with an error, and no row of either file is in the table or staged."""
    lake.write(OLD)
    before = cutting.split

    def split_and_change(*arguments: object) -> object:
        made = before(*arguments)  # type: ignore[arg-type]
        assert len(made) > 1
        change(lake.root / "things.csv")
        return made

    monkeypatch.setattr("goldsmith.ingest.file.split", split_and_change)

    with pytest.raises(
        IngestError, match=r"things\.csv(, line \d+: cannot be read| has changed since it was split)"
    ):
        lake.load()

    assert lake.things() == {}
    assert lake.staging_tables() == []


@pytest.mark.parametrize("change", [_in_place, _by_rename, _with_its_old_time, _appended, Path.unlink])
@pytest.mark.parametrize("step", ["split", "load"])
def test_a_file_that_changes_while_it_is_read_is_not_loaded(
    step: str, change: Callable[[Path], None], lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Splitting and loading look at the file again at their end."""
    lake.write(OLD)
    seen: list[object] = []

    def once(*_: object) -> None:
        if not seen:
            seen.append(change)
            change(lake.root / "things.csv")

    if step == "split":
        monkeypatch.setattr(cutting._Encoding, "look_at", once)
    else:

        def sort_and_change(block: Block, ingest: Ingest) -> Sorted:
            once()
            return sort_rows(block, ingest)

        monkeypatch.setattr(loading, "sort_rows", sort_and_change)

    with pytest.raises(IngestError, match="has changed"):
        lake.load()

    assert (
        lake.query("select to_regclass('{}.things')") == [(None,)] if step == "split" else not lake.things()
    )


def test_a_chunk_is_not_taken_from_a_file_of_the_same_size(lake: Lake) -> None:
    """The error says what was expected, also if only the chunk that is loaded tells."""
    lake.write("1,a,5\n2,b,6\n")
    ingest = lake.ingest()
    (chunk,) = split(ingest, lake.root)
    prepare(lake.connect, ingest, "run")
    lake.write("1,a,5\n2,b,7\n")

    with pytest.raises(IngestError, match="has changed since it was split: lines 2 to 3 are others now"):
        load(lake.connect, ingest, lake.root, run="run", chunk=chunk)

    lake.write("1,a,5\n2,b,6\n3,c,7\n")
    with pytest.raises(IngestError, match="has changed since it was split: 26 bytes then, 32 now"):
        load(lake.connect, ingest, lake.root, run="run", chunk=chunk)


@pytest.mark.parametrize(
    "compress",
    [gzip.compress, zstd.compress, lambda data: gzip.compress(data[:999]) + gzip.compress(data[999:])],
)
def test_a_compressed_file_is_read_whatever_its_name(compress: Callable[[bytes], bytes], lake: Lake) -> None:
    """Its content says what it is; rows, lines and rejected rows are those of the text inside."""
    text = b"id,name,price\n" + OLD + b'short\n"last\n1",a,5\n'
    (lake.root / "things.csv").write_bytes(compress(text))

    result = lake.load()

    assert counts(result) == (ROWS + 2, ROWS + 1, 0, 0, 0, 1)
    assert lake.query("select line, raw from {}.rejected_rows") == [(ROWS + 2, "short")]
    (lake.root / "things.csv").write_bytes(text)
    assert counts(lake.load()) == (ROWS + 2, 0, 0, ROWS + 1, 0, 1)


@pytest.mark.parametrize(("compress", "kind"), [(gzip.compress, "gzip"), (zstd.compress, "zstandard")])
@pytest.mark.parametrize(
    "damage", [lambda data: data[:-5], lambda data: data[:20], lambda data: data + b"rest"]
)
def test_a_damaged_archive_is_not_loaded(
    damage: Callable[[bytes], bytes], compress: Callable[[bytes], bytes], kind: str, lake: Lake
) -> None:
    """Cut off, or followed by something else: none of its rows is loaded."""
    lake.root.joinpath("things.csv").write_bytes(damage(compress(b"id,name,price\n" + OLD)))

    with pytest.raises(
        IngestError, match=rf"things\.csv: the {kind} archive is (cut off|damaged) .*; nothing is"
    ):
        load_file(lake.conninfo, lake.ingest(), lake.root)

    assert lake.query("select to_regclass('{}.things')") == [(None,)]
