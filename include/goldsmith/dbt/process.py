"""A dbt command in a process of its own that does not outlive this one.

A host that has dbt loaded (`goldsmith.dbt.hosts`) forks it, and it starts at once; without a host, the `dbt` command is
executed. Either way it is dbt's command line in, and dbt's JSON log lines out.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, cast

from goldsmith.dbt.environment import dbt_environment
from goldsmith.dbt.executable import dbt_executable
from goldsmith.dbt.hosts import HostedDbt
from goldsmith.inside_dbt.dbt_fork import end_with
from goldsmith.masking import hide_environment

log = logging.getLogger(__name__)


class DbtProcess:
    """A running dbt command.

    Args:
        arguments: dbt's command line without `dbt`.
        cwd: Folder it runs in.
        env: What its environment has beyond that of this process; of dbt's own variables see `dbt_environment`.
        dbt: The dbt command, see `goldsmith.dbt.executable`; empty for that of this environment.
        adapter: Type of the adapter that it needs; empty if that is not known.

    Raises:
        ConfigurationError: A variable would make dbt build something else than it is to, or there is no such dbt.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        dbt: str = "",
        adapter: str = "",
    ) -> None:
        whole = dbt_environment(cwd, more=env)
        hide_environment(whole)  # the file `.env` is in it
        executable = dbt_executable(dbt)
        try:
            self._child: _Child = HostedDbt(executable, arguments, cwd=cwd, env=whole, adapter=adapter)
        except OSError as error:
            log.debug("No host for %s: %s", executable, error)
            self._child = _Executed([executable, *arguments], cwd=cwd, env=whole)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._child.pid

    def lines(self) -> Iterator[str]:
        """Lines of dbt's output as they come; ends when dbt closes it."""
        with io.TextIOWrapper(io.BufferedReader(self._child.output), "utf-8", errors="replace") as text:
            yield from text

    def interrupt(self, *, patience: float) -> None:
        """Let dbt cancel its queries and end, as Ctrl-C does.

        Args:
            patience: Seconds until it is killed, where it has not ended by then.
        """
        end = time.monotonic() + patience
        self._child.send(signal.SIGINT)
        while self._child.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        if self._child.poll() is None:
            self._child.send(signal.SIGKILL)

    def wait(self) -> int:
        """dbt's exit code: 0 done, 1 some nodes failed, 2 dbt failed; negative for the signal that ended it."""
        while (code := self._child.poll()) is None:
            time.sleep(0.02)
        return code


class _Child(Protocol):
    """A child process whose standard output is read here."""

    pid: int
    output: io.FileIO

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""

    def send(self, number: int) -> None:
        """Send a signal."""


class _Executed:
    """The `dbt` command."""

    def __init__(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
            preexec_fn=partial(end_with, os.getpid()),  # noqa: PLW1509 - no other thread of the task holds a lock here
        )
        self.pid = self._process.pid
        self.output = cast("io.FileIO", self._process.stdout)  # unbuffered, as asked for

    def poll(self) -> int | None:
        return self._process.poll()

    def send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self.poll() is None:
                os.kill(self.pid, number)
