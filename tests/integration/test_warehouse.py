"""What is done in the warehouse beside dbt, on a real PostgreSQL."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import timedelta
from queue import SimpleQueue
from types import ModuleType
from typing import Self
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from goldsmith.errors import EnvironmentProblem
from goldsmith.local.postgres import EmbeddedPostgres
from goldsmith.results.record import FailingRows
from goldsmith.warehouse.cancel import end_sessions
from goldsmith.warehouse.relations import relation_kinds
from goldsmith.warehouse.rows import sample_rows
from goldsmith.warehouse.tags import session_tag
from goldsmith.warehouse.writer import Writer, _key, writer

pytestmark = pytest.mark.integration

POLL = 0.05
# Says `held` when it is the writer, and stays it until it is killed.
HOLDER = """
import functools, sys, time
from goldsmith.warehouse.writer import writer
say = functools.partial(print, flush=True)
with writer("warehouse", target=sys.argv[1], run=sys.argv[2], exclusive=True, on_wait=say, timeout=None):
    say("held")
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL with an ordinary role beside the superuser."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("warehouse") / "postgres")
    server.start()
    with server.connected("warehouse") as connection:
        connection.execute("create role analyst login")
    yield server
    server.destroy()


@pytest.fixture(autouse=True)
def _connections(server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the warehouse as Airflow connections: `warehouse`, `analyst`, and one of another kind."""
    parts = conninfo_to_dict(server.conninfo("warehouse"))
    for name, login in (("WAREHOUSE", parts["user"]), ("ANALYST", "analyst")):
        fields = {
            "conn_type": "postgres",
            "host": parts["host"],
            "port": parts["port"],
            "schema": "warehouse",
            "login": login,
            # A user's own: how rows look, and what other tools show.
            "extra": {"cursor": "dictcursor", "application_name": "theirs"},
        }
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(fields))
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps({"conn_type": "databricks", "host": "nowhere"}))


@pytest.fixture
def target() -> str:
    """A target that no other test writes."""
    return f"warehouse/test/{uuid4().hex}"


class Contender(threading.Thread):
    """A task that becomes the writer, and stays it until it is told to end."""

    def __init__(self, target: str, run: str, *, exclusive: bool, conn_id: str = "warehouse") -> None:
        super().__init__(daemon=True)
        self.waited: SimpleQueue[str] = SimpleQueue()
        self.held, self.end = threading.Event(), threading.Event()
        self._enter = writer(
            conn_id,
            target=target,
            run=run,
            exclusive=exclusive,
            on_wait=self.waited.put,
            poll=POLL,
            timeout=None,
        )
        self.start()

    def run(self) -> None:
        """Hold it."""
        with self._enter:
            self.held.set()
            self.end.wait()

    def gets_it(self) -> bool:
        """Whether it becomes the writer; the machine may be busy."""
        return self.held.wait(20)

    def stays_out(self) -> bool:
        """Whether it is not the writer after some more looks."""
        return not self.held.wait(6 * POLL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end.set()
        self.join(5)


def test_tasks_of_one_run_write_together_and_another_run_waits_for_all(target: str) -> None:
    """Shared writers of a run do not wait; those of the next run wait for the last of them, and say for whom."""
    with ExitStack() as stack:
        first, second = (stack.enter_context(Contender(target, "a", exclusive=False)) for _ in range(2))
        assert first.gets_it()
        assert second.gets_it()
        other = stack.enter_context(Contender(target, "b", exclusive=False))
        said = other.waited.get(timeout=20)
        assert said.startswith(f"Waiting to write {target}, held by goldsmith writer {target[:17]}")
        assert said.count("(process ") == 2
        first.end.set()
        assert other.stays_out()
        second.end.set()
        assert other.gets_it()


def test_an_exclusive_writer_is_alone(target: str) -> None:
    """It keeps out others of its own run and of another one; another target is another matter."""
    with ExitStack() as stack:
        alone = stack.enter_context(Contender(target, "a", exclusive=True))
        assert alone.gets_it()
        beside = stack.enter_context(Contender(target + "x", "b", exclusive=True))
        assert beside.gets_it()
        waiting = [
            stack.enter_context(Contender(target, run, exclusive=exclusive))
            for run, exclusive in (("a", False), ("a", True), ("b", False), ("b", True))
        ]
        assert all(contender.stays_out() for contender in waiting)
        alone.end.set()
        for _ in range(len(waiting)):
            _until(lambda: any(contender.held.is_set() for contender in waiting))
            (holder,) = (contender for contender in waiting if contender.held.is_set())
            waiting.remove(holder)
            holder.end.set()


def test_a_stream_of_shared_writers_does_not_starve_an_exclusive_one(target: str) -> None:
    """Once it waits, no more of its run begin, though others are writing; they go on after it."""
    with ExitStack() as stack:
        running = stack.enter_context(Contender(target, "a", exclusive=False))
        assert running.gets_it()
        alone = stack.enter_context(Contender(target, "a", exclusive=True))
        assert alone.waited.get(timeout=20)
        late = stack.enter_context(Contender(target, "a", exclusive=False))
        assert late.stays_out()
        running.end.set()
        assert alone.gets_it()
        assert not late.held.is_set()
        alone.end.set()
        assert late.gets_it()


def test_many_contenders_never_write_at_once(target: str) -> None:
    """Whatever comes when: one run at a time, an exclusive writer alone; and all get their turn."""
    present: set[tuple[str, bool, int]] = set()
    faults: list[object] = []
    guard = threading.Lock()

    def contend(number: int) -> None:
        run, exclusive = f"run {number % 3}", number % 4 == 0
        me = (run, exclusive, number)
        for _ in range(3):
            with writer(
                "warehouse",
                target=target,
                run=run,
                exclusive=exclusive,
                on_wait=lambda _: None,
                poll=0.01,
                timeout=timedelta(seconds=60),
            ):
                with guard:
                    if any(exclusive or alone or run != other for other, alone, _ in present):
                        faults.append((me, set(present)))
                    present.add(me)
                time.sleep(0.005)
                with guard:
                    present.remove(me)

    threads = [threading.Thread(target=contend, args=(number,), daemon=True) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert faults == []


def test_look_and_take_are_one_step(server: EmbeddedPostgres, target: str) -> None:
    """While somebody is inside the door, nobody else looks: two runs cannot both find the target free."""
    with server.connected("warehouse") as connection, ExitStack() as stack:
        connection.execute("select pg_advisory_lock(%s, 0)", (_key("door", target),))
        contender = stack.enter_context(Contender(target, "a", exclusive=False))
        assert contender.stays_out()
        assert contender.waited.empty()
        connection.execute("select pg_advisory_unlock_all()")
        assert contender.gets_it()


def test_a_killed_writer_is_one_no_more(target: str) -> None:
    """The lock ends with its process: whoever waits gets it at the next look."""
    with _process(target, "a") as (holder, says):
        assert says() == "held\n"
        with Contender(target, "b", exclusive=True) as waiting:
            assert waiting.stays_out()
            holder.send_signal(signal.SIGKILL)
            assert waiting.gets_it()


def test_a_frozen_contender_does_not_stop_the_others(target: str) -> None:
    """A process that is stopped while it waits holds nothing that others need."""
    with Contender(target, "a", exclusive=True) as first:
        assert first.gets_it()
        with _process(target, "b") as (frozen, says):
            assert says().startswith("Waiting to write")
            frozen.send_signal(signal.SIGSTOP)
            first.end.set()
            with Contender(target, "c", exclusive=True) as third:
                assert third.gets_it()


def test_waiting_ends_in_time(target: str) -> None:
    """After the time a sentence names the holder; nothing is left behind."""
    with Contender(target, "a", exclusive=False) as holder:
        assert holder.gets_it()
        enter = writer(
            "warehouse",
            target=target,
            run="b",
            exclusive=True,
            on_wait=lambda _: None,
            poll=POLL,
            timeout=timedelta(seconds=0.2),
        )
        with pytest.raises(EnvironmentProblem, match=r"goldsmith writer .*waited for"), enter:
            pass
        with Contender(target, "a", exclusive=False) as second:
            assert second.gets_it()


def test_roles_see_each_others_locks(target: str) -> None:
    """A role without rights is held back by another one's lock, and says as much as it may see."""
    with Contender(target, "a", exclusive=True) as holder:
        assert holder.gets_it()
        with Contender(target, "b", exclusive=True, conn_id="analyst") as other:
            assert "(process " in other.waited.get(timeout=20)
            holder.end.set()
            assert other.gets_it()


def test_a_restart_of_the_server_ends_the_lock_and_nothing_else(
    server: EmbeddedPostgres, target: str
) -> None:
    """The writer can tell that it is none any more; its `with` block ends quietly; the next one gets it."""
    with _held(target, "a") as own:
        assert own.is_held()
        server.stop()
        assert not own.is_held()
        server.start()
        assert not own.is_held()
        with _held(target, "b") as other:
            assert other.is_held()


def test_a_warehouse_without_locks_says_so(caplog: pytest.LogCaptureFixture, target: str) -> None:
    """Where nothing can be locked or ended, one line each tells; the work goes on."""
    with writer("lake", target=target, run="a", exclusive=True, on_wait=print, timeout=None) as own:
        assert own.is_held()
    assert end_sessions("lake", "goldsmith", timeout=1) == 0
    assert sample_rows("lake", "select 1", limit=1, timeout=1) is None
    lock, sessions, sample = (
        record.message for record in caplog.records if record.name.startswith("goldsmith")
    )
    assert f"Nothing keeps two runs from writing {target} at once" in lock
    assert "cannot be looked for on databricks" in sessions
    assert sample.endswith("not on databricks.")


def test_lost_queries_end_within_a_second(server: EmbeddedPostgres) -> None:
    """Those of the tag, of any number; others stay; a second look finds nothing."""
    tag, other = (session_tag("shop", "manual", part) for part in ("bronze", "silver"))
    with _sleeping(server, tag), _sleeping(server, tag), _sleeping(server, other):
        started = time.monotonic()
        assert end_sessions("warehouse", tag, timeout=5) == 2
        assert time.monotonic() - started < 1
        assert _named(server, tag) == 0
        assert _named(server, other) == 1
        assert end_sessions("warehouse", tag, timeout=5) == 0


def test_sessions_of_another_role_are_left_alone(server: EmbeddedPostgres) -> None:
    """A tag that somebody else gave to a session does not make it ours."""
    tag = session_tag("shop", "manual", "theirs")
    with _sleeping(server, tag):
        assert end_sessions("analyst", tag, timeout=1) == 0
        assert _named(server, tag) == 1


def test_sessions_can_be_ended_from_a_signal_handler(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a session was opened Airflow is not asked again: the interrupted code may be asking it."""
    tag = session_tag("shop", "manual", "cancelled")
    assert end_sessions("warehouse", tag, timeout=5) == 0
    monkeypatch.delenv("AIRFLOW_CONN_WAREHOUSE")
    ended: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda *_: ended.append(end_sessions("warehouse", tag, timeout=5)))
    try:
        with _sleeping(server, tag), psycopg.connect(server.conninfo("warehouse")) as connection:
            threading.Timer(0.2, signal.raise_signal, (signal.SIGUSR1,)).start()
            connection.execute("select pg_sleep(1)")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert ended == [1]


def test_a_server_that_is_away_is_named(server: EmbeddedPostgres) -> None:
    """The error says which connection, at once."""
    server.stop()
    try:
        with pytest.raises(EnvironmentProblem, match="connection 'warehouse' failed"):
            end_sessions("warehouse", "goldsmith", timeout=5)
    finally:
        server.start()


def test_relations_are_found_with_their_kind(server: EmbeddedPostgres) -> None:
    """Each kind by the catalogue, names in their very case; what does not exist is left out."""
    with server.connected("warehouse") as connection:
        connection.execute('create schema "Kinds"')
        for statement in (
            'create table "Kinds".plain (id int)',
            'create table "Kinds".parts (id int) partition by range (id)',
            """create view "Kinds"."Odd ""name'" as select 1 as id""",
            'create materialized view "Kinds".stored as select 1 as id',
            'create index plain_index on "Kinds".plain (id)',
        ):
            connection.execute(statement)
    expected = {
        ("Kinds", "plain"): "table",
        ("Kinds", "parts"): "table",
        ("Kinds", "Odd \"name'"): "view",
        ("Kinds", "stored"): "materialized_view",
    }
    missing = [("kinds", "plain"), ("Kinds", "PLAIN"), ("Kinds", "plain_index"), ("nowhere", "plain")]
    many = [("Kinds", f"model_{number}") for number in range(3000)]
    assert relation_kinds("warehouse", [*many, *expected, *missing]) == expected
    assert relation_kinds("warehouse", []) == {}


def test_relations_of_databricks_need_its_provider() -> None:
    """The error says what to install; another warehouse is refused."""
    with pytest.raises(EnvironmentProblem, match="apache-airflow-providers-databricks"):
        relation_kinds("lake", [("bronze", "orders")])


def test_relations_of_databricks_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """One query over the schemas that are asked for; names come back as they were asked for."""
    asked: list[object] = []

    class DatabricksSqlHook:
        """What the provider's hook does, as far as it is used."""

        def __init__(self, **arguments: object) -> None:
            asked.append(arguments)

        def get_records(self, statement: str) -> list[tuple[str, str, str]]:
            asked.append(statement)
            return [
                ("bronze", "orders", "MANAGED"),
                ("bronze", "live", "STREAMING_TABLE"),
                ("it's", "daily", "MATERIALIZED_VIEW"),
                ("it's", "other", "VIEW"),
            ]

    module = ModuleType("databricks_sql")
    module.DatabricksSqlHook = DatabricksSqlHook  # type: ignore[attr-defined]
    for name in ("databricks", "databricks.hooks"):
        monkeypatch.setitem(sys.modules, f"airflow.providers.{name}", ModuleType(name))
    monkeypatch.setitem(sys.modules, "airflow.providers.databricks.hooks.databricks_sql", module)
    wanted = [("Bronze", "Orders"), ("bronze", "live"), ("bronze", "gone"), ("it's", "daily")]
    assert relation_kinds("lake", wanted, catalog="prod") == {
        ("Bronze", "Orders"): "table",
        ("bronze", "live"): "table",
        ("it's", "daily"): "materialized_view",
    }
    arguments, statement = asked
    assert arguments == {"databricks_conn_id": "lake", "catalog": "prod"}
    assert str(statement).endswith(
        r" from information_schema.tables where lower(table_schema) in ('bronze', 'it\'s')"
    )


def test_a_sample_is_short_text() -> None:
    """Few rows, 20 columns, 200 characters; nulls, columns that are there twice and odd values included."""
    query = """select n as id, n as id, null as nothing, repeat('ä', 300) as long, 'infinity'::date as day, true as ok,
        '%s'::text as percent from generate_series(1, 5) as n order by n -- a comment"""
    assert sample_rows("warehouse", query, limit=2, timeout=5) == FailingRows(
        columns=("id", "id", "nothing", "long", "day", "ok", "percent"),
        rows=tuple((n, n, "NULL", "ä" * 199 + "…", "infinity", "true", "%s") for n in ("1", "2")),
    )
    wide = sample_rows("warehouse", f"select {', '.join('1' * 30)}", limit=5, timeout=5)
    assert wide is not None
    assert (len(wide.columns), len(wide.rows[0])) == (20, 20)
    empty = sample_rows("warehouse", "select 1 as id where false", limit=5, timeout=5)
    assert empty == FailingRows(columns=("id",), rows=())


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("select * from gone", "does not exist"),
        ("select pg_sleep(30)", "statement timeout"),
        ("select nextval('counted')", "read-only transaction"),
        ("select 1 / (n - n) from generate_series(1, 2) as n", "division by zero"),
    ],
)
def test_a_sample_that_fails_is_none(
    server: EmbeddedPostgres, caplog: pytest.LogCaptureFixture, query: str, reason: str
) -> None:
    """SQL that fails, takes long or would change something costs a line in the log and no more."""
    with server.connected("warehouse") as connection:
        connection.execute("create sequence if not exists counted")
    assert sample_rows("warehouse", query, limit=5, timeout=0.2) is None
    (line,) = [record.message for record in caplog.records if record.name.startswith("goldsmith")]
    assert line.startswith("No sample of failing rows: ")
    assert reason in line


