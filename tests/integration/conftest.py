"""Fixtures of several modules: an Airflow with pipelines of the shared engine, and a warehouse."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import jwt
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.integration import planted
from tests.integration.lake import LAKES, Lake
from tests.integration.planted import PLANTED
from tests.integration.shared_lab import Lab
from tests.integration.shared_project import (
    ALERTED,
    BY_FILE,
    CONTROL,
    DUCKS,
    GATED,
    MICRO,
    OBSERVED,
    PIPELINES,
    REFUSED,
    STARTED,
    STEERED,
    WATCHED,
    make_duck_project,
    make_gated_project,
    make_observed_project,
    make_planted_project,
    make_projects,
    make_steered_project,
    spec_of,
    write_dag,
    write_other_dbt,
    write_profile,
)
from tests.unit.alerts.receiver import Receiver

from goldsmith.client.parsed import wait_until_parsed
from goldsmith.pipeline import load_plan, project_of
from goldsmith.pipelines.refresh import is_fresh, make_pipeline_manifest
from goldsmith.plan.model import Plan
from goldsmith.results.store import ResultStore
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline
from goldsmith.stack.environment import API_ACCESS
from goldsmith.stack.postgres import EmbeddedPostgres
from goldsmith.stack.stack import Stack

LONGEST = ("test_shared_faults.py",)
"""Files that begin first: begun last, one worker would be at them long after the others have ended."""
PACKAGES = "DBT_PACKAGES_FOR_TESTS"
"""Environment variable that names a folder with `elementary` and `dbt_utils`, exported from their repositories."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, settings_for: Callable[[Path], Settings]) -> Iterator[Lab]:
    """Pipelines with both gates, and some whose tasks may not mark, in one Airflow."""
    root = tmp_path_factory.mktemp("lab")
    make_projects(root)
    with _started(root, settings_for(root), PIPELINES, REFUSED) as made:
        yield made


@pytest.fixture(scope="module")
def gated(
    tmp_path_factory: pytest.TempPathFactory, settings_for: Callable[[Path], Settings]
) -> Iterator[Lab]:
    """Pipelines whose gates have limits, in one Airflow."""
    root = tmp_path_factory.mktemp("gated")
    make_gated_project(root)
    with _started(root, settings_for(root), GATED) as made:
        yield made


@pytest.fixture(scope="module")
def steered(
    tmp_path_factory: pytest.TempPathFactory, settings_for: Callable[[Path], Settings]
) -> Iterator[Lab]:
    """Pipelines whose runs are given parameters, with microbatches, or whose tasks may not mark, in one Airflow."""
    root = tmp_path_factory.mktemp("steered")
    make_steered_project(root)
    with _started(root, settings_for(root), (*STEERED, *STARTED, *MICRO), REFUSED) as made:
        yield made


@pytest.fixture(scope="module")
def alerted(
    tmp_path_factory: pytest.TempPathFactory, settings_for: Callable[[Path], Settings]
) -> Iterator[tuple[Lab, Receiver]]:
    """Pipelines with alerts, and who receives them: all components know the connections."""
    root = tmp_path_factory.mktemp("alerted")
    make_projects(root)
    with Receiver() as receiver, pytest.MonkeyPatch.context() as environment:
        for name, host in (
            ("hook", f"{receiver.url}/hook"),
            ("pager", receiver.url),
            ("away", "http://127.0.0.1:9"),
        ):
            connection = {"conn_type": "http", "host": host, "password": f"secret-of-{name}"}
            environment.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(connection))
        for name, value in planted.environment(receiver.url).items():
            environment.setenv(name, value)
        receiver.echoes = "/echo"
        make_planted_project(root)
        with _started(root, settings_for(root), (*ALERTED, *PLANTED)) as made:
            yield made, receiver


@pytest.fixture(scope="module")
def ducks(
    tmp_path_factory: pytest.TempPathFactory, settings_for: Callable[[Path], Settings]
) -> Iterator[Lab]:
    """Pipelines on DuckDB, in one file."""
    root = tmp_path_factory.mktemp("ducks")
    (root / "control.csv").write_text("key,value\nunknown,-1\nbroken,0\n")
    make_duck_project(root)
    with pytest.MonkeyPatch.context() as environment:
        connection = {"conn_type": "duckdb", "host": str(root / "lake.duckdb")}
        environment.setenv("AIRFLOW_CONN_LAKEHOUSE", json.dumps(connection))
        environment.setenv("GOLDSMITH_ALLOW_PROD", "yes")
        with _started(root, settings_for(root), DUCKS) as made:
            yield made


@pytest.fixture(scope="module")
def watched(
    tmp_path_factory: pytest.TempPathFactory, settings_for: Callable[[Path], Settings]
) -> Iterator[Lab]:
    """Pipelines for the journeys of an operator."""
    root = tmp_path_factory.mktemp("watched")
    make_projects(root)
    with _started(root, settings_for(root), WATCHED) as made:
        yield made


