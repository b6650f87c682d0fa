"""The environment variables of Airflow's components, and so of every task."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from goldsmith.stack.postgres import PORT, SUPERUSER, EmbeddedPostgres
from goldsmith.stack.processes import MARK
from goldsmith.stack.state import Secrets, StateDir

USER = "admin"
# May change tasks, runs and DAGs, but read no connection and no variable: the least that may set a task's state.
TASKS_USER, TASKS_ROLE = "goldsmith", "user"
METADATA_URL = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
WAREHOUSE, WAREHOUSE_ID = "AIRFLOW_CONN_WAREHOUSE", "warehouse"
EMBEDDED_VARIABLE = "GOLDSMITH_EMBEDDED"
API_ACCESS = "AIRFLOW_CONN_GOLDSMITH_API"
RESULTS = "GOLDSMITH_RESULTS_PATH"

# What a user may set otherwise in the shell.
_DEFAULTS = {
    "AIRFLOW__API__WORKERS": "1",
    "AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL": "5",
    # For its graph Airflow reads the whole serialised DAG once for each asset of it: 1 MB 300 times, or 40 KB.
    "AIRFLOW__CORE__COMPRESS_SERIALIZED_DAGS": "True",
    # A changed DAG file shows within seconds; parsing costs about half a second each time.
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "20",
    # The default of 5 seconds keeps a slot busy for as long after its task has ended.
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    # The scheduler rests so long where it finds nothing to start. With Airflow's 1 second a run waits for it between
    # every two steps: a build, its gate, the next build.
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    # A task outlives an API server that is away: every request of its supervisor, a heartbeat too, is repeated
    # for about 80 seconds. And one that is answered late is not sent twice.
    "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "30",
    "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MIN": "2",
    "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "4",
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
    "AIRFLOW__WORKERS__MAX_FAILED_HEARTBEATS": "5",
    "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    "DO_NOT_TRACK": "1",
    # On a laptop pipelines run by hand; the DAG shows no schedule.
    "GOLDSMITH_SCHEDULE": "off",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Needs:
    """Which databases the user has not named, so that the embedded server provides them."""

    metadata: bool
    warehouse: bool

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Needs:
        """Read what the user has named."""
        return cls(metadata=not environ.get(METADATA_URL), warehouse=not environ.get(WAREHOUSE))

    @property
    def embedded(self) -> str:
        """The Airflow connection of the embedded warehouse; empty where the user has named another."""
        return WAREHOUSE_ID if self.warehouse else ""

    @property
    def server(self) -> bool:
        """Whether the embedded server is needed at all."""
        return self.metadata or self.warehouse


def warehouse_connection(server: EmbeddedPostgres) -> str:
    """The Airflow connection of the embedded warehouse, as JSON."""
    return json.dumps(
        {
            "conn_type": "postgres",
            "host": str(server.socket_dir),
            "port": PORT,
            "login": SUPERUSER,
            "schema": "warehouse",
        }
    )


def api_connection(secrets: Secrets, port: int) -> str:
    """The Airflow connection by which tasks reach the REST API, as JSON."""
    return json.dumps(
        {
            "conn_type": "http",
            "host": "127.0.0.1",
            "port": port,
            "login": TASKS_USER,
            "password": secrets.tasks_password,
        }
    )


def airflow_environment(
    *,
    user: Mapping[str, str],
    state: StateDir,
    secrets: Secrets,
    server: EmbeddedPostgres,
    dags_dir: Path,
    port: int,
) -> dict[str, str]:
    """Put the environment together: our defaults, over them the user's, over them what must be.

    Args:
        user: The user's environment variables.
        state: The state folder.
        secrets: Its secrets; they appear in the result.
        server: The embedded PostgreSQL, for what the user has not named.
        dags_dir: The folder of the DAG files.
        port: The port of the API server on loopback.
    """
    needs = Needs.of(user)
    slots = min(max(4, os.cpu_count() or 4), 8)
    made = {
        **_DEFAULTS,
        "AIRFLOW__CORE__PARALLELISM": str(slots),
        **user,
        API_ACCESS: user.get(API_ACCESS) or api_connection(secrets, port),
        RESULTS: user.get(RESULTS) or str(state.results),
        EMBEDDED_VARIABLE: needs.embedded,
        **_fixed(state, secrets, dags_dir, port),
    }
    if needs.metadata:
        made[METADATA_URL] = server.sqlalchemy_url("airflow")
        made[f"{METADATA_URL}_ASYNC"] = server.sqlalchemy_url("airflow", driver="asyncpg")
    if needs.warehouse:
        made[WAREHOUSE] = warehouse_connection(server)
    # `dbt` of this environment first; and no proxy between a task and the API server.
    made["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), user.get("PATH", os.defpath)))
    made["NO_PROXY"] = made["no_proxy"] = ",".join(
        filter(None, (user.get("NO_PROXY") or user.get("no_proxy"), "127.0.0.1", "localhost"))
    )
    return made


def _fixed(state: StateDir, secrets: Secrets, dags_dir: Path, port: int) -> dict[str, str]:
    return {
        MARK: str(state.path),
        "GOLDSMITH_STATE_DIR": str(state.path),
        "AIRFLOW_HOME": str(state.airflow_home),
        "AIRFLOW_CONFIG": str(state.airflow_home / "airflow.cfg"),
        "AIRFLOW__API__BASE_URL": f"http://localhost:{port}",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__SECRET_KEY": secrets.api,
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.jwt,
        "AIRFLOW__CORE__AUTH_MANAGER": (
            "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
        ),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags_dir),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__FERNET_KEY": secrets.fernet,
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(state.passwords_file),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin,{TASKS_USER}:{TASKS_ROLE}",
        # It writes a hash of the project's folder into the DAG: a new DAG version at every edit.
        "AIRFLOW__COSMOS__ENABLE_DAG_VERSIONING": "False",
        "AIRFLOW__COSMOS__CACHE_DIR": str(state.path / "cosmos"),
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(state.logs / "tasks"),
    }
