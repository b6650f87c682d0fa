"""What is done in the warehouse beside dbt, on a real PostgreSQL."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from uuid import uuid4

import psycopg
import pytest
from tests.integration.waiting import until

from goldsmith.errors import EnvironmentProblem
from goldsmith.results.record import FailingRows
from goldsmith.stack.postgres import EmbeddedPostgres
from goldsmith.warehouse.base import Capability
from goldsmith.warehouse.choose import warehouse_of
from goldsmith.warehouse.tags import session_tag

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("warehouse_connections")]


def test_a_warehouse_without_locks_does_nothing_instead() -> None:
    """Nothing is locked or ended, the work goes on, and what cannot be done is known."""
    lake = warehouse_of("lake")
    with lake.writer(target=f"warehouse/test/{uuid4().hex}", run="a", exclusive=True, on_wait=print) as own:
        assert own.is_held()
    assert lake.end_sessions("goldsmith", timeout=1) == 0
    assert lake.cancel_node("goldsmith", "model.shop.orders") == 0
    assert lake.sample_rows(["select 1"], limit=1, timeout=1) == [None]
    assert lake.session_options() == {}
    assert not lake.can(Capability.ONE_WRITER)


def test_lost_queries_end_within_a_second(warehouse_server: EmbeddedPostgres) -> None:
    """Those of the tag, of any number; others stay; a second look finds nothing."""
    tag, other = (session_tag("shop", "manual", part) for part in ("bronze", "silver"))
    with (
        _sleeping(warehouse_server, tag),
        _sleeping(warehouse_server, tag),
        _sleeping(warehouse_server, other),
    ):
        started = time.monotonic()
        assert warehouse_of("warehouse").end_sessions(tag, timeout=5) == 2
        assert time.monotonic() - started < 1
        assert _named(warehouse_server, tag) == 0
        assert _named(warehouse_server, other) == 1
        assert warehouse_of("warehouse").end_sessions(tag, timeout=5) == 0


def test_sessions_of_another_role_are_left_alone(warehouse_server: EmbeddedPostgres) -> None:
    """A tag that somebody else gave to a session does not make it ours."""
    tag = session_tag("shop", "manual", "theirs")
    with _sleeping(warehouse_server, tag):
        assert warehouse_of("analyst").end_sessions(tag, timeout=1) == 0
        assert _named(warehouse_server, tag) == 1


def test_sessions_can_be_ended_from_a_signal_handler(
    warehouse_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once a session was opened Airflow is not asked again: the interrupted code may be asking it."""
    tag = session_tag("shop", "manual", "cancelled")
    assert warehouse_of("warehouse").end_sessions(tag, timeout=5) == 0
    monkeypatch.delenv("AIRFLOW_CONN_WAREHOUSE")
    ended: list[int] = []
    before = signal.signal(
        signal.SIGUSR1, lambda *_: ended.append(warehouse_of("warehouse").end_sessions(tag, timeout=5))
    )
    try:
        with (
            _sleeping(warehouse_server, tag),
            psycopg.connect(warehouse_server.conninfo("warehouse")) as connection,
        ):
            threading.Timer(0.2, signal.raise_signal, (signal.SIGUSR1,)).start()
            connection.execute("select pg_sleep(1)")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert ended == [1]


def test_a_server_that_is_away_is_named(warehouse_server: EmbeddedPostgres) -> None:
    """The error says which connection, at once, and where nothing listens."""
    warehouse_server.stop()
    try:
        with pytest.raises(
            EnvironmentProblem, match=r"Nothing listens at /.* \(Airflow connection 'warehouse'\)"
        ):
            warehouse_of("warehouse").end_sessions("goldsmith", timeout=5)
    finally:
        warehouse_server.start()


def test_relations_are_found_with_their_kind(warehouse_server: EmbeddedPostgres) -> None:
    """Each kind by the catalogue, names in their very case; what does not exist is left out."""
    with warehouse_server.connected("warehouse") as connection:
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
        '"warehouse"."Kinds"."plain"': "table",
        '"Kinds"."parts"': "table",
        """"Kinds"."Odd ""name'\"""": "view",
        '"warehouse"."Kinds".stored': "materialized_view",
    }
    missing = ["Kinds.plain", '"Kinds"."PLAIN"', '"Kinds"."plain_index"', "nowhere.plain"]
    many = [f'"Kinds"."model_{number}"' for number in range(3000)]
    warehouse = warehouse_of("warehouse")
    assert warehouse.relation_kinds([*many, *expected, *missing]) == expected
    assert warehouse.relation_kinds([]) == {}


def test_relations_of_databricks_need_its_provider() -> None:
    """The error says what to install."""
    with pytest.raises(EnvironmentProblem, match="apache-airflow-providers-databricks"):
        warehouse_of("lake").relation_kinds(["bronze.orders"])


def test_relations_of_databricks_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    """One query for a catalog, over the schemas that are asked for; names come back as they were asked for."""
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
    wanted = [
        "`prod`.`Bronze`.`Orders`",
        "prod.bronze.live",
        "`prod`.`bronze`.`gone`",
        "`prod`.`it's`.`daily`",
    ]
    assert warehouse_of("lake").relation_kinds(wanted) == {
        "`prod`.`Bronze`.`Orders`": "table",
        "prod.bronze.live": "table",
        "`prod`.`it's`.`daily`": "materialized_view",
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
    [short] = warehouse_of("warehouse").sample_rows([query], limit=2, timeout=5)
    assert short == FailingRows(
        columns=("id", "id", "nothing", "long", "day", "ok", "percent"),
        rows=tuple((n, n, "NULL", "ä" * 199 + "…", "infinity", "true", "%s") for n in ("1", "2")),
    )
    [wide] = warehouse_of("warehouse").sample_rows([f"select {', '.join('1' * 30)}"], limit=5, timeout=5)
    assert wide is not None
    assert (len(wide.columns), len(wide.rows[0])) == (20, 20)
    [empty] = warehouse_of("warehouse").sample_rows(["select 1 as id where false"], limit=5, timeout=5)
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
    warehouse_server: EmbeddedPostgres, caplog: pytest.LogCaptureFixture, query: str, reason: str
) -> None:
    """SQL that fails, takes long or would change something costs a line in the log and no more."""
    with warehouse_server.connected("warehouse") as connection:
        connection.execute("create sequence if not exists counted")
    assert warehouse_of("warehouse").sample_rows([query], limit=5, timeout=0.2) == [None]
    (line,) = [record.message for record in caplog.records if record.name.startswith("goldsmith")]
    assert line.startswith("No sample of failing rows: ")
    assert reason in line


@contextmanager
def _sleeping(warehouse_server: EmbeddedPostgres, tag: str) -> Iterator[None]:
    """Have a session with a name sleep for a minute."""
    with psycopg.connect(warehouse_server.conninfo("warehouse"), application_name=tag) as connection:
        before = _named(warehouse_server, tag, state="active")
        thread = threading.Thread(target=_sleep, args=(connection,), daemon=True)
        thread.start()
        assert until(lambda: _named(warehouse_server, tag, state="active") > before, seconds=20)
        yield
        connection.cancel_safe()
        thread.join(5)


def _sleep(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    with suppress(psycopg.Error):
        connection.execute("select pg_sleep(60)")


def _named(warehouse_server: EmbeddedPostgres, tag: str, *, state: str = "%") -> int:
    with warehouse_server.connected("warehouse") as connection:
        found = connection.execute(
            "select count(*) from pg_stat_activity where application_name = %s and state like %s",
            (tag, state),
        ).fetchone()
    return int(found[0]) if found else 0
