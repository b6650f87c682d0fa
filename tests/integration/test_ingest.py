"""Files into a real PostgreSQL: what ends in the table, in rejected_rows and in the counts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, dataclass
from functools import partial
from itertools import count
from pathlib import Path
from random import Random

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql

from goldsmith.errors import IngestError
from goldsmith.ingest import merge as merging
from goldsmith.ingest import tables
from goldsmith.ingest.chunks import split
from goldsmith.ingest.file import load_file
from goldsmith.ingest.load import load
from goldsmith.ingest.merge import merge
from goldsmith.ingest.results import IngestResult, Loaded
from goldsmith.ingest.tables import prepare
from goldsmith.local.postgres import EmbeddedPostgres
from goldsmith.spec.ingest import Ingest

pytestmark = pytest.mark.integration

_SCHEMAS = count(1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lake:
    """A schema of its own in the warehouse, and a folder of raw files."""

    conninfo: str
    schema: str
    root: Path

    def ingest(self, *, table: str = "things", key: tuple[str, ...] = ("id",)) -> Ingest:
        """The ingest of a file with the columns id, name and price."""
        columns = ("id", "name", "price")
        return Ingest(
            source=f"{self.schema}.{table}", file="things.csv", key=key, columns=columns, chunk_mb=1
        )

    def write(self, rows: str | bytes) -> None:
        """Write a file with the header id,name,price."""
        data = rows.encode() if isinstance(rows, str) else rows
        (self.root / "things.csv").write_bytes(b"id,name,price\n" + data)

    def load(self, *, table: str = "things") -> IngestResult:
        """Load a file."""
        return load_file(self.conninfo, self.ingest(table=table), self.root)

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """Open a connection."""
        return psycopg.connect(self.conninfo)

    def query(self, text: str) -> list[tuple[object, ...]]:
        """Ask the warehouse; `{}` in the text is the schema."""
        with self.connect() as connection:
            return connection.execute(sql.SQL(text).format(sql.Identifier(self.schema))).fetchall()

    def things(self) -> dict[object, tuple[object, ...]]:
        """The table's rows by key."""
        return {row[0]: row[1:] for row in self.query("select id, name, price from {}.things")}

    def load_times(self) -> dict[object, object]:
        """The rows' load times by key."""
        return {row[0]: row[1] for row in self.query("select id, load_timestamp from {}.things")}

    def staging_tables(self) -> list[object]:
        """Tables that staged rows, still there."""
        with self.connect() as connection:
            rows = connection.execute(
                "select tablename from pg_tables where schemaname = %s and tablename <> 'merges' order by 1",
                (f"{self.schema}_staging",),
            )
            return [row[0] for row in rows]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of this file's own."""
    made = EmbeddedPostgres(tmp_path_factory.mktemp("ingest") / "postgres")
    made.start()
    yield made
    made.destroy()


@pytest.fixture
def lake(server: EmbeddedPostgres, tmp_path: Path) -> Lake:
    """An empty lake."""
    return Lake(conninfo=server.conninfo("warehouse"), schema=f"lake_{next(_SCHEMAS)}", root=tmp_path)


def _counts(result: IngestResult) -> tuple[int, ...]:
    """Rows, inserted, changed, unchanged, superseded, rejected."""
    return astuple(result)[2:]


def test_the_same_file_twice_changes_nothing(lake: Lake) -> None:
    """A second load leaves rows, load times and rejected rows as they are, and says so."""
    lake.write("1,a,5\n2,b\n3,,\n1,c,6\n")
    first = lake.load()
    everything = (
        "select t::text from {0}.things t union all select r::text from {0}.rejected_rows r order by 1"
    )
    before = lake.query(everything)

    second = lake.load()

    assert _counts(first) == (4, 2, 0, 0, 1, 1)
    assert _counts(second) == (4, 0, 0, 2, 1, 1)
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
    assert _counts(result) == (3, 1, 1, 1, 0, 0)
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
    assert _counts(first) == (60_000, len(last), 0, 0, 60_000 - len(last), 0)
    assert _counts(second) == (60_000, 0, 0, len(last), 60_000 - len(last), 0)


def test_every_malformed_row_is_kept_with_its_line_and_reason(lake: Lake) -> None:
    """Malformed rows land in rejected_rows as they were, and good rows around them in the table."""
    lake.write(
        b'1,a,5\n2,b\n3,"c\nd",5\n4,"open,5\n5,e,6\n,f,7\n6,nul\0,8\n7,caf\xe9,9\n\n"8",g,10\n'
        + "9,é,11\n10,ü,12\n".encode()
    )

    result = lake.load()

    assert set(lake.things()) == {"1", "3", "5", "8", "9", "10"}
    assert _counts(result) == (12, 6, 0, 0, 0, 6)
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
        assert _counts(result) == (
            len(lines), inserted, changed, unchanged, len(good) - len(sent), len(lines) - len(good),
        )  # fmt: skip


