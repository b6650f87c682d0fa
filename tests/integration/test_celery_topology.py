"""The services of docker-compose.yml as plain processes, and the sample pipeline on its three Celery workers.

Commands, environment and health checks are read from the compose file; only addresses, ports and the place of
the secrets are this machine's.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest
import yaml
from tests.integration.ports import free_port

from goldsmith.dbt.parse import make_manifest
from goldsmith.dbt.project import find_project
from goldsmith.errors import EnvironmentProblem
from goldsmith.rest import Login, RestClient, Run
from goldsmith.stack.environment import airflow_environment, warehouse_connection
from goldsmith.stack.postgres import EmbeddedPostgres
from goldsmith.stack.processes import end_all
from goldsmith.stack.state import StateDir

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
WORKERS = tuple(f"worker-{number}" for number in range(COMPOSE["services"]["worker"]["deploy"]["replicas"]))
IS_CI = bool(os.environ.get("GOLDSMITH_CI"))  # read before a fixture clears our variables
DAG_ID = "customer_transactions"
START_SECONDS = 120
RUN_SECONDS = 900
Found = TypeVar("Found")


@dataclass(kw_only=True)
class Topology:
    """The services of the compose file in one private folder."""

    state: StateDir
    server: EmbeddedPostgres
    secrets: Path
    env: dict[str, str] = field(default_factory=dict)
    api_port: int = field(default_factory=free_port)
    health_port: int = field(default_factory=free_port)
    redis_port: int = field(default_factory=free_port)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def local(self, text: str) -> str:
        """Translate a string of the compose file to this machine."""
        for there, here in {
            "$$": "$",
            "/run/secrets": str(self.secrets),
            "/usr/local/airflow/results": str(self.state.results),
            "exec redis-server": f"exec redis-server --bind 127.0.0.1 --port {self.redis_port}",
            "127.0.0.1:8080": f"127.0.0.1:{self.api_port}",
            "127.0.0.1:8974": f"127.0.0.1:{self.health_port}",
        }.items():
            text = text.replace(there, here)
        return text

    def prepare(self, dags_dir: Path) -> None:
        """Make the secrets and the environment, and start the database."""
        subprocess.run(
            ["bash", str(ROOT / "deploy" / "secrets" / "generate.sh"), str(self.secrets)], check=True
        )
        shutil.copy(
            ROOT / "deploy" / "image" / "airflow_local_settings.py", self.state.airflow_home / "config"
        )
        self.server.start()
        url = self.server.sqlalchemy_url("airflow")
        redis_password = (self.secrets / "redis_password").read_text()
        (self.secrets / "sql_alchemy_conn").write_text(url)
        (self.secrets / "result_backend").write_text(f"db+{url}")
        (self.secrets / "broker_url").write_text(f"redis://:{redis_password}@127.0.0.1:{self.redis_port}/0")
        connections = json.loads((self.secrets / "connections.json").read_text())
        connections["goldsmith_api"] |= {"host": "127.0.0.1", "port": self.api_port}
        connections["warehouse"] = json.loads(warehouse_connection(self.server))
        (self.secrets / "connections.json").write_text(json.dumps(connections))
        shared = {name: self.local(value) for name, value in COMPOSE["x-airflow"]["environment"].items()}
        made = airflow_environment(
            user=dict(os.environ),
            state=self.state,
            secrets=self.state.secrets(),
            server=self.server,
            dags_dir=dags_dir,
            port=self.api_port,
        )
        kept = {name: value for name, value in made.items() if f"{name}_CMD" not in shared}
        # Only from the mounted file, as in a container.
        del kept["AIRFLOW_CONN_WAREHOUSE"], kept["AIRFLOW_CONN_GOLDSMITH_API"]
        self.env = {
            **kept,
            **shared,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": made["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"],
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.state.passwords_file),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(self.health_port),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": "2",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
            "GOLDSMITH_SCHEDULE": "off",
        }

    def start(self, name: str, *more: str, service: str = "", **env: str) -> None:
        """Start a service's command; what it prints goes to its log."""
        command = [self.local(part) for part in COMPOSE["services"][service or name]["command"]]
        with (self.state.logs / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [*command, *more],
                env={**self.env, **env},
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(process)

    def start_all(self) -> None:
        """Start everything in the order of the compose file's dependencies."""
        self.start("redis")
        migrate = COMPOSE["services"]["db-migration"]["command"]
        subprocess.run(migrate, env=self.env, check=True, stdout=subprocess.DEVNULL)
        for name in ("api-server", "scheduler", "dag-processor", "triggerer"):
            self.start(name)
        for worker in WORKERS:
            self.start(
                worker,
                *("--celery-hostname", f"celery@{worker}", "--pid", str(self.state.path / f"{worker}.pid")),
                service="worker",
                AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT=str(free_port()),
            )

    def stop(self) -> None:
        """End every process that was started, and what it started, and delete the database."""
        # By descent: Celery and Redis overwrite their environment with a title, and with it a mark in there.
        parents = [psutil.Process(process.pid) for process in self.processes if process.poll() is None]
        children = [child for parent in parents for child in parent.children(recursive=True)]
        end_all([*parents, *children], grace=15)
        for process in self.processes:
            process.wait(timeout=10)
        self.server.destroy()

    def check_health(self, service: str, **env: str) -> None:
        """Run the health check of a service as Docker would."""
        kind, *test = COMPOSE["services"][service]["healthcheck"]["test"]
        command = [self.local(part) for part in test]
        done = subprocess.run(
            command if kind == "CMD" else ["sh", "-c", *command],
            env={**self.env, **env},
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{service}: {done.stdout}{done.stderr}"

    def check_access(self) -> None:
        """The generated connection is read from the mounted file and lets tasks mark tasks."""
        ask = (
            "import json; from goldsmith.engine.access import access_for; print(json.dumps(access_for({!r})))"
        )
        command = [sys.executable, "-c", ask.format(DAG_ID)]
        done = subprocess.run(command, env=self.env, check=True, stdout=subprocess.PIPE, text=True)
        assert json.loads(done.stdout.splitlines()[-1])["status"] == "ok", done.stdout

    def tasks_of_workers(self) -> dict[str, int]:
        """Ask the workers how many tasks each has taken."""
        app = "airflow.providers.celery.executors.celery_executor.app"
        command = ["celery", "--app", app, "inspect", "stats", "--json"]
        done = subprocess.run(command, env=self.env, check=True, stdout=subprocess.PIPE, text=True)
        answers: dict[str, dict[str, Any]] = json.loads(done.stdout[done.stdout.index("{") :])
        return {name.removeprefix("celery@"): sum(one["total"].values()) for name, one in answers.items()}

    def client(self) -> RestClient:
        """Log in with the generated password."""
        password = (self.secrets / "admin_password").read_text()
        return RestClient(f"http://127.0.0.1:{self.api_port}", Login(password=password))

    def logs(self) -> str:
        """The end of every service's log, for a failure's message."""
        return "\n".join(f"== {log.name}\n{log.read_text()[-1500:]}" for log in self.state.logs.glob("*.log"))


@pytest.fixture
def topology() -> Iterator[Topology]:
    """Start everything on free ports in a private folder, and stop all of it."""
    if shutil.which("redis-server") is None:
        if IS_CI:
            pytest.fail("redis-server is not installed, and this is CI: apt-get install redis-server")
        pytest.skip("no redis-server here: apt-get install redis-server")
    # Not pytest's own folder: the path of a Unix socket is short.
    with tempfile.TemporaryDirectory(prefix="goldsmith-celery-") as folder:
        home = Path(folder)
        project = _copy_project(home / "project")
        state = StateDir(path=home / "state")
        state.create()
        secrets = home / "secrets"
        secrets.mkdir()
        made = Topology(state=state, server=EmbeddedPostgres(state.postgres_home), secrets=secrets)
        try:
            made.prepare(project / "dags")
            made.start_all()
            yield made
        finally:
            made.stop()


def _copy_project(root: Path) -> Path:
    """Copy what the image holds, and bake the manifest."""
    shutil.copytree(ROOT / "dags", root / "dags")
    made_by_dbt = shutil.ignore_patterns("target", "logs", "dbt_packages", "packages.yml", "package-lock.yml")
    shutil.copytree(ROOT / "dbt_project", root / "dbt_project", ignore=made_by_dbt)
    (root / "include").mkdir()
    (root / "include" / "sample_data").symlink_to(ROOT / "include" / "sample_data")
    make_manifest(find_project(root / "dbt_project"), target="prod")
    return root


def _wait(what: str, seconds: float, look: Callable[[], Found | None], topology: Topology) -> Found:
    """Wait until a look gives something true, and return it."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if found := look():
                return found
        except EnvironmentProblem:  # not up yet
            pass
        time.sleep(1)
    pytest.fail(f"{what}: not within {seconds} s\n{topology.logs()}")


def test_sample_pipeline_on_three_workers(topology: Topology) -> None:
    """The sample pipeline ends green, each service is healthy by its own check, and all workers took part."""
    with topology.client() as api:
        _wait(
            "healthy components",
            START_SECONDS,
            lambda: all(part.is_healthy for part in api.health().values()),
            topology,
        )
        _wait("DAG", START_SECONDS, lambda: api.dag(DAG_ID), topology)
        for service in ("api-server", "scheduler", "dag-processor", "triggerer"):
            topology.check_health(service)
        topology.check_health("worker", HOSTNAME=WORKERS[0])
        topology.check_access()
        api.unpause(DAG_ID)
        run_id = api.trigger(DAG_ID).run_id

        def finished() -> Run | None:
            run = api.run(DAG_ID, run_id)
            return run if run.is_finished else None

        run = _wait("end of the run", RUN_SECONDS, finished, topology)
        tasks = api.task_instances(DAG_ID, run_id)
        assert run.state == "success", [
            (task.task_id, task.state) for task in tasks if task.state != "success"
        ]
        taken = topology.tasks_of_workers()
        assert taken.keys() == set(WORKERS)
        # Celery hands a task to whichever worker is free: each gets some, no matter how many.
        assert min(taken.values()) > 0, taken
        # Ingest, builds, gates and comparisons; what a build has built is marked and takes no worker.
        assert sum(taken.values()) >= len([task for task in tasks if task.try_number])
        assert len([task for task in tasks if task.try_number == 0]) > 100
