"""The local stack: PostgreSQL, and Airflow's components under a supervisor in the background."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

import psutil

from goldsmith.errors import EnvironmentProblem
from goldsmith.rest import Login, RestClient
from goldsmith.settings import Settings
from goldsmith.stack.component import COMPONENTS
from goldsmith.stack.environment import TASKS_USER, USER, Needs, airflow_environment
from goldsmith.stack.local_settings import write_local_settings
from goldsmith.stack.metadata import last_lines, migrate
from goldsmith.stack.part import PartStatus
from goldsmith.stack.ports import PREFERRED_PORT, free_port, has_listener
from goldsmith.stack.postgres import EmbeddedPostgres
from goldsmith.stack.processes import ProcessName, end_all, of_stack, wait_for_end
from goldsmith.stack.record import Record
from goldsmith.stack.state import StateDir, write_private
from goldsmith.stack.supervisor import EMBEDDED_OPTION, HEALTH_NAMES
from goldsmith.warehouse.turns import ONE_SLOT_POOL

START_TIMEOUT = 240.0
STOP_TIMEOUT = 40.0
STARTS_UNTIL_HOPELESS = 3


class _PortTaken(EnvironmentProblem):
    """Another program listens on the port that was free a moment ago."""


class Stack:
    """The stack of one state folder.

    Args:
        root: The repository: its `dags` folder is Airflow's.
        state_dir: Everything the stack writes; default `.goldsmith` in the root.
        dags_dir: Another folder of DAG files.
        extra_env: Environment variables over those of this process.
        report: Called with a line for each step that takes time.

    Example:
        >>> stack = Stack(root=Path.cwd())
        >>> stack.up()
        >>> with stack.api() as api:
        ...     api.trigger("customer_transactions")
        >>> stack.down()
    """

    def __init__(
        self,
        *,
        root: Path,
        state_dir: Path | None = None,
        dags_dir: Path | None = None,
        extra_env: Mapping[str, str] | None = None,
        report: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.root = root.absolute()
        self.state = StateDir(path=(state_dir or self.root / ".goldsmith").absolute())
        self.dags_dir = (dags_dir or self.root / "dags").absolute()
        self.server = EmbeddedPostgres(self.state.postgres_home)
        self._user_env = {**os.environ, **(extra_env or {})}
        self.needs = Needs.of(self._user_env)
        self._report = report
        self._launched: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The port of Airflow's API server on loopback."""
        return int(self.state.remembered().get("port", PREFERRED_PORT))

    @property
    def url(self) -> str:
        """Airflow's web page."""
        return f"http://localhost:{self.port}"

    @property
    def login(self) -> Login:
        """The administrator of the local Airflow."""
        return Login(user=USER, password=self.state.secrets().password)

    def api(self) -> RestClient:
        """A client of the running Airflow's REST API."""
        return RestClient(f"http://127.0.0.1:{self.port}", self.login)

    def env(self) -> dict[str, str]:
        """The environment of the components and of every task; holds secrets."""
        return airflow_environment(
            user=self._user_env,
            state=self.state,
            secrets=self.state.secrets(),
            server=self.server,
            dags_dir=self.dags_dir,
            port=self.port,
        )

    def is_up(self) -> bool:
        """Whether the supervisor lives."""
        return self._supervisor() is not None

    def start_database(self) -> EmbeddedPostgres:
        """Start the embedded PostgreSQL alone.

        Raises:
            EnvironmentProblem: It does not start.
        """
        self.state.create()
        with self.state.locked():
            self.server.start()
        return self.server

    def up(self) -> bool:
        """Start what does not run yet, and wait until all of it is healthy.

        Returns:
            Whether anything had to be started.

        Raises:
            EnvironmentProblem: Something does not start; what had been started is stopped again.
        """
        self.state.create()
        with self.state.locked():
            if self.is_up():
                if self.state.remembered().get("settings") != _fingerprint(self.env()):
                    self._report("It was started with other settings; to apply yours: goldsmith down")
                self._wait_until_healthy(since=None)
                return False
            self._end_leftovers()
            for is_last in (False, False, True):
                try:
                    self._start()
                except _PortTaken:
                    self._stop()
                    if is_last:
                        raise
                except BaseException:
                    self._stop()
                    raise
                else:
                    break
        return True

    def down(self) -> bool:
        """Stop everything, also what a crash has left.

        Returns:
            Whether anything was running.
        """
        if not self.state.path.is_dir():  # deleted by hand, maybe under a running stack
            return self._stop()
        with self.state.locked():
            return self._stop()

    def destroy(self) -> None:
        """Stop everything and delete the embedded databases, which as root lie outside the state folder."""
        self.down()
        self.server.destroy()

    def status(self) -> list[PartStatus]:
        """The state of each part."""
        record = Record.read(self.state)
        parts = [self._database_status()] if self.needs.server else []
        if self._supervisor() is None:
            return [*parts, *(PartStatus(name=name, state="stopped") for name in COMPONENTS)]
        health = self._health()
        for name in COMPONENTS:
            process = record.components.get(name)
            is_alive = process is not None and process.find() is not None
            state = "healthy" if name in health else "unhealthy" if health else "starting"
            parts.append(
                PartStatus(
                    name=name,
                    state=state if is_alive else "stopped",
                    pid=process.pid if process and is_alive else None,
                    starts=record.starts.get(name, 0),
                )
            )
        return parts

    def _database_status(self) -> PartStatus:
        state = "healthy" if self.server.is_running() else "stopped"
        return PartStatus(name="postgres", state=state, detail=str(self.server.socket_dir))

    def _supervisor(self) -> ProcessName | None:
        name = Record.read(self.state).supervisor
        return name if name and name.find() else None

    def _choose_port(self) -> None:
        if (found := free_port(self.port)) != self.port:
            self._report(f"Port {self.port} is in use: Airflow gets port {found}")
        self.state.remember(port=found)

    def _start(self) -> None:
        self._check_dags_dir()
        if self.needs.server:
            self._report("Starting PostgreSQL")
            self.server.start()
        self._choose_port()
        self._write_files()
        env = self.env()
        migrate(self.state, env, server=self.server if self.needs.metadata else None, report=self._report)
        self.state.remember(settings=_fingerprint(env))
        self._report("Starting Airflow")
        started = datetime.now(UTC)
        self._start_supervisor(env)
        self._wait_until_healthy(since=started)
        with self.api() as api:
            api.make_pool(ONE_SLOT_POOL, 1, "Goldsmith: tasks that use a DuckDB file take turns")

    def _check_dags_dir(self) -> None:
        if not self.dags_dir.is_dir():
            raise EnvironmentProblem(
                f"No DAG folder at {self.dags_dir}.",
                hint="Is this the repository's root? Create dags/ there.",
            )

    def _write_files(self) -> None:
        secrets = self.state.secrets()
        write_private(self.state.passwords_file, {USER: secrets.password, TASKS_USER: secrets.tasks_password})
        write_local_settings(self.state.airflow_home)

    def _start_supervisor(self, env: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "goldsmith.stack.supervisor", str(self.state.path)]
        Record.remove(self.state)
        with (self.state.logs / "supervisor.log").open("ab") as log:
            self._launched = subprocess.Popen(
                command + [EMBEDDED_OPTION] * self.needs.server,
                env=dict(env),
                cwd=self.root,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait_until_healthy(self, *, since: datetime | None) -> None:
        """Wait for all components; a heartbeat from before `since` is a dead one's."""
        deadline = time.monotonic() + START_TIMEOUT
        while len(self._health(since=since)) < len(COMPONENTS):
            hopeless = [
                name for name, n in Record.read(self.state).starts.items() if n >= STARTS_UNTIL_HOPELESS
            ]
            if self._has_supervisor_ended():
                self._give_up("supervisor", "has ended")
            if since is not None and hopeless:
                self._give_up(hopeless[0], "ends right after its start")
            if since is not None and has_listener(self.port) and not self._is_ours_listening():
                raise _PortTaken(f"Another program listens on port {self.port}.", hint="goldsmith up")
            if time.monotonic() > deadline:
                missing = [name for name in COMPONENTS if name not in self._health(since=since)]
                self._give_up(missing[0], f"is not healthy after {START_TIMEOUT:.0f} seconds")
            time.sleep(0.25)

    def _has_supervisor_ended(self) -> bool:
        """Whether it lived and does not; one that starts has not written its record yet."""
        return not self.is_up() and (self._launched is None or self._launched.poll() is not None)

    def _give_up(self, name: str, problem: str) -> None:
        log = self.state.logs / f"{name}.log"
        text = log.read_text(errors="replace") if log.is_file() else ""
        raise EnvironmentProblem(
            f"The stack's {name} {problem}. Its last lines:\n{last_lines(text)}",
            hint=f"goldsmith logs {name}",
        )

    def _health(self, *, since: datetime | None = None) -> set[str]:
        """The components that Airflow calls healthy; empty while the API server does not answer."""
        if not self._is_ours_listening():
            return set()
        try:
            with RestClient(f"http://127.0.0.1:{self.port}", timeout=5) as api:
                found = api.health()
        except EnvironmentProblem:
            return set()
        healthy = {
            name
            for name, key in HEALTH_NAMES.items()
            if found[key].is_healthy and (since is None or (found[key].last_heartbeat or since) > since)
        }
        return healthy | {"api-server"}

    def _is_ours_listening(self) -> bool:
        """Whether it is our API server that answers on the port, and not that of another stack."""
        name = Record.read(self.state).components.get("api-server")
        process = name.find() if name else None
        if process is None:
            return False
        try:
            sockets = process.net_connections(kind="tcp")
        except psutil.Error:
            return False
        return any(one.status == psutil.CONN_LISTEN and one.laddr.port == self.port for one in sockets)

    def _stop(self) -> bool:
        record = Record.read(self.state)
        was_running = self.server.is_running()
        name = record.supervisor or self._just_launched()
        supervisor = name.find() if name else None
        if supervisor is not None:
            was_running = True
            supervisor.terminate()
            wait_for_end([supervisor], timeout=STOP_TIMEOUT)
        was_running |= self._end_leftovers()
        if self._launched is not None:
            self._launched.wait()
            self._launched = None
        self.server.stop()
        return was_running

    def _just_launched(self) -> ProcessName | None:
        """A supervisor that has written no record yet; the system may not show its environment yet either."""
        if self._launched is None or self._launched.poll() is not None:
            return None
        return ProcessName.of(self._launched.pid)

    def _end_leftovers(self) -> bool:
        """End what a killed supervisor has left; tell whether there was any."""
        left = list(of_stack(self.state.path, Record.read(self.state).sessions))
        end_all(left, grace=3)
        Record.remove(self.state)
        return bool(left)


def local_stack(here: Settings, report: Callable[[str], None] = lambda _: None) -> Stack:
    """The stack of this repository, whether it runs or not.

    Raises:
        EnvironmentProblem: It is another user's.
    """
    stack = Stack(root=here.root, state_dir=here.state_dir, dags_dir=here.dags_dir, report=report)
    stack.state.check_owner()
    return stack


def _fingerprint(env: Mapping[str, str]) -> str:
    """Tell one environment of the components from another, as far as it matters to them."""
    prefixes = ("AIRFLOW", "GOLDSMITH", "WAREHOUSE", "DBT")
    text = json.dumps(sorted(item for item in env.items() if item[0].startswith(prefixes)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