def test_two_loads_of_one_file_at_once(lake: Lake) -> None:
    """Neither deadlocks, every row is inserted by exactly one of them, and rejected rows are kept once."""
    lake.write("".join(f"{line},name,5\n" for line in range(60_000)) + "broken\n")

    with ThreadPoolExecutor(3) as threads:
        results = list(threads.map(lambda _: lake.load(), range(3)))

    assert sorted(result.inserted for result in results) == [0, 0, 60_000]
    assert [result.rejected for result in results] == [1, 1, 1]
    assert lake.query("select count(*) from {}.rejected_rows") == [(1,)]
    assert lake.staging_tables() == []


def test_schema_and_tables_made_by_many_at_once(lake: Lake) -> None:
    """Loads that start together in an empty warehouse do not trip over each other's `create`."""
    lake.write("1,a,5\n")

    with ThreadPoolExecutor(8) as threads:
        results = list(threads.map(lambda number: lake.load(table=f"t{number % 4}"), range(8)))

    assert sum(result.inserted for result in results) == 4


def _stage(lake: Lake, run: str) -> tuple[Ingest, list[Loaded]]:
    """Go through an ingest up to its merge."""
    ingest = lake.ingest()
    chunks = split(ingest, lake.root)
    prepare(lake.connect, ingest, run)
    return ingest, [load(lake.connect, ingest, lake.root, run=run, chunk=chunk) for chunk in chunks]


def test_each_step_may_be_repeated(lake: Lake) -> None:
    """A chunk loaded twice counts once; a merge that is repeated returns the same result and merges nothing."""
    lake.write("1,a,5\n2,b,6\nbad\n")
    ingest, _ = _stage(lake, "run")
    again = [
        load(lake.connect, ingest, lake.root, run="run", chunk=chunk) for chunk in split(ingest, lake.root)
    ]

    first = merge(lake.connect, ingest, run="run", loaded=again)
    second = merge(lake.connect, ingest, run="run", loaded=again)

    assert _counts(first) == (3, 2, 0, 0, 0, 1)
    assert second == first


KILLED = """
import os, signal, sys
from pathlib import Path
import psycopg
from goldsmith.ingest import load as loading, merge as merging
from goldsmith.ingest.chunks import split
from goldsmith.ingest.results import Loaded
from goldsmith.spec.ingest import Ingest
where, conninfo, root, ingest, *loaded = sys.argv[1:]
ingest, root, connect = Ingest.model_validate_json(ingest), Path(root), lambda: psycopg.connect(conninfo)
def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)
if where == "copy":
    rows = loading._good_rows
    def first_block_only(*arguments, **named):
        yield next(rows(*arguments, **named))
        die()
    loading._good_rows = first_block_only
    loading.load(connect, ingest, root, run="run", chunk=split(ingest, root)[0])
merging.ROWS_PER_PART = 10_000
if where == "before the commits":
    merging._file_rejected = die
if where == "between the commits":
    commit = psycopg.Connection.commit
    def once(connection):
        psycopg.Connection.commit = die
        commit(connection)
    psycopg.Connection.commit = once
chunks = [Loaded(number=int(n), staged=int(s), rejected=int(r)) for n, s, r in (c.split() for c in loaded)]
merging.merge(connect, ingest, run="run", loaded=chunks)
"""


def _run_and_kill(lake: Lake, where: str, loaded: list[Loaded]) -> None:
    chunks = [f"{chunk.number} {chunk.staged} {chunk.rejected}" for chunk in loaded]
    arguments = [where, lake.conninfo, str(lake.root), lake.ingest().model_dump_json(), *chunks]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], check=False, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL


def test_a_killed_load_is_repeated_without_a_trace(lake: Lake) -> None:
    """A process killed in the middle of its COPY leaves no staging table, and the next try loads every row once."""
    lake.write("".join(f"{line},name,{'x' * 80}\n" for line in range(30_000)))
    ingest = lake.ingest()
    prepare(lake.connect, ingest, "run")

    _run_and_kill(lake, "copy", [])

    loaded = [
        load(lake.connect, ingest, lake.root, run="run", chunk=chunk) for chunk in split(ingest, lake.root)
    ]
    assert _counts(merge(lake.connect, ingest, run="run", loaded=loaded)) == (30_000, 30_000, 0, 0, 0, 0)


