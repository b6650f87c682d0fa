"""A private Airflow with the audited project, and the faults that are done to it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import psutil
import psycopg
from arena import CeleryStack, _celery_workers, _redis, free_port
from audited import AUDIT, AuditedModel, audited_models, sequences, write_audited
from projects import TARGET, parse_project

from goldsmith.client.parsed import wait_until_parsed
from goldsmith.errors import GoldsmithError
from goldsmith.rest import RestClient, Run, TaskInstance
from goldsmith.stack.record import Record
from goldsmith.stack.stack import Stack
from goldsmith.warehouse.tags import session_tag

HEARTBEAT_TIMEOUT = 40  # seconds; Airflow's own 300 would make every recovery as long
_SETTINGS = {
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": str(HEARTBEAT_TIMEOUT),
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
    "GOLDSMITH_SCHEDULE": "on",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
}
_SPEC: dict[str, Any] = {
    "target": TARGET,
    "retries": {"models": 3, "delay": "1s", "max_delay": "2s", "build_delay": "1s"},
}
_DAG = '''\
"""Airflow DAG: the audited project."""

from goldsmith import Pipeline, build_dag

pipeline = build_dag(Pipeline.parse({spec!r}))
'''
Found = TypeVar("Found")
Span = tuple[datetime, datetime]
"""From when to when something was away: what was committed in it, or shortly before it, may be unknown to Airflow."""
GATES = {"by_layer": "layer", "by_node": "node", "daily": "layer"}
"""DAG id, which is also the schema, to its gate; `daily` has a schedule, and stays paused."""
_GONE_WITHIN = 30.0
LOST = 2.0
"""Seconds before a fault, of which it is allowed that what was built in them is built again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Built:
    """One committed build of a model."""

    model: str
    began: datetime
    ended: datetime


