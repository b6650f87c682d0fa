"""One of Airflow's components: its process, its log, and when it is started again."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from goldsmith.stack.processes import ProcessName

# The API server first: it is the slowest to start. Task logs are read from disk, not served.
COMPONENTS: dict[str, tuple[str, ...]] = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
FIRST_BACKOFF, LAST_BACKOFF = 1.0, 30.0
STEADY_AFTER = 60.0
LOG_LIMIT = 10_000_000


@dataclass(kw_only=True, slots=True)
class Component:
    """A component that is started, may end, and is started again."""

    name: str
    log_file: Path
    process: subprocess.Popen[bytes] | None = None
    leader: ProcessName | None = None
    """The process that runs, or the one that ran last."""
    starts: int = 0
    failed_checks: int = 0
    _started_at: float = 0.0
    _start_at: float = 0.0
    _backoff: float = FIRST_BACKOFF

    def start(self, in_child: Callable[[], None] | None) -> None:
        """Start the process in a session of its own; what it prints goes to the log."""
        if self.log_file.is_file() and self.log_file.stat().st_size > LOG_LIMIT:
            self.log_file.replace(self.log_file.with_suffix(".log.old"))
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "airflow", *COMPONENTS[self.name]],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=in_child,  # noqa: PLW1509 - the supervisor has one thread
            )
        self.leader = ProcessName(
            pid=self.process.pid, created=psutil.Process(self.process.pid).create_time()
        )
        self._started_at = time.monotonic()
        self.starts += 1
        self.failed_checks = 0

    @property
    def is_due(self) -> bool:
        """Whether it does not run and its time to start has come."""
        return self.process is None and time.monotonic() >= self._start_at

    def note_end(self) -> bool:
        """Tell whether the process has ended; then the next start is planned."""
        if self.process is None or self.process.poll() is None:
            return False
        if time.monotonic() - self._started_at > STEADY_AFTER:
            self._backoff = FIRST_BACKOFF
        self._start_at = time.monotonic() + self._backoff
        self._backoff = min(self._backoff * 2, LAST_BACKOFF)
        self.process = None
        return True
