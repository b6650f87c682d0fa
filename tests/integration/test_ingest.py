"""Files into a real PostgreSQL: what ends in the table, in rejected_rows and in the counts."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.integration.lake import Lake, counts

from goldsmith.errors import IngestError
from goldsmith.ingest import merge as merging
from goldsmith.ingest.chunks import split
from goldsmith.ingest.file import load_file
from goldsmith.ingest.results import IngestResult

pytestmark = pytest.mark.integration


def test_the_same_file_twice_changes_nothing(lake: Lake) -> None:
    """A second load leaves rows, load times and rejected rows as they are, and says so."""
    lake.write("1,a,5\n2,b\n3,,\n1,c,6\n")
    first = lake.load()
    everything = (
        "select t::text from {0}.things t union all select r::text from {0}.rejected_rows r order by 1"
    )
    before = lake.query(everything)

    second = lake.load()

    assert counts(first) == (4, 2, 0, 0, 1, 1)
    assert counts(second) == (4, 0, 0, 2, 1, 1)
    assert lake.query(everything) == before
    assert lake.things() == {"1": ("c", "6"), "3": (None, None)}
    assert lake.staging_tables() == []


def test_load_timestamp_is_set_on_insert_and_on_change_only(lake: Lake) -> None:
    """Of three rows sent again only the changed one gets a new load time, and a new row gets one."""
    lake.write("1,same,5\n2,old,5\n3,absent,5\n")
    lake.load()
    before = lake.load_times()
    lake.write("1,same,5\n2,new,5\n4,fresh,5\n")

    result = lake.load()

    after = lake.load_times()
    assert counts(result) == (3, 1, 1, 1, 0, 0)
    assert {key for key in after if before.get(key) != after[key]} == {"2", "4"}
    assert after["2"] == after["4"]


def test_an_empty_field_and_an_empty_string_differ(lake: Lake) -> None:
    """Nothing between two commas is null, a pair of quotes is an empty text, as in PostgreSQL's own CSV."""
    lake.write('1,,\n2,"",""\n3,"a ""b""\nc","1,5"\n')

    lake.load()

    assert lake.things() == {"1": (None, None), "2": ("", ""), "3": ('a "b"\nc', "1,5")}


@pytest.mark.parametrize("key", [("id",), ("name", "id")])
def test_the_last_line_wins_across_chunks_and_parts(
    key: tuple[str, ...], lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever chunk or part of the merge a key falls into, its last line of the file is what stays."""
    monkeypatch.setattr(merging, "ROWS_PER_PART", 5_000)
    random = Random(7)  # noqa: S311 - test data
    rows = [(str(random.randrange(20_000)), f"line {line}") for line in range(60_000)]
    lake.write("".join(f"{number},n{int(number) % 3}{'x' * 40},{price}\n" for number, price in rows))
    last = {number: (f"n{int(number) % 3}{'x' * 40}", price) for number, price in rows}
    ingest = lake.ingest(key=key)
    assert len(split(ingest, lake.root)) > 2

    first, second = (load_file(lake.conninfo, ingest, lake.root) for _ in range(2))

    assert lake.things() == last
    assert counts(first) == (60_000, len(last), 0, 0, 60_000 - len(last), 0)
    assert counts(second) == (60_000, 0, 0, len(last), 60_000 - len(last), 0)


def test_every_malformed_row_is_kept_with_its_line_and_reason(lake: Lake) -> None:
    """Malformed rows land in rejected_rows as they were, and good rows around them in the table."""
    lake.write(
        b'1,a,5\n2,b\n3,"c\nd",5\n4,"open,5\n5,e,6\n,f,7\n6,nul\0,8\n7,caf\xe9,9\n\n"8",g,10\n'
        + "9,é,11\n10,ü,12\n".encode()
    )

    result = lake.load()

    assert set(lake.things()) == {"1", "3", "5", "8", "9", "10"}
    assert counts(result) == (12, 6, 0, 0, 0, 6)
    rejected = lake.query("select line, reason, raw, file, table_name from {}.rejected_rows order by line")
    source = f"{lake.schema}.things"
    broken = "broken quotes: a quoted field is not closed, or text stands before or after its quotes"
    assert rejected == [
        (line, reason, raw, "things.csv", source)
        for line, reason, raw in (
            (3, "2 fields, expected 3", "2,b"),
            (6, broken, '4,"open,5'),
            (8, "empty key column id", ",f,7"),
            (9, "a NUL byte, which PostgreSQL cannot store", "6,nul\\x00,8"),
            (10, "bytes that are not utf-8", "7,caf\\xe9,9"),
            (11, "an empty line", ""),
        )
    ]


_LINES = st.lists(
    st.tuples(
        st.sampled_from(["", "1", "2", "3", '"4\n"']), st.sampled_from(["", "a", '"b"']), st.integers(1, 4)
    ),
    max_size=8,
)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(files=st.lists(_LINES, min_size=1, max_size=3))
def test_any_files_one_after_another_end_as_in_a_dictionary(
    files: list[list[tuple[str, str, int]]], lake: Lake
) -> None:
    """After each of several files, table and counts are what a dictionary filled line by line would say."""
    with lake.connect() as connection:
        connection.execute(f"drop schema if exists {lake.schema} cascade")
    table: dict[str, tuple[str | None, str]] = {}
    for lines in files:
        good = [(key, name, fields) for key, name, fields in lines if key and fields == 2]
        lake.write(
            "".join(",".join([key, name, "5", "6"][: fields + 1]) + "\n" for key, name, fields in lines)
        )
        sent = {key.strip('"'): (name.strip('"') or None, "5") for key, name, _ in good}
        inserted = sum(key not in table for key in sent)
        changed = sum(key in table and table[key] != row for key, row in sent.items())

        result = lake.load()

        table |= sent
        assert lake.things() == table
        unchanged = len(sent) - inserted - changed
        assert counts(result) == (
            len(lines), inserted, changed, unchanged, len(good) - len(sent), len(lines) - len(good),
        )  # fmt: skip


def test_rows_that_do_not_add_up_are_an_error() -> None:
    """A result whose counts do not close cannot be made."""
    with pytest.raises(IngestError, match="5 rows were read, but 4 are accounted for"):
        IngestResult(
            source="a.b", file="b.csv", rows=5, inserted=1, changed=1, unchanged=1, superseded=0, rejected=1
        )
