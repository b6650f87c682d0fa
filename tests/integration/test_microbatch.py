"""Microbatch models of which some batches fail: the table afterwards is that of plain `dbt build` and `dbt retry`.

A real dbt and PostgreSQL, without Airflow. Which batches fail is decided in the warehouse: table `lab.bad` names models
and days.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, LiteralString, cast
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from tests.builders import DBT, dbt_target, no_samples
from tests.integration.waiting import until
from tests.sites import site_of

from goldsmith.dbt.executable import dbt_executable
from goldsmith.dbt.parse import make_manifest
from goldsmith.dbt.project import find_project
from goldsmith.engine.batch import Batch
from goldsmith.engine.build_state import BuildState
from goldsmith.engine.dbt.invocation import Invocations
from goldsmith.engine.isolated.node_task import IsolatedTask
from goldsmith.engine.site import Site
from goldsmith.engine.task_dbt import dbt_for
from goldsmith.engine.task_end import NodeFailed
from goldsmith.errors import DbtStopped
from goldsmith.pipeline import load_plan, project_of
from goldsmith.plan.model import Plan
from goldsmith.results.record import SKIPPED, NodeResult
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline
from goldsmith.spec.run import RunOptions
from goldsmith.stack.postgres import EmbeddedPostgres

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("warehouse_connections")]

ONE = "model.micro.one"
DAYS = 6
TODAY = datetime.now(UTC).date()
BEGIN = TODAY - timedelta(days=DAYS - 1)
EVERY_DAY = [BEGIN + timedelta(days=day) for day in range(DAYS)]
FAILING = {
    "one": [2],
    "apart": [1, 3, 5],
    "first": [0],
    "every": [0, 1, 2, 3, 4, 5],
    "side": [2, 3],
    "anew": [3],
}
"""Model to the places of the days whose batches fail: of `first` and `every` dbt builds no batch at all."""
CONFIGS = {"anew": ", full_refresh=true"}
MODEL = """\
{{{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='at', batch_size='day',
    begin='{begin}', lookback=1, unique_key='id'{more}) }}}}
select id, at, lab.check('{name}', at::date) as checked from {{{{ ref('events') }}}}
"""
FILES = {
    "dbt_project.yml": "name: micro\nprofile: micro\nflags: {send_anonymous_usage_stats: false}\n",
    "profiles.yml": (
        "micro:\n  target: prod\n  outputs:\n    prod: {type: postgres, host: \"{{ env_var('PGHOST') }}\", port: 5432,"
        " user: \"{{ env_var('PGUSER') }}\", password: '', dbname: warehouse, threads: 4,"
        " schema: \"{{ env_var('SCHEMA', 'plain') }}\"}\n"
    ),
    "models/events.sql": (
        "{{ config(materialized='table', event_time='at') }}\n"
        f"select n as id, '{BEGIN}'::timestamp + n * interval '1 day' as at from generate_series(0, {DAYS - 1}) as n"
    ),
    "models/after.sql": "{{ config(materialized='table') }} select count(*) as n from {{ ref('one') }}",
    **{
        f"models/{name}.sql": MODEL.format(name=name, begin=BEGIN, more=CONFIGS.get(name, ""))
        for name in FAILING
    },
}
SLEEPING: LiteralString = "select 1 from pg_stat_activity where wait_event = 'PgSleep'"
CONTROL: LiteralString = """
drop schema if exists lab cascade;
create schema lab;
create table lab.bad (model text, day date);
create table lab.slow (model text, day date);
create function lab.check(name text, at date) returns int language plpgsql as $$
begin
  if exists (select from lab.slow where model = name and day = at) then perform pg_sleep(600); end if;
  return 1 / (case when exists (select from lab.bad where model = name and day = at) then 0 else 1 end);
