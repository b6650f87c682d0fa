"""Tables that a file is loaded into: their shape, and what of them can lose rows."""

from __future__ import annotations

import psycopg
import pytest
from tests.integration.lake import Lake, counts, stage

from goldsmith.errors import IngestError
from goldsmith.ingest.chunks import split
from goldsmith.ingest.file import load_file
from goldsmith.ingest.load import load
from goldsmith.ingest.merge import merge
from goldsmith.spec.ingest import MAX_COLUMNS, Ingest

pytestmark = pytest.mark.integration


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


def _trigger(lake: Lake, when: str, body: str, *, table: str = "things") -> None:
    lake.execute(f"create function {{}}.act() returns trigger language plpgsql as $$ begin {body} end $$")
    deferred = " deferrable initially deferred" if "constraint" in when else ""
    lake.execute(f"create {when} on {{}}.{table}{deferred} for each row execute function {lake.schema}.act()")


@pytest.mark.parametrize(
    ("when", "body"),
    [
        ("trigger t before insert", "if new.id = '2' then return null; end if; return new;"),
        ("trigger t before update", "if new.id = '1' then return null; end if; return new;"),
        ("trigger t before insert", "new.id := upper(new.id || 'x'); return new;"),
        ("trigger t after insert", "delete from {schema}.things where id = '2'; return null;"),
        ("trigger t after update", "delete from {schema}.things where id = '3'; return null;"),
        (
            "constraint trigger t after insert",
            "delete from {schema}.things where id = new.id; return null;",
        ),
    ],
)
def test_rows_that_a_trigger_loses_are_an_error(when: str, body: str, lake: Lake) -> None:
    """Whether it swallows, moves or deletes them, at once or at the end; the table is as it was."""
    lake.write("1,a,5\n3,c,7\n")
    lake.load()
    _trigger(lake, when, body.format(schema=lake.schema))
    before = lake.things()
    lake.write("1,changed,5\n2,b,6\n3,c,7\n")

    with pytest.raises(IngestError, match=r"rows (were not written|are not in the table).* the triggers t"):
        lake.load()

    assert lake.things() == before
    assert lake.staging_tables() == []


def test_a_trigger_may_change_what_it_stores(lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    """No row is lost then; the log says that they differ from the file's."""
    lake.write("1,a,5\n")
    lake.load()
    _trigger(lake, "trigger t before insert or update", "new.name := upper(new.name); return new;")
    lake.write("1,a,5\n2,b,6\n")

    assert counts(lake.load()) == (2, 1, 0, 1, 0, 0)
    assert "1 rows have other values than in things.csv, by the triggers t" in caplog.text
    assert lake.things() == {"1": ("a", "5"), "2": ("B", "6")}


def test_rejected_rows_that_are_swallowed_are_an_error(lake: Lake) -> None:
    """They are counted too, where they belong."""
    lake.write("1,a,5\n")
    lake.load()
    lake.execute("create function {}.act() returns trigger language plpgsql as $$ begin return null; end $$")
    lake.execute(
        "create trigger t before insert on {}.rejected_rows for each row"
        f" execute function {lake.schema}.act()"
    )
    lake.write("2,b,6\nbroken\n")

    with pytest.raises(IngestError, match=r"1 malformed rows .* did not arrive in .*rejected_rows"):
        lake.load()

    assert set(lake.things()) == {"1"}


def _partitioned(lake: Lake) -> None:
    lake.execute("create schema {}")
    lake.execute(
        "create table {}.things (id text primary key, name text, price text,"
        " load_timestamp timestamptz not null default now()) partition by hash (id)"
    )
    for number in range(2):
        lake.execute(
            f"create table {{}}.part_{number} partition of {lake.schema}.things"
            f" for values with (modulus 2, remainder {number})"
        )


def test_a_partitioned_table_is_loaded_and_counted(lake: Lake) -> None:
    """As any other one is; triggers of its partitions are known too."""
    _partitioned(lake)
    lake.write("1,a,5\n2,b,6\n3,c,7\n")

    assert counts(lake.load()) == (3, 3, 0, 0, 0, 0)
    lake.write("1,a,5\n2,new,6\n4,d,8\n4,e,8\n")
    assert counts(lake.load()) == (4, 1, 1, 1, 1, 0)
    _trigger(lake, "trigger t before insert", "return null;", table="part_0")
    lake.write("".join(f"{row},a,5\n" for row in range(20)))
    with pytest.raises(IngestError, match=r"rows were not written .* the triggers t"):
        lake.load()


@pytest.mark.parametrize(
    ("policy", "complaint"),
    [
        ("for all using (id <> '2') with check (true)", "row-level security|not in the table"),
        ("for all using (true) with check (id <> '2')", "row-level security"),
        ("for select using (true)", "row-level security"),
    ],
)
def test_row_level_security_that_hides_rows_is_an_error(policy: str, complaint: str, lake: Lake) -> None:
    """Rows that the loading user cannot see, or may not write, are not taken for loaded or unchanged ones."""
    lake.write("1,a,5\n2,b,6\n")
    lake.load()
    user = f"{lake.schema}_limited"
    lake.execute(f"create role {user} login")
    for kind in ("", "_staging"):
        lake.execute(f"grant all on schema {lake.schema}{kind} to {user}")
        lake.execute(f"grant all on all tables in schema {lake.schema}{kind} to {user}")
    lake.execute("alter table {}.things enable row level security")
    lake.execute(f"create policy p on {{}}.things {policy}")
    lake.write("1,changed,5\n2,changed,6\n3,c,7\n")

    with pytest.raises(IngestError, match=complaint):
        load_file(psycopg.conninfo.make_conninfo(lake.conninfo, user=user), lake.ingest(), lake.root)

    assert lake.things() == {"1": ("a", "5"), "2": ("b", "6")}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("create rule r as on insert to {}.things do instead nothing", "it has rules, .*: r"),
        (
            "alter table {0}.things rename to real; create view {0}.things as table {0}.real",
            "is a view; expected",
        ),
        (
            "alter table {}.things drop name, add name text generated always as (id) stored",
            "name is generated",
        ),
        ("alter table {}.things alter load_timestamp type text", "load_timestamp is text, not timestamp"),
        (
            "alter table {}.things drop constraint things_pkey, add primary key (id) deferrable",
            "its primary key is deferrable",
        ),
    ],
)
def test_a_table_that_cannot_be_upserted_is_refused(change: str, complaint: str, lake: Lake) -> None:
    """Each for its own reason, before anything is loaded."""
    lake.write("1,a,5\n")
    lake.load()
    lake.execute(change)

    with pytest.raises(IngestError, match=complaint):
        lake.load()