def _held(target: str, run: str) -> AbstractContextManager[Writer]:
    return writer(
        "warehouse",
        target=target,
        run=run,
        exclusive=True,
        on_wait=print,
        poll=POLL,
        timeout=timedelta(seconds=5),
    )


@contextmanager
def _process(target: str, run: str) -> Iterator[tuple[subprocess.Popen[str], Callable[[], str]]]:
    """Have another process become the writer; what it says can be read line by line."""
    command = [sys.executable, "-c", HOLDER, target, run]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline
        finally:
            process.kill()


@contextmanager
def _sleeping(server: EmbeddedPostgres, tag: str) -> Iterator[None]:
    """Have a session with a name sleep for a minute."""
    with psycopg.connect(server.conninfo("warehouse"), application_name=tag) as connection:
        before = _named(server, tag, state="active")
        thread = threading.Thread(target=_sleep, args=(connection,), daemon=True)
        thread.start()
        _until(lambda: _named(server, tag, state="active") > before)
        yield
        connection.cancel_safe()
        thread.join(5)


def _sleep(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    with suppress(psycopg.Error):
        connection.execute("select pg_sleep(60)")


def _named(server: EmbeddedPostgres, tag: str, *, state: str = "%") -> int:
    with server.connected("warehouse") as connection:
        found = connection.execute(
            "select count(*) from pg_stat_activity where application_name = %s and state like %s",
            (tag, state),
        ).fetchone()
    return int(found[0]) if found else 0


def _until(happens: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.01)