end $$;
"""


class Store:
    """A task's state store: a file for each key, so that it outlives a process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key."""
        file = self.folder / key
        return json.loads(file.read_text()) if file.exists() else default

    def set(self, key: str, value: Any) -> None:
        """Keep a value, whole or not at all."""
        made = self.folder / f"new_{key}"
        made.write_text(json.dumps(value))
        made.rename(self.folder / key)

    def delete(self, key: str) -> None:
        """Forget a key."""
        (self.folder / key).unlink(missing_ok=True)


@dataclass
class Lab:
    """The project, with a warehouse to build it in."""

    path: Path
    plan: Plan
    server: EmbeddedPostgres
    results: dict[str, list[NodeResult]] = field(default_factory=dict)

    def sql(self, statement: LiteralString, *values: object) -> list[tuple[object, ...]]:
        """Run a statement in the warehouse."""
        with psycopg.connect(self.server.conninfo("warehouse"), autocommit=True) as session:
            found = session.execute(statement, values)
            return found.fetchall() if found.description else []

    def start(self, failing: Mapping[str, list[int]], *schemas: str) -> None:
        """Begin with no tables, and with batches that fail."""
        self.sql(CONTROL)
        for schema in schemas:
            self.sql(f"drop schema if exists {schema} cascade")
        for model, places in failing.items():
            for place in places:
                self.sql("insert into lab.bad values (%s, %s)", model, EVERY_DAY[place])

    def days(self, schema: str, model: str) -> list[date]:
        """The days that a table has, each as often as it has it."""
        found = self.sql(f"select at::date from {schema}.{model} order by 1")
        return [one[0] for one in found]  # type: ignore[misc]

    def plain(self, *arguments: str, schema: str = "plain") -> int:
        """dbt alone; its exit code."""
        command = [dbt_executable(DBT), "-q", *arguments]
        return subprocess.run(
            command, cwd=self.path, env={**os.environ, **self.plain_env(schema)}, check=False
        ).returncode

    def plain_env(self, schema: str) -> dict[str, str]:
        """What the project's own profile reads."""
        parts = conninfo_to_dict(self.server.conninfo("warehouse"))
        return {"PGHOST": str(parts["host"]), "PGUSER": str(parts["user"]), "SCHEMA": schema}

    def built(
        self,
        schema: str,
        state: BuildState | None = None,
        *,
        models: tuple[str, ...] = (),
        meanwhile: Callable[[Invocations, BuildState], None] | None = None,
        **options: object,
    ) -> BuildState:
        """One try of a build; what it kept comes back as the next try finds it.

        Args:
            schema: Where the tables are.
            state: What the try before has kept.
            models: Names of the models; all of them by default.
            meanwhile: Called on a thread of its own while dbt runs.
            options: Of the run.
        """
        site = self.site(schema)
        now = BuildState.of_this_try(state, max_tries=0)
        store = Store(self.path.parent / uuid4().hex)
        if state is not None:
            state.save(store)
        self.results = {}
        nodes = [one for one in self.plan.nodes if one.unique_id not in now.good()]
        with dbt_for(site, "run", "build", RunOptions.parse({"threads": 4, **options}, target="dev")) as dbt:
            if meanwhile is not None:
                threading.Thread(target=meanwhile, args=(dbt, now), daemon=True).start()
            try:
                Batch(
                    graph=site.graph,
                    dbt=dbt,
                    keep=self._keep,
                    state=now,
                    save=lambda it: it.save(store),
                    begin=partial(BuildState.begin, store),
                    marker=None,
                    sampler=no_samples(),
                ).build([one for one in nodes if not models or one.name in models])
            except DbtStopped:
                assert meanwhile is not None
        found = BuildState.load(store)
        assert found is not None
        return found

    def site(self, schema: str) -> Site:
        """Where builds write into a schema."""
        return site_of(
            self.plan,
            self.path.parent,
            target=dbt_target(
                self.path,
                dag_id="micro",
                profile_name="micro",
                connection="warehouse",
                profile_args={"schema": schema},
            ),
        )

    def said(self, model: str) -> NodeResult:
        """What dbt said of a model in the last build."""
        [found] = self.results[f"model.micro.{model}"]
        return found

    def _keep(self, results: list[NodeResult], *, is_more: bool) -> None:  # noqa: ARG002 - it keeps all
        for one in results:
            assert NodeResult.from_dict(one.to_dict()) == one
            self.results.setdefault(one.unique_id, []).append(one)