@pytest.mark.parametrize(
    "columns", [("id", "chunk_", "position", "rank_", "new_", "same_"), ("id", "held", "latest")]
)
def test_columns_may_have_the_names_we_use(columns: tuple[str, ...], lake: Lake) -> None:
    """Internal columns give way."""
    ingest = lake.ingest().model_copy(update={"columns": columns})
    lake.root.joinpath("things.csv").write_text(
        ",".join(columns) + "\n" + "".join(",".join([row, *columns[1:]]) + "\n" for row in "1232")
    )

    first, second = (load_file(lake.conninfo, ingest, lake.root) for _ in range(2))

    assert counts(first) == (4, 3, 0, 0, 1, 0)
    assert counts(second) == (4, 0, 0, 3, 1, 0)


def test_as_many_columns_as_a_table_may_have(lake: Lake) -> None:
    """With 1,599 columns a file is loaded; a row that is too wide for a page is an error of its own."""
    columns = ("id", *(f"c{number}" for number in range(MAX_COLUMNS - 1)))
    ingest = Ingest(source=f"{lake.schema}.wide", file="wide.csv", key=("id",), columns=columns)
    path = lake.root / "wide.csv"
    path.write_text(",".join(columns) + "\n1" + ",x" * (MAX_COLUMNS - 1) + "\n")
    assert counts(load_file(lake.conninfo, ingest, lake.root)) == (1, 1, 0, 0, 0, 0)
    assert counts(load_file(lake.conninfo, ingest, lake.root)) == (1, 0, 0, 1, 0, 0)
    path.write_text(",".join(columns) + "\n2" + ",ten letters" * (MAX_COLUMNS - 1) + "\n")

    with pytest.raises(IngestError, match=r"a row does not fit into a table .*row is too big.*line 2"):
        load_file(lake.conninfo, ingest, lake.root)


def test_a_key_that_is_too_long_for_its_index_is_an_error_of_its_own(lake: Lake) -> None:
    """It says which index, and nothing is merged."""
    lake.write("1,a,5\n" + "".join(f"{row * 7919 % 99991:x}" for row in range(2000)) + ",b,6\n")

    with pytest.raises(IngestError, match=r"too long for an index of .*things: index row .*maximum.*Nothing"):
        lake.load()

    assert lake.things() == {}


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("drop table {}.things", "The table .*things was dropped while things.csv was loaded"),
        ("drop table {}.rejected_rows", "rejected_rows.* does not exist"),
        ("alter table {}.things drop price", "column price is missing"),
        ("drop schema {} cascade", "was dropped while"),
    ],
)
def test_a_table_dropped_meanwhile_is_an_error_of_its_own(statement: str, complaint: str, lake: Lake) -> None:
    """Nothing is loaded, whichever it was."""
    lake.write("1,a,5\n")
    ingest, loaded = stage(lake, "run")
    lake.execute(statement)

    with pytest.raises(IngestError, match=complaint):
        merge(lake.connect, ingest, run="run", loaded=loaded)


def test_staging_dropped_before_the_load_is_an_error_of_its_own(lake: Lake) -> None:
    """The load says what is gone."""
    lake.write("1,a,5\n")
    ingest, _ = stage(lake, "run")
    lake.execute(f"drop schema {lake.schema}_staging cascade")

    with pytest.raises(IngestError, match=r"was dropped or changed while things\.csv was loaded"):
        load(lake.connect, ingest, lake.root, run="run", chunk=split(ingest, lake.root)[0])
