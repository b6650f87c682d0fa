"""An Airflow with one pipeline of each engine, in which faults are planted; what it says of them, and what is true."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.full.fault_project import (
    BATCH_FILES,
    BATCHES,
    CONTROL,
    DAYS,
    ENGINES,
    FILES,
    ROWS,
    TESTED,
    write_dag,
    write_project,
)

from goldsmith.client.parsed import wait_until_parsed
from goldsmith.dbt.parse import make_manifest
from goldsmith.dbt.project import find_project
from goldsmith.rest import Login, RestClient, Run
from goldsmith.rest.transport import run_path
from goldsmith.stack.stack import Stack

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import arena  # type: ignore[import-not-found]
import proving  # type: ignore[import-not-found]

_MOMENT = 120.0  # seconds until the model that waits is being built
_LIMIT = 400.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of a run."""

    state: str
    states: Mapping[str, str | None]
    said: str
    """The logs of the tasks that failed, of their last tries."""
    is_complete: bool
    """Whether all tables have their rows, and all tests have run."""


@dataclass(kw_only=True)
class Plot:
    """The running Airflow, and the switches of its faults."""

    stack: Stack
    here: Any
    """A `proving.Ground`, which finds, kills and asks."""
    switches: Path
    _files: dict[Path, str | None] = field(default_factory=dict)

    @property
    def project(self) -> Path:
        """The dbt project of both engines."""
        return self.stack.root / "dbt_project"

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run SQL in the warehouse."""
        found: list[tuple[Any, ...]] = self.here.sql(statement, *values)
        return found

    def reset(self) -> None:
        """Begin without faults, without tables, and without a run that a fault before has left behind."""
        self.switch()
        self.sql("truncate faults.control")
        for run in self.here.patiently(self.here.api.active_runs):
            path = run_path(run.dag_id, run.run_id)
            self.here.patiently(lambda path=path: self.here.api.send("PATCH", path, body={"state": "failed"}))
            self.here.wait(run, limit=_LIMIT)
        self.sql("truncate faults.visits")
        for schema in (*ENGINES, *BATCHES.values()):
            self.sql(f"drop schema if exists {schema} cascade")
            self.sql(f"alter sequence faults.seen_{schema} restart")
        for file, text in self._files.items():
            if text is None:
                file.unlink(missing_ok=True)
            else:
                file.write_text(text)
        self._files.clear()

    def switch(self, *, env: Mapping[str, str] | None = None, code: str = "") -> None:
        """Say what each task's process takes over, from now on."""
        self.switches.write_text(json.dumps({"env": env or {}, "code": code}))

    def set(self, *keys: str) -> None:
        """Set keys in the warehouse."""
        for key in keys:
            self.sql("insert into faults.control values (%s) on conflict do nothing", key)

    def unset(self, key: str) -> None:
        """Take a key away."""
        self.sql("delete from faults.control where key = %s", key)

    def edit(self, name: str, text: str | None) -> None:
        """Make, change or delete a file of the project without parsing anew; `reset` undoes it."""
        file = self.project / name
        self._files.setdefault(file, file.read_text() if file.exists() else None)
        if text is None:
            file.unlink()
        else:
            file.write_text(text)

    def parse(self) -> None:
        """Make a new manifest of the project as it is now."""
        manifest = self.project / "target" / "manifest.json"
        self._files.setdefault(manifest, manifest.read_text())
        make_manifest(find_project(self.project), target="prod", env=os.environ)

    def mark(self, run: Run, task_id: str, state: str, *, by_tasks: bool = True) -> None:
        """Set a task's state with the login of the tasks, or as the administrator does."""
        path = f"{run_path(run.dag_id, run.run_id)}/taskInstances/{task_id}"
        secrets = self.stack.state.secrets()
        login = Login(user="goldsmith", password=secrets.tasks_password)
        if not by_tasks:
            login = Login(user="admin", password=secrets.password)
        with RestClient(self.stack.url, login) as api:
            api.send("PATCH", path, body={"new_state": state})

    def clear(self, run: Run, task_id: str) -> None:
        """Clear one task."""
        self.here.api.clear(run.dag_id, run.run_id, [task_id])

    def at_moment(self, run: Run, act: Callable[[], None]) -> None:
        """Do something while the run builds `orders`, which waits, and has built `lonely`; then let it go on."""
        waits = f"%faults.step(''{run.dag_id}'', ''orders''%".replace("''", "'")
        asked = "select 1 from pg_stat_activity where state = 'active' and query like %s and pid <> pg_backend_pid()"
        built = "select 1 from pg_tables where schemaname = %s and tablename = 'lonely'"
        self.here.until(lambda: self.sql(asked, waits) and self.sql(built, run.dag_id), limit=_MOMENT)
        try:
            act()
        finally:
            self.unset(f"{run.dag_id}.hold_orders")

    def tested(self, dag_id: str) -> int:
        """How often tests have run."""
        name = f"seen_{dag_id}"
        rows = self.sql(
            "select coalesce(last_value, 0) from pg_sequences where schemaname = 'faults' and sequencename = %s",
            name,
        )
        return int(rows[0][0])

    def outcome(self, run: Run, *, tested: int) -> Outcome:
        """Wait for the end of a run, and look at everything."""
        ended = self.here.wait(run, limit=_LIMIT)
        tasks = self.here.tasks(run)
        red = [task_id for task_id, task in tasks.items() if task.state == "failed"]
        return Outcome(
            state=ended.state,
            states={task_id: task.state for task_id, task in tasks.items()},
            said="\n".join(self.here.log(run, task_id) for task_id in red),
            is_complete=self._is_complete(run.dag_id, tested),
        )

    def _is_complete(self, dag_id: str, tested: int) -> bool:
        if dag_id in BATCHES.values():
            return self._rows(dag_id, "by_day") == DAYS
        have = {model: self._rows(dag_id, model) for model in ROWS}
        return have == ROWS and self.tested(dag_id) >= tested + len(TESTED)

    def _rows(self, schema: str, model: str) -> int:
        there = self.sql("select to_regclass(%s) is not null", f"{schema}.{model}")
        return int(self.sql(f"select count(*) from {schema}.{model}")[0][0]) if there[0][0] else -1