@pytest.fixture(scope="module")
def lab(
    tmp_path_factory: pytest.TempPathFactory,
    warehouse_server: EmbeddedPostgres,
    settings_for: Callable[[Path], Settings],
) -> Iterator[Lab]:
    """The project, planned."""
    root = tmp_path_factory.mktemp("micro")
    folder = root / "dbt_project"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    project = replace(find_project(folder), dbt=DBT)
    make_manifest(project, target="prod", env={**os.environ, "PGHOST": "x", "PGUSER": "x"})
    spec = Pipeline.parse({"name": "micro", "gate": "node", "layers": {"all": "path:models/"}})
    here = settings_for(root)
    yield Lab(path=folder, plan=load_plan(spec, project_of(spec, here), here), server=warehouse_server)
    warehouse_server_sql = psycopg.connect(warehouse_server.conninfo("warehouse"), autocommit=True)
    with warehouse_server_sql as session:
        session.execute("drop schema if exists lab, plain, ours, alone cascade")


def test_failed_batches_are_red_and_a_retry_builds_exactly_these(lab: Lab) -> None:
    """One, some that are not adjacent, the first, all of them: as plain dbt, row by row."""
    lab.start(FAILING, "plain", "ours")
    assert lab.plain("build") == 1
    state = lab.built("ours")
    for name, places in FAILING.items():
        is_lost = places[0] == 0
        missing = EVERY_DAY if is_lost else [EVERY_DAY[place] for place in places]
        assert state.statuses[f"model.micro.{name}"] == ("error" if is_lost else "partial success"), name
        assert state.batches[f"model.micro.{name}"].missing == tuple(map(str, missing)), name
        assert "division by zero" in lab.said(name).message
        assert str(EVERY_DAY[places[0]]) in lab.said(name).message
    assert state.statuses["model.micro.after"] == SKIPPED
    assert "--event-time-start" in lab.said("one").command
    assert f"'{EVERY_DAY[2]} 00:00:00" in lab.said("one").compiled_sql
    assert [lab.days("ours", name) for name in ("one", "apart", "anew")] == [
        lab.days("plain", name) for name in ("one", "apart", "anew")
    ]
    before = lab.sql("select xmin::text, id from ours.apart order by 1")
    lab.sql("delete from lab.bad")
    assert lab.plain("retry") == 0
    state = lab.built("ours", state)
    assert set(state.statuses.values()) == {"success"}
    assert state.batches == {}
    for name in ("one", "apart", "first", "every"):
        assert lab.days("ours", name) == lab.days("plain", name) == EVERY_DAY, name
    assert lab.sql("select n from ours.after") == [(DAYS,)]
    after = lab.sql("select xmin::text, id from ours.apart order by 1")
    assert set(before) < set(after), "batches that were built have been built again"
    assert lab.said("apart").rows == len(FAILING["apart"])
    # dbt's own retry makes such a table anew from the batches that it retries.
    assert lab.days("ours", "anew") == EVERY_DAY
    assert len(lab.days("plain", "anew")) < DAYS


