"""What PostgreSQL says through dbt, provoked for real, and the class that it is taken for."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2  # type: ignore[import-untyped]
import pytest
from psycopg.conninfo import conninfo_to_dict

from goldsmith.dbt.error_class import error_class
from goldsmith.dbt.process import DbtProcess
from goldsmith.stack.postgres import EmbeddedPostgres

pytestmark = pytest.mark.integration

_PROJECT = """\
name: faulty
profile: faulty
models: {faulty: {+materialized: table}}
"""
_SCHEMA = """\
models:
  - name: contract
    config: {contract: {enforced: true}}
    columns: [{name: id, data_type: text}]
  - name: uneven
    columns: [{name: id, data_tests: [unique]}]
"""
_MODELS = {
    "syntax": ("selec 1", "SQL error"),
    "no_column": ("select nothing from {{ ref('fine') }}", "SQL error"),
    "no_table": ("select * from nowhere.nothing", "SQL error"),
    "no_function": ("select nothing(1)", "SQL error"),
    "contract": ("select 1 as id", "contract violation"),
    "by_zero": ("select 1 / 0 as id", "data error"),
    "not_a_number": ("select 'x'::text::int as id from {{ ref('fine') }}", "data error"),
    "twice": (
        (
            "{{ config(pre_hook='create table {{ target.schema }}.once (id int primary key)', "
            "post_hook='insert into {{ target.schema }}.once values (1), (1)') }}\nselect 1 as id"
        ),
        "data error",
    ),
    "own_error": (
        "{% if execute %}{{ exceptions.raise_compiler_error('no') }}{% endif %}",
        "compilation error",
    ),
    "slow": (
        "{{ config(pre_hook=\"set local statement_timeout = '50ms'\") }}\nselect pg_sleep(5)::text as t",
        "cancelled",
    ),
    "locked": (
        "{{ config(pre_hook=[\"set local lock_timeout = '50ms'\", 'lock table public.held']) }}\nselect 1 as id",
        "lock timeout",
    ),
    "ended": ("select pg_terminate_backend(pg_backend_pid())", "connection lost"),
    "not_mine": ("select * from secret.things", "permission denied"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL with a role that may not do everything."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("classes") / "postgres")
    server.start()
    with server.connected("warehouse") as connection:
        connection.execute("create role analyst login; grant create on database warehouse to analyst")
        connection.execute("create schema secret; create table secret.things (id int)")
        connection.execute("create table public.held (id int); grant all on public.held to analyst")
        connection.execute("create table public.counted as select 1 as id, 0 as n union all select 2, 0")
    yield server
    server.destroy()


def connect(server: EmbeddedPostgres, **more: str) -> psycopg2.extensions.connection:
    """A session by the driver that dbt uses."""
    return psycopg2.connect(server.conninfo("warehouse"), **more)


@pytest.fixture(scope="module")
def said(server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Model to what dbt said about it, all of one `dbt build`."""
    folder = tmp_path_factory.mktemp("faulty")
    parts = conninfo_to_dict(server.conninfo("warehouse"))
    output = {
        "type": "postgres",
        "host": parts["host"],
        "port": int(str(parts["port"])),
        "dbname": "warehouse",
        "user": "analyst",
        "password": "none",
        "schema": "faulty",
        "threads": 4,
    }
    files = {
        "dbt_project.yml": _PROJECT,
        "profiles.yml": json.dumps({"faulty": {"target": "it", "outputs": {"it": output}}}),
        "models/schema.yml": _SCHEMA,
        "models/fine.sql": "select 1 as id",
        "models/uneven.sql": "select 1 as id union all select 1",
        **{f"models/{name}.sql": sql for name, (sql, _) in _MODELS.items()},
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    with held(server):
        dbt = DbtProcess(["build", "--profiles-dir", "."], cwd=folder, env=os.environ)
        for _ in dbt.lines():
            pass
        assert dbt.wait() == 1
    results = json.loads((folder / "target" / "run_results.json").read_text())["results"]
    return {
        one["unique_id"].split(".")[2]: one["message"]
        for one in results
        if one["status"] in ("error", "fail")
    }


@contextmanager
def held(server: EmbeddedPostgres) -> Iterator[None]:
    """Keep a lock on a table."""
    with connect(server) as session, session.cursor() as cursor:
        cursor.execute("lock table public.held")
        yield
    session.close()


@pytest.mark.parametrize(("model", "expected"), [(name, kind) for name, (_, kind) in _MODELS.items()])
def test_what_dbt_says_of_a_model(model: str, expected: str, said: dict[str, str]) -> None:
    """The very texts; a transient one is tried again, the others are not."""
    found = error_class(said[model])
    assert found is not None, said[model]
    assert found.name == expected, said[model]


def test_what_dbt_says_of_a_test(said: dict[str, str]) -> None:
    """That it found rows."""
    found = error_class(said["unique_uneven_id"])
    assert found is not None
    assert (found.name, found.is_transient) == ("test failure", False)


def test_two_transactions_in_each_others_way(server: EmbeddedPostgres) -> None:
    """Deadlock and serialization failure."""
    change = "update public.counted set n = n + 1 where id = %s"
    caught: list[str] = []
    with connect(server) as one, connect(server) as two:
        first, second = one.cursor(), two.cursor()
        first.execute(change, (1,))
        second.execute(change, (2,))
        waiting = threading.Thread(target=run, args=(first, change, 2, caught))
        waiting.start()
        run(second, change, 1, caught)
        waiting.join(10)
        one.rollback()
        two.rollback()
        one.set_session(isolation_level="REPEATABLE READ")
        first.execute("select * from public.counted")
        second.execute(change, (1,))
        two.commit()
        run(first, change, 1, caught)
    one.close()
    two.close()
    assert names(caught) == ["deadlock", "serialization failure"]


def test_a_server_that_takes_no_connection(server: EmbeddedPostgres) -> None:
    """Wrong login is final; too many sessions, or a server that is away, are not."""
    caught = []
    with server.connected("warehouse") as connection:
        connection.execute("create role crowd login connection limit 0")
    for more in ({"user": "nobody_known"}, {"user": "crowd"}, {"host": "127.0.0.1", "port": "1"}):
        with pytest.raises(psycopg2.OperationalError) as error:
            connect(server, **more)
        caught.append(str(error.value))
    assert names(caught) == ["unknown user", "too many connections", "nothing listens"]


def run(cursor: psycopg2.extensions.cursor, statement: str, number: int, caught: list[str]) -> None:
    """Execute a statement, and keep what PostgreSQL says against it."""
    try:
        cursor.execute(statement, (number,))
    except psycopg2.Error as error:
        caught.append(str(error))


def names(texts: list[str]) -> list[str]:
    """The names of the classes of errors."""
    return [found.name if (found := error_class(text)) else text for text in texts]