@dataclass(kw_only=True)
class Ground:
    """The running Airflow."""

    stack: Stack
    models: tuple[AuditedModel, ...]
    api: RestClient = field(init=False)
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def project(self) -> Path:
        """The dbt project, which all DAGs share."""
        return self.stack.root / "dbt_project"

    def write_project(self, models: tuple[AuditedModel, ...]) -> None:
        """Write the project anew, with its manifest."""
        shutil.rmtree(self.project / "models", ignore_errors=True)
        write_audited(self.project, models, schema="nowhere")
        parse_project(self.project, {})

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run SQL in the warehouse."""
        return self.sql_in("warehouse", statement, *values)

    def sql_in(self, database: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run SQL in a database."""
        with psycopg.connect(self.stack.server.conninfo(database), autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def pace(self, **seconds: float) -> None:
        """Say how long models take; `all_others` is every model that is not named."""
        self.sql("truncate audit.paces")
        for model, wanted in seconds.items():
            name = "*" if model == "all_others" else model
            self.sql("insert into audit.paces values (%s, %s)", name, wanted)

    def built(self, run: Run) -> list[Built]:
        """What was committed for a run, oldest first."""
        tags = [session_tag(run.dag_id, run.run_id, task) for task in self.task_ids(run.dag_id)]
        rows = self.sql(
            "select model, began, ended from audit.builds where session = any(%s) order by ended", tags
        )
        return [Built(model=model, began=began, ended=ended) for model, began, ended in rows]

    def tested(self, dag_id: str) -> dict[str, int]:
        """Model to how often its test has run since the beginning, in all runs."""
        rows = self.sql(
            "select sequencename, coalesce(last_value, 0) from pg_sequences where schemaname = 'audit'"
        )
        return {
            name.removeprefix(f"{dag_id}_"): count for name, count in rows if name.startswith(f"{dag_id}_")
        }

    def task_ids(self, dag_id: str) -> list[str]:
        """Every task that may build."""
        builds = ["build"] if GATES[dag_id] == "node" else [f"{one.layer}.build" for one in self.models]
        nodes = [task for model in self.models for task in (model.task_id, model.test_task_id)]
        return [*dict.fromkeys(builds), *nodes]

    def trigger(self, dag_id: str) -> Run:
        """Start a run."""
        return self.patiently(lambda: self.api.trigger(dag_id))

    def wait(self, run: Run, *, limit: float = 240.0) -> Run:
        """Wait for the end of a run."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            if (now := self.patiently(lambda: self.api.run(run.dag_id, run.run_id))).is_finished:
                return now
            time.sleep(0.5)
        states = {task.task_id: task.state for task in self.tasks(run).values() if task.state != "success"}
        raise TimeoutError(f"{run.dag_id} {run.run_id} has not ended after {limit:.0f} s: {states}")

    def tasks(self, run: Run) -> dict[str, TaskInstance]:
        """The tasks of a run."""
        found = self.patiently(lambda: self.api.task_instances(run.dag_id, run.run_id))
        return {task.task_id: task for task in found}

    def log(self, run: Run, task_id: str) -> str:
        """The log of a task's last try."""
        lines = self.api.logs(run.dag_id, run.run_id, self.tasks(run)[task_id])
        return "\n".join(f"{line.text} {line.error}" for line in lines)

    def until(self, look: Callable[[], Found], *, limit: float = 60.0, pause: float = 0.1) -> Found:
        """Wait until a look gives something true."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            with contextlib.suppress(GoldsmithError, psycopg.Error, psutil.Error):
                if found := look():
                    return found
            time.sleep(pause)
        raise TimeoutError(f"not within {limit:.0f} s")

    def patiently(self, ask: Callable[[], Found], *, limit: float = 120.0) -> Found:
        """Ask again while Airflow is away."""
        end = time.monotonic() + limit
        while True:
            try:
                return ask()
            except GoldsmithError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)

    def querying(self, run: Run) -> list[tuple[Any, ...]]:
        """What the run's dbt is doing in the warehouse."""
        tags = [session_tag(run.dag_id, run.run_id, task) for task in self.task_ids(run.dag_id)]
        return self.sql(
            "select application_name, query from pg_stat_activity"
            " where application_name = any(%s) and state <> 'idle'",
            tags,
        )

    def component(self, name: str) -> psutil.Process:
        """One of Airflow's components."""
        leader = Record.read(self.stack.state).components[name]
        found = leader.find() if leader else None
        if found is None:
            raise GoldsmithError(f"no {name} now")
        return found

    def task_process(self, run: Run, task_id: str) -> psutil.Process:
        """The process of a running task: Airflow titles it by the id of the task's try."""
        rows = self.sql_in(
            "airflow",
            "select id::text from task_instance where dag_id = %s and run_id = %s and task_id = %s",
            *(run.dag_id, run.run_id, task_id),
        )
        for child in self._descendants():
            with contextlib.suppress(psutil.Error):
                title = " ".join(child.cmdline()).strip()
                if title == f"airflow worker -- {rows[0][0]}" and os.getsid(child.pid) != child.pid:
                    return child
        raise psutil.NoSuchProcess(0)

    def _descendants(self) -> list[psutil.Process]:
        """All processes of those that start tasks."""
        roots = [psutil.Process(worker.pid) for worker in self.workers] or [self.component("scheduler")]
        return [child for root in roots for child in root.children(recursive=True)]

    def dbt(self, run: Run, task_id: str) -> psutil.Process:
        """The dbt process of a task: the one whose output the task reads."""
        task = self.task_process(run, task_id).pid
        pipes = {_link(task, entry.name) for entry in Path(f"/proc/{task}/fd").iterdir()}
        pipes = {one for one in pipes if one.startswith("pipe:")}
        for child in self._descendants():
            if child.pid != task and _link(child.pid, "1") in pipes:
                return child
        raise psutil.NoSuchProcess(0)

    def host(self) -> psutil.Process:
        """The process that forks dbt."""
        for child in self._descendants():
            with contextlib.suppress(psutil.Error):
                if any(part.endswith("inside_dbt/host.py") for part in child.cmdline()):
                    return child
        raise psutil.NoSuchProcess(0)

    def kill_task(self, run: Run, task_id: str) -> list[Span]:
        """SIGKILL a task's process."""
        return _killed(self.task_process(run, task_id), *self._dbts(run, task_id))

    def kill_worker(self, run: Run, task_id: str) -> list[Span]:
        """SIGKILL the process that supervises a task."""
        dbts, parent = self._dbts(run, task_id), self.task_process(run, task_id).parent()
        return _killed(parent, *dbts) if parent is not None else []

    def kill_host(self) -> list[Span]:
        """SIGKILL the process that forks dbt."""
        return _killed(self.host())

    def _dbts(self, run: Run, task_id: str) -> list[psutil.Process]:
        """The dbt process of a task, if it has one now."""
        try:
            return [self.dbt(run, task_id)]
        except psutil.Error:
            return []

    def kill_dbt(self, run: Run, task_id: str) -> list[Span]:
        """SIGKILL dbt."""
        return _killed(self.dbt(run, task_id))

    def kill(self, name: str) -> list[Span]:
        """SIGKILL one of Airflow's components; the stack starts it again."""
        return _killed(self.component(name))

    def freeze(self, name: str, seconds: float) -> list[Span]:
        """Stop one of Airflow's components for a time, with what it started."""
        leader = self.component(name)
        frozen = [leader, *leader.children(recursive=True)]
        began = datetime.now(UTC)
        for process in frozen:
            process.suspend()
        try:
            time.sleep(seconds)
        finally:
            for process in frozen:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.resume()
        ended = datetime.now(UTC)
        return [(began, began), (ended, ended)]

    def restart_postgres(self) -> list[Span]:
        """Restart the server of both databases, whose sessions end at once."""
        began = datetime.now(UTC)
        self.stack.server.stop()
        self.stack.server.start()
        return [(began, datetime.now(UTC))]


@contextlib.contextmanager
def ground(
    *, width: int, dags: Sequence[str] = ("by_layer", "by_node"), executor: str = "local"
) -> Iterator[Ground]:
    """Start it, with a DAG for each kind of gate.

    Args:
        width: Models in each layer.
        dags: Keys of `GATES`.
        executor: `local` or `celery`.
    """
    with tempfile.TemporaryDirectory(prefix="goldsmith-chaos-") as name, contextlib.ExitStack() as ends:
        root = Path(name)
        kind = CeleryStack if executor == "celery" else Stack
        here = Ground(stack=kind(root=root, extra_env=_SETTINGS), models=audited_models(width))
        here.write_project(here.models)
        here.stack.dags_dir.mkdir()
        for dag_id in dags:
            _write_dag(here, dag_id)
        ends.callback(here.stack.destroy)
        if isinstance(here.stack, CeleryStack):
            ends.enter_context(_redis(here.stack, root))
        # Away from the ports that other stacks of this machine look at when they start.
        here.stack.state.create()
        here.stack.state.remember(port=free_port())
        here.stack.up()
        here.api = ends.enter_context(here.stack.api())
        if isinstance(here.stack, CeleryStack):
            ends.enter_context(_celery_workers(here))  # type: ignore[arg-type]  # it has what is asked for
        here.sql(AUDIT)
        for dag_id in dags:
            here.sql(sequences(here.models, dag_id))
            wait_until_parsed(here.api, dag_id, here.stack.dags_dir, changed=None)
            if dag_id != "daily":
                here.api.unpause(dag_id)
        yield here


def _write_dag(here: Ground, dag_id: str) -> None:
    spec = {
        **_SPEC,
        "name": dag_id,
        "report": None,
        "project": str(here.project),
        "gate": GATES[dag_id],
        "schedule": "@daily" if dag_id == "daily" else None,
        "max_active_runs": 2,
        "profile": {"schema": dag_id, "threads": 2},
    }
    (here.stack.dags_dir / f"{dag_id}.py").write_text(_DAG.format(spec=spec))


def _link(pid: int, descriptor: str) -> str:
    """What a descriptor of a process leads to; empty if it is closed."""
    try:
        return str(Path(f"/proc/{pid}/fd/{descriptor}").readlink())
    except OSError:
        return ""


def _killed(process: psutil.Process, *others: psutil.Process) -> list[Span]:
    """SIGKILL a process, and wait until what it had started is gone: until then dbt goes on, and nobody hears of it.

    Args:
        process: The process.
        others: What it had others start.
    """
    began = datetime.now(UTC)
    family = [process, *others, *process.children(recursive=True)]
    process.kill()
    psutil.wait_procs(family, timeout=_GONE_WITHIN)
    return [(began, datetime.now(UTC))]


def built_again(built: Sequence[Built], faults: Sequence[Span], *, slack: float) -> list[Built]:
    """What was built again although it had been committed well before each fault, or after it.

    Args:
        built: All builds of a run.
        faults: When something was done to it.
        slack: Seconds beyond `LOST` that are forgiven.
    """
    found, last = [], dict[str, Built]()
    before_it, clocks = timedelta(seconds=LOST + slack), timedelta(seconds=0.1)
    for one in built:
        before = last.get(one.model)
        if before and not any(
            began - before_it - clocks <= before.ended <= ended + clocks for began, ended in faults
        ):
            found.append(one)
        last[one.model] = one
    return found


def alive(pid: int) -> bool:
    """Whether a process lives."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False
