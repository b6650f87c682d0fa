"""What cannot work: each with its own clear error, from the real warehouse, driver and dbt."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, cast

import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.builders import plan_of, planned_node
from tests.sites import site_of

from goldsmith.check.in_airflow import AirflowAnswers, _Asked
from goldsmith.check.pipeline import Planned
from goldsmith.dag.probe import answers
from goldsmith.dbt.debug import ConnectionTest
from goldsmith.dbt.profile import profile_config
from goldsmith.engine.dbt.asking import ask_dbt
from goldsmith.engine.dbt.workspace import DbtTarget
from goldsmith.engine.task_dbt import dbt_for, dbt_workspace
from goldsmith.errors import EnvironmentProblem, GoldsmithError, UnusableConnection, WarehouseRefused
from goldsmith.plan.model import PlannedNode
from goldsmith.profile_file import ProfileFile
from goldsmith.results.record import NodeResult
from goldsmith.spec.pipeline import Pipeline
from goldsmith.spec.run import RunOptions
from goldsmith.stack.postgres import EmbeddedPostgres
from goldsmith.warehouse.choose import kind_of, warehouse_of

pytestmark = pytest.mark.integration

PROJECT = "name: poor\nprofile: poor\nmodels: {poor: {+materialized: table}}\n"
SOURCES = "sources: [{name: lake, tables: [{name: raw}]}]\n"
MODELS = {
    "one": "select 1 as id",
    "two": "select 2 as id",
    "read": "select * from {{ source('lake', 'raw') }}",
}
SECRET = "wrong-one"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL that asks one user for a password, and grants another one nothing."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("poor") / "postgres")
    server.start()
    with server.connected("warehouse") as connection:
        [(hba,)] = connection.execute("show hba_file").fetchall()
        Path(hba).write_text("local all locked scram-sha-256\n" + Path(hba).read_text())
        connection.execute("select pg_reload_conf()")
        connection.execute("create role locked login password 'right-one'; create role poor login")
        connection.execute("create schema lake; create table lake.raw (id int)")
    yield server
    server.destroy()


@pytest.fixture
def connect(server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Define an Airflow connection to the server, with fields that differ; its id."""
    kind_of.cache_clear()
    parts = conninfo_to_dict(server.conninfo("warehouse"))

    def define(**differing: object) -> str:
        fields = {
            "conn_type": "postgres",
            "host": parts["host"],
            "port": int(str(parts["port"])),
            "schema": "warehouse",
            "login": "poor",
            "password": SECRET,
        }
        monkeypatch.setenv("AIRFLOW_CONN_POOR", json.dumps({**fields, **differing}))
        return "poor"

    # A session's address is remembered by the connection's id.
    monkeypatch.setattr("goldsmith.warehouse.postgres.session._parameters", {})
    return define


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A dbt project with two models, and one that reads a source."""
    (tmp_path / "models").mkdir()
    (tmp_path / "dbt_project.yml").write_text(PROJECT)
    (tmp_path / "models" / "sources.yml").write_text(SOURCES)
    for name, text in MODELS.items():
        (tmp_path / "models" / f"{name}.sql").write_text(text)
    return tmp_path


def nodes() -> list[PlannedNode]:
    """The models, as a plan has them."""
    return [
        planned_node(
            f"model.poor.{name}",
            name=name,
            layer="",
            task_id=name,
            file=f"models/{name}.sql",
            relation=f'"warehouse"."poor"."{name}"',
        )
        for name in MODELS
    ]


def target_of(project: Path, connection: str, target: str = "prod", **profile: object) -> DbtTarget:
    """Where dbt builds the project."""
    given = {} if ProfileFile.of(connection) else {"schema": "poor", "threads": 4, **profile}
    return DbtTarget(
        dag_id=project.name,
        project_dir=project,
        profile_name="poor",
        target=target,
        connection=connection,
        profile_args=given,
    )


def build(project: Path, connection: str, target: str = "prod") -> dict[str, NodeResult]:
    """Run `dbt build` as a build of a layer does; the result of each model."""
    site = site_of(plan_of(nodes()), project, target=target_of(project, connection, target))
    found: dict[str, NodeResult] = {}
    with dbt_for(site, "r1", "build", RunOptions()) as dbt:
        dbt.on_turn = lambda results: found.update({one.unique_id.split(".")[-1]: one for one in results})
        dbt.run("build", nodes())
    return found


def by_file(folder: Path, **output: object) -> str:
    """The id of a connection by a profiles.yml."""
    path = folder / "own.yml"
    path.write_text(json.dumps({"poor": {"outputs": {"it": {"schema": "poor", "threads": 2, **output}}}}))
    return ProfileFile(file=str(path), profile="poor", target="it").conn_id


@pytest.mark.parametrize(
    ("differing", "kind", "said"),
    [
        ({"login": "locked"}, WarehouseRefused, "refuses the password of the user locked"),
        ({"login": "nobody"}, WarehouseRefused, "has no user nobody"),
        ({"schema": "nothing"}, WarehouseRefused, "has no database nothing"),
        ({"host": "127.0.0.1", "port": 1}, EnvironmentProblem, "Nothing listens at 127.0.0.1:1"),
        ({"host": "/nowhere"}, EnvironmentProblem, "Nothing listens at /nowhere"),
        ({"host": "nowhere.invalid"}, EnvironmentProblem, "There is no host nowhere.invalid"),
    ],
)
def test_what_the_first_task_of_a_run_says_of_a_server_that_it_cannot_use(
    connect: Callable[..., str], differing: dict[str, object], kind: type[GoldsmithError], said: str
) -> None:
    """At once, before dbt starts, with connection, host and user, and without the password; raw files too."""
    warehouse = warehouse_of(connect(**differing))
    began = time.monotonic()
    for act in (lambda: warehouse.end_sessions("tag", timeout=5), warehouse.loader()):
        with pytest.raises(kind) as raised:
            act()
        assert type(raised.value) is kind
        assert said in raised.value.message
        assert "(Airflow connection 'poor')" in raised.value.message
        assert "AIRFLOW_CONN_POOR" in raised.value.hint
        assert SECRET not in str(raised.value)
    assert time.monotonic() - began < 10


def test_a_user_without_rights_gets_the_statements_that_give_them(
    server: EmbeddedPostgres, connect: Callable[..., str], project: Path
) -> None:
    """Whoever runs them, one after the other, has a pipeline that runs; `goldsmith check` knows them before."""
    warehouse = warehouse_of(connect())
    before = warehouse.missing_grants(writes=[one.relation for one in nodes()], reads=["lake.raw"])
    create = 'GRANT CREATE ON DATABASE "warehouse" TO "poor";'
    use = 'GRANT USAGE ON SCHEMA "lake" TO "poor"; GRANT SELECT ON TABLE "lake"."raw" TO "poor";'
    assert before == [create, *[f"{one.strip()};" for one in use.split(";") if one]]
    with pytest.raises(WarehouseRefused) as raised:
        build(project, "poor")
    assert raised.value.hint == create
    assert "The user poor lacks a right" in raised.value.message
    assert "dbt build for 3 nodes did not reach 3 of them" in raised.value.message
    with server.connected("warehouse") as connection:
        connection.execute("create schema poor; create table poor.one as select 0 as id")
        both = 'GRANT USAGE, CREATE ON SCHEMA "poor" TO "poor";'
        found = build(project, "poor")
        assert {name: one.message.splitlines()[-1] for name, one in found.items()} == {
            "one": f"To allow it: {both}",
            "two": f"To allow it: {both}",
            "read": f"To allow it: {use}",
        }
        connection.execute(both.encode())
        connection.execute(use.encode())
    found = build(project, "poor")
    statuses = {name: one.status for name, one in found.items()}
    assert statuses == {"one": "error", "two": "success", "read": "success"}
    assert "must be owner of table one" in found["one"].message
    assert found["one"].message.endswith('To allow it: ALTER TABLE "poor"."one" OWNER TO "poor";')
    assert warehouse.missing_grants(writes=[one.relation for one in nodes()], reads=["lake.raw"]) == []


def test_an_adapter_that_there_is_not(project: Path) -> None:
    """The build says what was meant."""
    with pytest.raises(UnusableConnection) as raised:
        build(project, by_file(project, type="postgress", host="db"), target="it")
    assert "no adapter for the type 'postgress' (profile poor, target it" in raised.value.message
    assert "Did you mean postgres?" in raised.value.message
    assert raised.value.hint.startswith("Correct `type` of the profile poor")


def test_a_variable_that_is_not_set(connect: Callable[..., str], project: Path) -> None:
    """In the profile it is found before dbt starts, in the project by dbt."""
    connection = by_file(project, type="postgres", host="{{ env_var('POOR_HOST') }}")
    with pytest.raises(
        UnusableConnection, match=r"host in the profile poor, .* variable POOR_HOST, which is not"
    ):
        build(project, connection, target="it")
    (project / "models" / "one.sql").write_text("select '{{ env_var('POOR_TENANT') }}' as id")
    with pytest.raises(
        UnusableConnection, match="dbt needs the environment variable POOR_TENANT, which is not set"
    ):
        build(project, connect(login="postgres"))


def debugged(project: Path, connection: str) -> GoldsmithError | None:
    """What the test of the connection in `goldsmith check` says."""
    is_file = ProfileFile.of(connection) is not None
    test = ConnectionTest(
        project_dir=str(project),
        profile="poor",
        target="it",
        connection=connection,
        profile_args={} if is_file else {"schema": "poor", "threads": 1},
        explain=lambda said: warehouse_of(connection).explained(said),
    )
    test.start()
    return test.answer()


def test_the_check_of_a_connection_says_the_same(
    connect: Callable[..., str], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through dbt, by the driver that it uses."""
    refused = debugged(project, connect(login="locked"))
    assert isinstance(refused, WarehouseRefused)
    assert "refuses the password of the user locked" in refused.message
    kind_of.cache_clear()
    unknown = debugged(project, connect(conn_type="http"))
    assert isinstance(unknown, UnusableConnection)
    assert "Cosmos makes no dbt profile of the type 'http'" in unknown.message
    lacking = debugged(project, connect(schema=""))
    assert lacking is not None
    assert "of type 'postgres': it has no schema" in lacking.message
    monkeypatch.delenv("AIRFLOW_CONN_POOR")
    undefined = debugged(project, "poor")
    assert undefined is not None
    assert (
        "The Airflow connection 'poor' cannot be read: The conn_id `poor` isn't defined" in undefined.message
    )