@pytest.mark.parametrize(("place", "is_full_refresh"), [(1, False), (3, True)])
def test_after_dbt_is_killed_between_batches_the_next_try_builds_the_others(
    lab: Lab, place: int, *, is_full_refresh: bool
) -> None:
    """The table is there by then, and dbt alone would build no more than the last two batches.

    With `--full-refresh`, dbt's own retry would make the table anew from the batches that it retries.
    """
    lab.start({}, "ours")
    lab.sql("insert into lab.slow values ('one', %s)", EVERY_DAY[place])

    def kill(dbt: Invocations, state: BuildState) -> None:
        assert until(lambda: bool(lab.sql(SLEEPING)), seconds=300)
        assert until(lambda: ONE in state.batches and len(state.batches[ONE].built) == place, seconds=60)
        assert dbt._running is not None
        os.kill(dbt._running.pid, signal.SIGKILL)

    state = lab.built("ours", models=("events", "one"), meanwhile=kill, full_refresh=is_full_refresh)
    assert ONE not in state.good()
    assert state.batches[ONE].built == set(map(str, EVERY_DAY[:place]))
    lab.sql("delete from lab.slow")
    lab.sql("select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'")
    lab.built("ours", state, models=("one", "after"), full_refresh=is_full_refresh)
    assert lab.sql("select n from ours.after") == [(DAYS,)]
    assert lab.days("ours", "one") == EVERY_DAY


def _run_alone(lab: Lab, store: Store, name: str) -> int:
    """One try of a model's isolated task, in a fork of this process; give its process id."""
    child = os.fork()
    if child:
        return child
    code = 2
    try:
        node = next(one for one in lab.plan.nodes if one.name == name)
        task = IsolatedTask(node=node, site=lab.site("alone"), task_id=node.task_id)
        instance = SimpleNamespace(max_tries=0)
        task.execute(cast("Any", {"run_id": "run", "ti": instance, "task_state_store": store}))
        code = 0
    except NodeFailed:
        code = 1
    finally:
        os._exit(code)


def test_an_isolated_task_that_is_killed_between_batches_builds_the_others(lab: Lab, tmp_path: Path) -> None:
    """The same without a build: dbt runs in the task's own process, and what it says comes as objects."""
    _start_alone(lab, {})
    lab.sql("insert into lab.slow values ('one', %s)", EVERY_DAY[2])
    store = Store(tmp_path / "store")
    child = _run_alone(lab, store, "one")
    assert until(lambda: bool(lab.sql(SLEEPING)), seconds=300)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    lab.sql("delete from lab.slow")
    lab.sql("select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'PgSleep'")
    assert lab.days("alone", "one") == EVERY_DAY[:2]
    assert os.waitpid(_run_alone(lab, store, "one"), 0)[1] == 0
    assert lab.days("alone", "one") == EVERY_DAY


def test_isolated_tasks_build_exactly_the_batches_that_failed(lab: Lab, tmp_path: Path) -> None:
    """One, some that are not adjacent, the first, all of them: as the build of a layer does."""
    _start_alone(lab, FAILING)
    stores = {name: Store(tmp_path / name) for name in ("one", "apart", "first", "every")}
    for name, store in stores.items():
        assert os.waitstatus_to_exitcode(os.waitpid(_run_alone(lab, store, name), 0)[1]) == 1, name
    assert lab.days("alone", "apart") == [day for day in EVERY_DAY if day not in _failing_days("apart")]
    before = lab.sql("select xmin::text, id from alone.apart order by 1")
    lab.sql("delete from lab.bad")
    for name, store in stores.items():
        assert os.waitstatus_to_exitcode(os.waitpid(_run_alone(lab, store, name), 0)[1]) == 0, name
        assert lab.days("alone", name) == EVERY_DAY, name
        assert BuildState.load(store) is None, name
    after = lab.sql("select xmin::text, id from alone.apart order by 1")
    assert set(before) < set(after), "batches that were built have been built again"


def _failing_days(name: str) -> list[date]:
    return [EVERY_DAY[place] for place in FAILING[name]]


def _start_alone(lab: Lab, failing: Mapping[str, list[int]]) -> None:
    """Begin with what isolated tasks read: each of them runs one node."""
    lab.start(failing, "alone")
    lab.sql("create schema alone")
    lab.sql(
        "create table alone.events as select n as id, %s::timestamp + n * interval '1 day' as at "
        "from generate_series(0, %s) as n",
        BEGIN,
        DAYS - 1,
    )
