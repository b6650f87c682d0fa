"""The steps of an ingest, repeated, killed, or at the same time as others."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import psycopg
import pytest
from psycopg import sql
from tests.integration.lake import Lake, counts, stage

from goldsmith.errors import IngestBlocked, IngestError
from goldsmith.ingest import leftovers, waiting
from goldsmith.ingest import merge as merging
from goldsmith.ingest.chunks import split
from goldsmith.ingest.load import load
from goldsmith.ingest.merge import merge
from goldsmith.ingest.results import Loaded
from goldsmith.ingest.tables import prepare

pytestmark = pytest.mark.integration


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


def test_each_step_may_be_repeated(lake: Lake) -> None:
    """A chunk loaded twice counts once; a merge that is repeated returns the same result and merges nothing."""
    lake.write("1,a,5\n2,b,6\nbad\n")
    ingest, _ = stage(lake, "run")
    again = [
        load(lake.connect, ingest, lake.root, run="run", chunk=chunk) for chunk in split(ingest, lake.root)
    ]

    first = merge(lake.connect, ingest, run="run", loaded=again)
    second = merge(lake.connect, ingest, run="run", loaded=again)

    assert counts(first) == (3, 2, 0, 0, 0, 1)
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
    rows = loading._Rows.good_of_csv
    def first_block_only(*arguments, **named):
        yield next(rows(*arguments, **named))
        die()
    loading._Rows.good_of_csv = first_block_only
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
    assert counts(merge(lake.connect, ingest, run="run", loaded=loaded)) == (30_000, 30_000, 0, 0, 0, 0)


@pytest.mark.parametrize(("where", "merged"), [("before the commits", False), ("between the commits", True)])
def test_a_killed_merge_is_finished_by_its_retry(
    where: str, *, merged: bool, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before any commit the table is as it was; in either case the retry counts every row as inserted."""
    monkeypatch.setattr(merging, "ROWS_PER_PART", 10_000)
    lake.write("".join(f"{line},name,5\n" for line in range(30_000)) + "bad\n")
    ingest, loaded = stage(lake, "run")

    _run_and_kill(lake, where, loaded)

    rows = lake.query("select count(*) from {}.things")[0][0]
    assert 0 < int(str(rows)) < 30_000 if merged else rows == 0
    assert counts(merge(lake.connect, ingest, run="run", loaded=loaded)) == (30_001, 30_000, 0, 0, 0, 1)
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
    ingest, loaded = stage(lake, "run")
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


def _killed_while_loading(lake: Lake) -> None:
    """Stage a file in a process that is killed then."""
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom goldsmith.ingest import file\n"
        "from goldsmith.spec.ingest import Ingest\n"
        "file.merge = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)\n"
        "file.load_file(sys.argv[1], Ingest.model_validate_json(sys.argv[2]), Path(sys.argv[3]))\n"
    )
    arguments = [lake.conninfo, lake.ingest().model_dump_json(), str(lake.root)]
    done = subprocess.run([sys.executable, "-c", script, *arguments], check=False)
    assert done.returncode == -signal.SIGKILL


def test_what_a_killed_load_has_staged_is_removed_by_the_next_one(lake: Lake) -> None:
    """Of the same table or of another one in its schema."""
    lake.write("1,a,5\n")
    _killed_while_loading(lake)
    assert len(lake.staging_tables()) == 2

    lake.load(table="others")

    assert lake.staging_tables() == []


def test_what_a_load_has_staged_that_runs_now_is_left_alone(lake: Lake) -> None:
    """A load that waits for its merge finds everything staged, however many others are made meanwhile."""
    lake.write("1,a,5\n2,b,6\n")
    lake.load()
    with ThreadPoolExecutor(1) as threads, lake.connect() as other:
        other.execute(f"lock table {lake.schema}.things")
        slow = threads.submit(lake.load)
        while len(lake.staging_tables()) < 2:
            assert not slow.done()
        lake.load(table="others")
        assert len(lake.staging_tables()) == 2
        other.rollback()
        assert counts(slow.result()) == (2, 0, 0, 2, 0, 0)
    assert lake.staging_tables() == []


@pytest.mark.parametrize(
    ("is_over", "hours", "left"), [(True, 24, 0), (False, 0, 2), (None, 24, 2), (None, 0, 0)]
)
def test_an_owner_is_asked_whether_its_load_is_over(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, *, is_over: bool | None, hours: int, left: int
) -> None:
    """Between its tasks a run of Airflow has no session; if nobody knows it, its tables stay for a day."""
    lake.write("1,a,5\n")
    ingest = lake.ingest()
    prepare(lake.connect, ingest, "theirs")
    (chunk,) = split(ingest, lake.root)
    load(lake.connect, ingest, lake.root, run="theirs", chunk=chunk, owner='["dag", "run 1"]')
    monkeypatch.setattr(leftovers, "KEPT_HOURS", hours)
    asked: list[str] = []

    def answer(owner: str) -> bool | None:
        asked.append(owner)
        return is_over

    prepare(lake.connect, ingest, "ours", is_over=answer)

    assert asked == ['["dag", "run 1"]']
    assert len(lake.staging_tables()) == left


def test_staging_tables_of_an_earlier_version_go_after_a_day(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They do not say who made them; a table that is not ours is never touched."""
    lake.write("1,a,5\n")
    lake.load()
    lake.execute(f"create table {lake.schema}_staging.things_0123456789ab_0000 ()")
    old = f"{lake.schema}_staging.things_0123456789ab_0001"
    lake.execute(f"create table {old} ()")
    lake.execute(f"comment on table {old} is 'goldsmith staging 2026-01-02 03:04:05.6+00'")
    monkeypatch.setattr(leftovers, "KEPT_HOURS", 10**9)
    lake.load()
    assert len(lake.staging_tables()) == 2
    monkeypatch.setattr(leftovers, "KEPT_HOURS", 24)

    lake.load()

    assert lake.staging_tables() == ["things_0123456789ab_0000"]


def test_a_wait_for_a_lock_says_who_holds_it(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Again and again while it lasts; and the load goes on once the lock is free."""
    monkeypatch.setattr(waiting, "FIRST_LOOK", 0.2)
    lake.write("1,a,5\n")
    lake.load()
    with ThreadPoolExecutor(1) as threads, lake.connect() as other:
        other.execute(f"lock table {lake.schema}.things")
        load = threads.submit(lake.load)
        held = f"has waited for {lake.schema}.things since \\d+ s; it is held by session {other.info.backend_pid} "
        while len(re.findall(f"{held}.*idle in transaction.*: lock table", caplog.text)) < 2:
            assert not load.done()
            time.sleep(0.05)
        other.rollback()
        assert load.result().unchanged == 1


@pytest.mark.parametrize("statement", ["lock table {}.things", "update {}.things set name = 'theirs'"])
def test_a_lock_that_is_never_free_is_an_error_of_its_own(
    statement: str, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the session; nothing is loaded, and a retry may help."""
    monkeypatch.setattr(waiting, "FIRST_LOOK", 0.2)
    monkeypatch.setattr(waiting, "LOCK_WAIT", 1)
    lake.write("1,a,5\n")
    lake.load()
    lake.write("1,b,5\n")
    with lake.connect() as other:
        other.execute(sql.SQL(statement).format(sql.Identifier(lake.schema)))

        with pytest.raises(
            IngestBlocked, match=f"held by session {other.info.backend_pid} .*Nothing was loaded"
        ):
            lake.load()

    assert lake.staging_tables() == []
