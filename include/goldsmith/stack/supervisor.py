"""The background process that starts Airflow's components, watches them and ends them.

Started by `Stack.up` in a session of its own, with the components' environment. It ends on SIGTERM or
SIGINT, and ends the components first.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from goldsmith.errors import GoldsmithError
from goldsmith.rest import RestClient
from goldsmith.stack.component import COMPONENTS, Component
from goldsmith.stack.postgres import EmbeddedPostgres
from goldsmith.stack.processes import ProcessName, end_all, of_session, of_stack
from goldsmith.stack.record import Record
from goldsmith.stack.state import StateDir

_logger = logging.getLogger(__name__)
HEALTH_NAMES = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}
EMBEDDED_OPTION = "--embedded-postgres"
TICK = 0.5
CHECK_EVERY = 10.0
CHECKS_UNTIL_STUCK = 9
GRACE = 5.0
_PR_SET_PDEATHSIG = 1


@dataclass(kw_only=True, slots=True)
class Supervisor:
    """Keeps the components of one state folder running."""

    state: StateDir
    port: int
    server: EmbeddedPostgres | None
    components: list[Component]
    is_ending: bool = False
    sessions: list[ProcessName] = field(default_factory=list)

    def run(self) -> None:
        """Work until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end_soon)
        die_with_parent = _die_with_parent()
        next_check = time.monotonic() + CHECK_EVERY
        try:
            while not self.is_ending:
                self._start_due(die_with_parent)
                if time.monotonic() >= next_check:
                    self._check()
                    next_check = time.monotonic() + CHECK_EVERY
                time.sleep(TICK)
        finally:
            self._end()

    def _end_soon(self, *_: object) -> None:
        self.is_ending = True

    def _start_due(self, in_child: Callable[[], None] | None) -> None:
        has_changed = False
        for component in self.components:
            if component.note_end() and component.leader:
                _logger.info("%s ended", component.name)
                # What it had started would run beside what the next one starts.
                end_all(of_session(component.leader), grace=0)
                has_changed = True
            if component.is_due and not self.is_ending:
                component.start(in_child)
                self.sessions.extend([component.leader] if component.leader else [])
                _logger.info("%s started, start %d", component.name, component.starts)
                has_changed = True
        if has_changed:
            self._record()

    def _check(self) -> None:
        """Start PostgreSQL again where it died, and end components that live but do not work."""
        if self.server is not None and not self.server.is_running():
            _logger.warning("PostgreSQL ended; starting it")
            try:
                self.server.start()
            except GoldsmithError as problem:
                _logger.warning("%s", problem)
        well = self._well()
        for component in self.components:
            component.failed_checks = 0 if component.name in well else component.failed_checks + 1
            # Counted in checks, not in seconds: after a laptop's sleep all heartbeats are old.
            if component.failed_checks >= CHECKS_UNTIL_STUCK and component.leader:
                _logger.warning("%s lives but does not work: ending it", component.name)
                end_all(of_session(component.leader), grace=GRACE)

    def _well(self) -> set[str]:
        """The components that work; where the API server does not answer, the others count as well."""
        try:
            with RestClient(f"http://127.0.0.1:{self.port}", timeout=5) as api:
                found = api.health()
        except GoldsmithError:
            return set(HEALTH_NAMES)
        return {"api-server"} | {name for name, key in HEALTH_NAMES.items() if found[key].is_healthy}

    def _record(self, *, is_ending: bool = False) -> None:
        Record(
            is_ending=is_ending,
            supervisor=ProcessName.of(os.getpid()),
            components={one.name: one.leader if one.process else None for one in self.components},
            starts={one.name: one.starts for one in self.components},
            sessions=tuple(self.sessions),
        ).write(self.state)

    def _end(self) -> None:
        """End everything: the API server last, so that ending tasks can still report to it."""
        _logger.info("ending")
        with suppress(OSError):  # a full disk; whoever follows a run sees that as well
            self._record(is_ending=True)
        last = {one.pid for one in self.sessions if one == self.components[0].leader}
        end_all([one for one in of_stack(self.state.path, self.sessions) if one.pid not in last], grace=GRACE)
        end_all(of_stack(self.state.path, self.sessions), grace=GRACE)
        if self.server is not None:
            self.server.stop()
        Record.remove(self.state)
        _logger.info("ended")


def main() -> None:
    """Supervise the stack whose state folder is the argument."""
    os.umask(0o077)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    state = StateDir(path=Path(sys.argv[1]))
    Supervisor(
        state=state,
        port=int(os.environ["AIRFLOW__API__PORT"]),
        server=EmbeddedPostgres(state.postgres_home) if EMBEDDED_OPTION in sys.argv else None,
        components=[Component(name=name, log_file=state.logs / f"{name}.log") for name in COMPONENTS],
    ).run()


def _die_with_parent() -> Callable[[], None] | None:
    """What lets a component end when the supervisor is killed; only Linux has it."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)

    def ask() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return ask


if __name__ == "__main__":
    main()
