"""A private Airflow in which the variants run: started, tried out, and measured run by run."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from dag_files import BASELINE, WARM_UP, write_dag_file, write_warm_up
from meter import Meter, Usage
from projects import TRIES, Shape, parse_project, write_project
from psycopg import sql

from goldsmith.client.parsed import wait_until_parsed
from goldsmith.dbt.executable import dbt_executable
from goldsmith.rest import RestClient, Run, TaskInstance
from goldsmith.stack.stack import Stack
from goldsmith.stack.warehouse import dbt_variables

PASSWORD = "benchmark"  # noqa: S105 - of a server that trusts whoever can reach its socket
RUN_LIMIT = 3600.0
_POLL = 1.0
_DROPPED_AT_ONCE = 500  # each table takes locks until the end of the statement
CELERY_WORKERS = 3


class CeleryStack(Stack):
    """A stack whose tasks run on Celery workers, which the caller starts."""

    broker = ""

    def env(self) -> dict[str, str]:
        """The stack's environment with the other executor."""
        made = super().env()
        return {
            **made,
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CELERY__BROKER_URL": self.broker,
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+{made['AIRFLOW__DATABASE__SQL_ALCHEMY_CONN']}",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": "2",
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """A run that has ended, and what it used."""

    run: Run
    tasks: tuple[TaskInstance, ...]
    usage: Usage

    @property
    def wall_s(self) -> float:
        """Seconds from the start of the run to its end, by Airflow's own times."""
        return self.seconds_until(self.run.ended)

    def seconds_until(self, moment: Any) -> float:
        """Seconds from the start of the run to a moment."""
        if self.run.started is None or moment is None:
            raise SystemExit(f"{self.run.dag_id}: {self.run.run_id} has no start or no end.")
        return float((moment - self.run.started).total_seconds())

    def last_end(self, task_ids: Collection[str]) -> float:
        """Seconds from the start of the run until the last of some tasks ended."""
        return max(self.seconds_until(task.ended) for task in self.tasks if task.task_id in task_ids)


@dataclass(kw_only=True)
class Arena:
    """The running stack with one dbt project and one DAG per variant."""

    stack: Stack
    api: RestClient
    made: Shape
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def project(self, variant: str) -> Path:
        """The variant's own copy of the dbt project."""
        return self.stack.root / "projects" / variant

    def sql(self, statement: str) -> None:
        """Change the warehouse."""
        with psycopg.connect(self.stack.server.conninfo("warehouse"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def clean(self, schema: str) -> None:
        """Remove what an earlier run has built."""
        with psycopg.connect(self.stack.server.conninfo("warehouse"), autocommit=True) as connection:
            query = "select tablename from pg_tables where schemaname = %s limit %s"
            while names := connection.execute(query, (schema, _DROPPED_AT_ONCE)).fetchall():
                tables = sql.SQL(", ").join(sql.Identifier(schema, name) for (name,) in names)
                connection.execute(sql.SQL("drop table {}").format(tables))
            connection.execute(sql.SQL("drop schema if exists {} cascade").format(sql.Identifier(schema)))
            connection.execute("checkpoint")

    def unbuilt(self, schema: str) -> list[str]:
        """Models that have no table. Other tables may stand there too, such as the gates' verdicts."""
        with psycopg.connect(self.stack.server.conninfo("warehouse")) as connection:
            rows = connection.execute("select tablename from pg_tables where schemaname = %s", (schema,))
            found = {name for (name,) in rows}
        return [model.name for model in self.made.models if model.name not in found]

    def run(self, dag_id: str) -> Finished:
        """Run a DAG from an empty schema to its end, well or not.

        Args:
            dag_id: The DAG; also the schema.
        """
        self.clean(dag_id)
        time.sleep(2 * _POLL)  # what the last run has left behind it comes to rest
        with Meter(self.stack, [worker.pid for worker in self.workers]) as meter:
            run = self.wait(self.api.trigger(dag_id))
            usage = meter.usage()
        return Finished(run=run, tasks=tuple(self.api.task_instances(dag_id, run.run_id)), usage=usage)

    def wait(self, run: Run) -> Run:
        """Wait for the end of a run.

        It is looked for in Airflow's database: where the API server is asked, it reads all tasks of the run each time,
        a third of a second for 3,000, and the variants would pay for being watched.
        """
        end = time.monotonic() + RUN_LIMIT
        query = "select 1 from dag_run where dag_id = %s and run_id = %s and state in ('success', 'failed')"
        with psycopg.connect(self.stack.server.conninfo("airflow"), autocommit=True) as connection:
            while not connection.execute(query, (run.dag_id, run.run_id)).fetchone():
                if time.monotonic() > end:
                    raise SystemExit(f"{run.dag_id}: {run.run_id} has not ended after {RUN_LIMIT:.0f} s.")
                time.sleep(_POLL)
        return self.api.run(run.dag_id, run.run_id)

    def dbt_elapsed(self) -> float:
        """The seconds that dbt itself says the baseline's last build took: without loading dbt and the project."""
        results = self.project(BASELINE) / "target" / "run_results.json"
        return float(json.loads(results.read_text())["elapsed_time"])

    def dbt(self, *arguments: str) -> float:
        """Run dbt on the command line in the baseline's project; give its wall seconds."""
        folder = str(self.project(BASELINE))
        began = time.perf_counter()
        done = subprocess.run(
            [dbt_executable(), *arguments, "--project-dir", folder, "--profiles-dir", folder],
            env={**os.environ, **warehouse_variables(self.stack)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"dbt {' '.join(arguments)} failed:\n{done.stdout[-2000:]}")
        return time.perf_counter() - began


def warehouse_variables(stack: Stack) -> dict[str, str]:
    """What the projects' profile reads from the environment."""
    return {
        **dbt_variables(stack.server),
        "WAREHOUSE_PASSWORD": PASSWORD,
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


@contextlib.contextmanager
def arena(
    made: Shape,
    variants: Collection[str],
    *,
    spec: Mapping[str, Any],
    executor: str,
    report: Callable[[str], None],
) -> Iterator[Arena]:
    """Start a stack in a temporary folder, with the variants' projects parsed and their DAGs known to Airflow.

    Args:
        made: The project that all variants run.
        variants: Keys of `dag_files.VARIANTS`.
        spec: What Goldsmith's pipeline spec has besides.
        executor: `local` or `celery`.
        report: Called with a line for each step.
    """
    with tempfile.TemporaryDirectory(prefix="goldsmith-bench-") as name, contextlib.ExitStack() as ends:
        root = Path(name)
        (root / "dags").mkdir()
        stack = _stack(root, executor)
        here = Arena(stack=stack, api=stack.api(), made=made)
        ends.callback(stack.server.destroy)
        for variant in variants:
            report(f"Generating and parsing the project of {variant}")
            write_project(here.project(variant), made, schema=variant)
            parse_project(here.project(variant), warehouse_variables(stack))
            write_dag_file(root / "dags", variant, here.project(variant), spec=spec)
        write_warm_up(root / "dags")
        report("Starting Airflow")
        ends.callback(stack.down)
        if isinstance(stack, CeleryStack):
            ends.enter_context(_redis(stack, root))
        # Away from the ports that other stacks of this machine look at when they start.
        stack.state.create()
        stack.state.remember(port=free_port())
        stack.up()
        here.api = ends.enter_context(stack.api())
        if isinstance(stack, CeleryStack):
            ends.enter_context(_celery_workers(here))
        here.sql(f"create sequence {TRIES}")
        for dag_id in (WARM_UP, *variants):
            wait_until_parsed(here.api, dag_id, stack.dags_dir, changed=None)
            here.api.unpause(dag_id)
        here.run(WARM_UP)
        yield here


def _stack(root: Path, executor: str) -> Stack:
    kind = CeleryStack if executor == "celery" else Stack
    server = kind(root=root).server
    variables = {**dbt_variables(server), "WAREHOUSE_PASSWORD": PASSWORD}
    connection = {
        "conn_type": "postgres",
        "host": variables["WAREHOUSE_HOST"],
        "port": int(variables["WAREHOUSE_PORT"]),
        "login": variables["WAREHOUSE_USER"],
        "password": PASSWORD,
        "schema": variables["WAREHOUSE_DATABASE"],
    }
    extra = {
        **variables,
        "AIRFLOW_CONN_WAREHOUSE": json.dumps(connection),
        "GOLDSMITH_ALLOW_PROD": "yes",  # a warehouse of the arena's own
        # Each variant would else pay for parsing the others' files again and again.
        "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "300",
        "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "600",
    }
    return kind(root=root, extra_env=extra)


def free_port() -> int:
    """A TCP port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _redis(stack: CeleryStack, folder: Path) -> Iterator[None]:
    port = free_port()
    stack.broker = f"redis://127.0.0.1:{port}/0"
    command = ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]
    with _running(command, os.environ, folder / "redis.log"):
        yield


@contextlib.contextmanager
def _celery_workers(here: Arena) -> Iterator[None]:
    with contextlib.ExitStack() as ends:
        for number in range(CELERY_WORKERS):
            pid_file = here.stack.state.path / f"worker-{number}.pid"
            names = ["--celery-hostname", f"celery@worker-{number}", "--pid", str(pid_file)]
            command = [sys.executable, "-m", "airflow", "celery", "worker", "--skip-serve-logs", *names]
            log = here.stack.state.logs / f"worker-{number}.log"
            here.workers.append(ends.enter_context(_running(command, here.stack.env(), log)))
        yield


@contextlib.contextmanager
def _running(command: list[str], env: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=dict(env), stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