@contextlib.contextmanager
def plot() -> Iterator[Plot]:
    """Start it."""
    with tempfile.TemporaryDirectory(prefix="goldsmith-faults-") as name, contextlib.ExitStack() as ends:
        root = Path(name)
        stack = Stack(root=root, extra_env=proving._SETTINGS)
        here = proving.Ground(stack=stack, models=())
        made = Plot(stack=stack, here=here, switches=root / "switches.json")
        made.switch()
        write_project(made.project, FILES)
        write_project(root / "batches", BATCH_FILES)
        stack.dags_dir.mkdir()
        dags = {engine: (engine, made.project) for engine in ENGINES}
        dags |= {dag_id: (engine, root / "batches") for engine, dag_id in BATCHES.items()}
        for dag_id, (engine, project) in dags.items():
            write_dag(stack.dags_dir, dag_id, engine=engine, project=project, switches=made.switches)
        ends.callback(stack.destroy)
        stack.state.create()
        stack.state.remember(port=arena.free_port())
        stack.up()
        here.api = ends.enter_context(stack.api())
        made.sql(CONTROL)
        for dag_id in dags:
            wait_until_parsed(
                here.api, dag_id, stack.dags_dir, changed=None, file=stack.dags_dir / f"{dag_id}.py"
            )
            here.api.unpause(dag_id)
        yield made


def at_once(work: Mapping[str, Callable[[], None]]) -> None:
    """Do things on threads of their own, and raise what went wrong first."""
    wrong: list[BaseException] = []

    def guarded(one: Callable[[], None]) -> None:
        try:
            one()
        except BaseException as error:  # noqa: BLE001 - raised below, by the thread that waits
            wrong.append(error)

    threads = [threading.Thread(target=guarded, args=(one,), name=name) for name, one in work.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise wrong[0]