@pytest.mark.parametrize(
    ("status", "headers", "kind", "message"),
    [
        (
            403,
            {"x-databricks-reason-phrase": "Invalid access token."},
            WarehouseRefused,
            "refuses the token (Airflow",
        ),
        (401, {}, EnvironmentProblem, "the token is wrong or old, or the http_path is."),
        (404, {}, EnvironmentProblem, "the token is wrong or old, or the http_path is."),
        (
            403,
            {"x-thriftserver-error-message": "User does not have permission to use SQL warehouse abc"},
            WarehouseRefused,
            "lacks a right in the warehouse",
        ),
    ],
)
def test_databricks_refuses_a_token(
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    headers: dict[str, str],
    kind: type[GoldsmithError],
    message: str,
) -> None:
    """The connector's own words for an answer that a server here gives."""
    sql = pytest.importorskip("databricks.sql")
    fields = {"conn_type": "databricks", "host": "localhost", "password": SECRET}
    monkeypatch.setenv("AIRFLOW_CONN_REFUSING", json.dumps(fields))

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            for name, value in {**headers, "content-length": "0"}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    kind_of.cache_clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        with pytest.raises(sql.exc.Error) as raised:
            sql.connect(
                server_hostname="localhost",
                http_path="/sql/1.0/warehouses/abc",
                access_token=SECRET,
                enable_telemetry=False,
                _connection_uri=f"http://127.0.0.1:{server.server_port}/sql",
            )
        server.shutdown()
    found = warehouse_of("refusing").explained(f"Database Error\n  {raised.value}")
    assert type(found) is kind
    assert message in found.message
    assert SECRET not in str(found)