@pytest.fixture(scope="module")
def observed(
    tmp_path_factory: pytest.TempPathFactory, settings_for: Callable[[Path], Settings]
) -> Iterator[Lab]:
    """Pipelines whose project has the dbt package Elementary."""
    packages = os.environ.get(PACKAGES, "")
    if not (Path(packages) / "elementary" / "dbt_project.yml").is_file():
        pytest.skip(f"{PACKAGES} names no folder with the dbt packages elementary and dbt_utils")
    root = tmp_path_factory.mktemp("observed")
    make_observed_project(root, Path(packages))
    with _started(root, settings_for(root), OBSERVED) as made:
        yield made


@contextmanager
def _started(
    root: Path, here: Settings, pipelines: Iterable[str], refused: Sequence[str] = ()
) -> Iterator[Lab]:
    (root / "dags").mkdir()
    write_other_dbt(root)
    for name in pipelines:
        if name in PLANTED:
            planted.write_pipeline(root, name, spec_of(name))
            continue
        write_dag(root / "dags", name)
        if name in BY_FILE:
            write_profile(root, name)
    _ask_dbt([Pipeline.parse(spec_of(name)) for name in (*pipelines, *refused)], here)
    # A profiles.yml may lead anywhere: the local stack would not let its pipelines write prod.
    by_file = {"GOLDSMITH_ALLOW_PROD": "yes"} if {*pipelines} & {*BY_FILE, *PLANTED} else {}
    stack = Stack(root=root, extra_env=by_file)
    try:
        stack.up()
        with (
            stack.api() as api,
            psycopg.connect(stack.server.conninfo("warehouse"), autocommit=True) as session,
        ):
            session.execute(CONTROL)
            if refused:
                _write_refused(stack, root / "dags")
            made = Lab(
                api=api,
                stack=stack,
                plans={name: _plan(name, here) for name in (*pipelines, *refused)},
                results=ResultStore(stack.env()["GOLDSMITH_RESULTS_PATH"]),
            )
            made.control(made.plans, divisor=1, unknown=0)
            for name in made.plans:
                wait_until_parsed(api, name, stack.dags_dir, changed=None)
                api.unpause(name)
            yield made
    finally:
        stack.destroy()


def _ask_dbt(specs: Sequence[Pipeline], here: Settings) -> None:
    """As `goldsmith up` does: let dbt say what the selections mean, before Airflow parses the DAG files."""
    for spec in specs:
        if not is_fresh(spec, here):
            make_pipeline_manifest(spec, here, print, others=specs)


def _plan(name: str, here: Settings) -> Plan:
    spec = Pipeline.parse(spec_of(name))
    return load_plan(spec, project_of(spec, here), here)


def _write_refused(stack: Stack, dags: Path) -> None:
    """DAG files that take away from their own tasks' processes what the stack has given them."""
    now = int(time.time())
    claims = {"sub": "v", "role": "viewer", "teams": None, "aud": "apache-airflow", "iat": now, "nbf": now}
    viewer = jwt.encode({**claims, "exp": now + 3600}, stack.state.secrets().jwt, algorithm="HS512")
    wrong = {"login": "goldsmith", "password": "wrong"}
    given = {"conn_type": "http", "host": "127.0.0.1", "port": stack.port}
    for name, connection in (("password", {**given, **wrong}), ("viewer", {**given, "password": viewer})):
        write_dag(
            dags,
            f"refused_{name}",
            f"import json, os\n\nos.environ[{API_ACCESS!r}] = json.dumps({connection!r})",
        )
    # The API server, which is asked next, has the stack's connection in its environment: so another name.
    write_dag(dags, "refused_absent", 'from goldsmith.engine import access\n\naccess.CONNECTION = "absent"')


@pytest.fixture(scope="session")
def warehouse_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL with an ordinary role beside the superuser; one for all, because its address is remembered."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("warehouse") / "postgres")
    server.start()
    with server.connected("warehouse") as connection:
        connection.execute("create role analyst login")
    yield server
    server.destroy()


@pytest.fixture
def warehouse_connections(warehouse_server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """Name the warehouse as Airflow connections: `warehouse`, `analyst`, and one of another kind."""
    import airflow.settings  # noqa: F401 - sets up logging, which is to happen before a test reads its log

    parts = conninfo_to_dict(warehouse_server.conninfo("warehouse"))
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
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps({"conn_type": "databricks", "host": "localhost"}))


@pytest.fixture
def lake(warehouse_server: EmbeddedPostgres, tmp_path: Path) -> Lake:
    """A schema of its own for an ingest, and a folder for its files."""
    return Lake(conninfo=warehouse_server.conninfo("warehouse"), schema=f"lake_{next(LAKES)}", root=tmp_path)