@pytest.mark.parametrize(("where", "merged"), [("before the commits", False), ("between the commits", True)])
def test_a_killed_merge_is_finished_by_its_retry(
    where: str, *, merged: bool, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before any commit the table is as it was; in either case the retry counts every row as inserted."""
    monkeypatch.setattr(merging, "ROWS_PER_PART", 10_000)
    lake.write("".join(f"{line},name,5\n" for line in range(30_000)) + "bad\n")
    ingest, loaded = _stage(lake, "run")

    _run_and_kill(lake, where, loaded)

    rows = lake.query("select count(*) from {}.things")[0][0]
    assert 0 < int(str(rows)) < 30_000 if merged else rows == 0
    assert _counts(merge(lake.connect, ingest, run="run", loaded=loaded)) == (30_001, 30_000, 0, 0, 0, 1)
    assert lake.query("select count(*) from {}.things") == [(30_000,)]


def test_an_error_in_one_part_leaves_the_table_as_it_was(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """One key the table refuses undoes all parts of the merge, and nothing staged stays behind."""
    lake.write("1,a,5\n")
    lake.load()
    with lake.connect() as connection:
        connection.execute(f"alter table {lake.schema}.things add check (name <> 'refused')")
    monkeypatch.setattr(merging, "ROWS_PER_PART", 1_000)
    lake.write("".join(f"{line},{'refused' if line == 3000 else 'name'},5\n" for line in range(5_000)))

    with pytest.raises(psycopg.errors.CheckViolation):
        lake.load()

    assert lake.things() == {"1": ("a", "5")}
    assert lake.staging_tables() == []


def test_rows_lost_from_staging_are_noticed(lake: Lake) -> None:
    """Staging emptied by a crash of the server, or gone, stops the merge instead of counting as no rows."""
    lake.write("1,a,5\n2,b,6\n")
    ingest, loaded = _stage(lake, "run")
    staging, rejected = lake.staging_tables()
    with lake.connect() as connection:
        connection.execute(f"truncate {lake.schema}_staging.{staging}")
    with pytest.raises(IngestError, match="0 of 2 rows are there"):
        merge(lake.connect, ingest, run="run", loaded=loaded)
    with lake.connect() as connection:
        connection.execute(f"drop table {lake.schema}_staging.{staging}, {lake.schema}_staging.{rejected}")

    with pytest.raises(IngestError, match=r"not there any more: relation .* does not exist"):
        merge(lake.connect, ingest, run="run", loaded=loaded)

    assert lake.things() == {}


def test_a_file_replaced_after_its_split_is_not_loaded(lake: Lake) -> None:
    """Offsets of one file are not applied to another."""
    lake.write("1,a,5\n2,b,6\n")
    ingest, run = lake.ingest(), "run"
    (chunk,) = split(ingest, lake.root)
    prepare(lake.connect, ingest, run)
    lake.write("1,a,5\n2,b,6\n3,c,7\n")

    with pytest.raises(IngestError, match="has changed since it was split: 26 bytes then, 32 now"):
        load(lake.connect, ingest, lake.root, run=run, chunk=chunk)


def test_staging_of_a_dead_run_is_removed_by_a_later_one(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run left that nobody retried goes when its time is up, not before."""
    lake.write("1,a,5\n")
    _stage(lake, "dead")
    lake.load()
    assert len(lake.staging_tables()) == 2
    monkeypatch.setattr(tables, "KEPT_HOURS", 0)

    lake.load()

    assert lake.staging_tables() == []


@pytest.mark.parametrize(
    ("made", "complaint"),
    [
        ("id text primary key, name text, load_timestamp timestamptz", "column price is missing"),
        (
            "id text primary key, name text, price text, more int, load_timestamp timestamptz",
            "column more is not in the file",
        ),
        (
            "id text primary key, name text, price numeric, load_timestamp timestamptz",
            "price is numeric, not text",
        ),
        (
            "id text, name text primary key, price text, load_timestamp timestamptz",
            r"primary key is \(name\)",
        ),
    ],
)
def test_a_table_of_another_shape_is_refused(made: str, complaint: str, lake: Lake) -> None:
    """The error says what differs, before anything is loaded."""
    with lake.connect() as connection:
        connection.execute(f"create schema {lake.schema}")
        connection.execute(f"create table {lake.schema}.things ({made})")
    lake.write("1,a,5\n")

    with pytest.raises(IngestError, match=complaint):
        lake.load()


def test_a_user_without_the_right_to_create_schemas_can_load(lake: Lake) -> None:
    """Where the schemas are there already, a role that owns them needs no right on the database."""
    with lake.connect() as connection:
        connection.execute(f"create role {lake.schema}_loader login")
        for schema in (lake.schema, f"{lake.schema}_staging"):
            connection.execute(f"create schema {schema} authorization {lake.schema}_loader")
    lake.write("1,a,5\n")
    conninfo = psycopg.conninfo.make_conninfo(lake.conninfo, user=f"{lake.schema}_loader")

    assert load_file(conninfo, lake.ingest(), lake.root).inserted == 1


def test_an_open_transaction_of_a_reader_does_not_stop_a_load(lake: Lake) -> None:
    """A dbt model that is reading the table while the next load runs sees the rows of its start."""
    lake.write("1,a,5\n")
    lake.load()
    with lake.connect() as reader:
        reader.execute("set transaction isolation level repeatable read")
        query = partial(reader.execute, f"select count(*) from {lake.schema}.things")
        assert query().fetchone() == (1,)
        lake.write("2,b,6\n")

        assert lake.load().inserted == 1

        assert query().fetchone() == (1,)


def test_rows_that_do_not_add_up_are_an_error() -> None:
    """A result whose counts do not close cannot be made."""
    with pytest.raises(IngestError, match="5 rows were read, but 4 are accounted for"):
        IngestResult(
            source="a.b", file="b.csv", rows=5, inserted=1, changed=1, unchanged=1, superseded=0, rejected=1
        )