def test_nobody_waits_for_a_driver_that_tries_in_vain(
    project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Databricks' connector looks for a host for 15 minutes: a build does not start dbt for that, a check ends it."""
    # What dbt-databricks 1.12.7 says there, and goes on.
    said = "NameResolutionError(HTTPSConnection: Failed to resolve 'nowhere.invalid' ([Errno -2]))"
    slow = tmp_path / "slow.py"
    slow.write_text(f"import time\nprint({said!r}, flush=True)\ntime.sleep(60)\n")
    monkeypatch.setattr("goldsmith.dbt.debug.dbt_command", lambda _: [sys.executable, str(slow)])
    monkeypatch.setattr("goldsmith.dbt.debug._SOON", 0.5)
    connection = by_file(
        project, type="databricks", host="nowhere.invalid", token=SECRET, http_path="/sql/1", catalog="main"
    )
    began = time.monotonic()
    found = debugged(project, connection)
    with pytest.raises(EnvironmentProblem) as raised:
        build(project, connection, target="it")
    assert time.monotonic() - began < 30
    assert found is not None
    assert found.message == raised.value.message
    assert found.message.startswith("There is no host nowhere.invalid (profile poor, target it in ")
    assert SECRET not in str(found)


def test_a_search_path_does_not_take_away_what_ends_lost_queries(
    server: EmbeddedPostgres, connect: Callable[..., str], project: Path
) -> None:
    """In dbt's sessions both hold: the server looks for its client, and finds names where it is told to."""
    parts = conninfo_to_dict(server.conninfo("warehouse"))
    place = {"host": parts["host"], "port": int(str(parts["port"])), "user": "poor", "dbname": "warehouse"}
    path = {"search_path": "extensions, public"}
    file = by_file(project, type="postgres", password="-", **place, **path)
    site = site_of(plan_of(()), project, target=target_of(project, file, "it"))
    settings = ("search_path", "client_connection_check_interval", "application_name")
    questions = [f"{{% set answer = run_query('show {one}').rows[0][0] %}}" for one in settings]
    with dbt_workspace(site, "r1", "build", RunOptions()) as space:
        found = ask_dbt(space, questions, 60)
    assert found == ["extensions, public", "1s", site.writer.session("r1", "build")]
    options = space.env["PGOPTIONS"]
    site = site_of(plan_of(()), project, target=target_of(project, connect(), "it", **path))
    with dbt_workspace(site, "r1", "build", RunOptions()) as space:
        assert space.env["PGOPTIONS"] == options
        assert "search_path" not in (space.profiles_dir / "profiles.yml").read_text()


def test_a_file_and_its_connections_are_read_once(
    project: Path, connect: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each profile that dbt gets: a vault is not asked twice."""
    from airflow.sdk import BaseHook

    asked: list[str] = []
    reads: list[ProfileFile] = []
    get, read = BaseHook.get_connection, ProfileFile._read

    def noted_get(conn_id: str) -> Any:
        asked.append(conn_id)
        return get(conn_id)

    def noted_read(file: ProfileFile) -> dict[str, Any]:
        reads.append(file)
        return read(file)

    monkeypatch.setattr(BaseHook, "get_connection", noted_get)
    monkeypatch.setattr(ProfileFile, "_read", noted_read)
    connect()
    path = project / "own.yml"
    output = {"type": "postgres", "host": "db", "password": "{{ env_var('VAULT') }}", "schema": "poor"}
    path.write_text(json.dumps({"poor": {"outputs": {"it": output}}}))
    file = ProfileFile(file=str(path), profile="poor", target="it", env={"VAULT": "poor.password"})
    config = profile_config(profile_name="poor", target_name="it", conn_id=file.conn_id, profile_args={})
    with config.ensure_profile() as (_, secrets):
        assert secrets == {"VAULT": SECRET}
    assert (asked, reads) == (["poor"], [file])


def test_a_key_of_the_extra_that_the_driver_does_not_know_is_named_before_a_run(
    connect: Callable[..., str], project: Path
) -> None:
    """dbt's profile has no such key, so that dbt connects, and each run would fail."""
    connection = connect(password="right-one", login="locked", extra={"sslmod": "prefer"})
    assert debugged(project, connection) is None
    rights = {"shop": {"connection": connection, "writes": [], "reads": []}}
    asked: dict[str, object] = {"files": [], "unread": False, "connections": {}, "marks": [], "types": []}
    said = answers({**asked, "dags_dir": str(project), "rights": rights})["rights"]["shop"]
    text = (
        "The extra of the Airflow connection 'poor' has the key 'sslmod', which PostgreSQL's driver does not know. "
        "Did you mean sslmode or sslcertmode or gssencmode?"
    )
    assert said["text"] == text
    assert said["hint"].startswith("Correct or delete it in `extra` of the Airflow connection 'poor'")
    found = AirflowAnswers(
        one={"connections": {}, "rights": {"shop": said}},
        two={},
        tests={"shop": _Asked(name="poor", connection=connection)},
        marks_unknown=False,
    )
    shop = Planned(spec=Pipeline(name="shop"), file=project, project=cast("Any", None), plan=plan_of(nodes()))
    [finding] = found._connection(shop)
    assert finding.status == "fail"
    assert finding.text == (
        f"dbt connects with the Airflow connection 'poor', but Goldsmith cannot, so each run would fail: {text}"
    )
