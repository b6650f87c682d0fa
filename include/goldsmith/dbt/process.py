"""A dbt command in a process of its own that does not outlive this one.

Where dbt is loaded already (`goldsmith.tuning.preload`, in the scheduler that forked this task) the process is forked
and starts at once; elsewhere the `dbt` command is executed. Either way it is dbt's command line in, and dbt's JSON
log lines out.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import os
import signal
import stat
import subprocess
import sys
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from goldsmith.dbt.environment import dbt_environment
from goldsmith.dbt.project import dbt_executable

loaded_dbt: Callable[[list[str]], int] | None = None
"""dbt's command line in this process, with its exit code; set by who loaded dbt before the fork."""

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_MOST_DESCRIPTORS = 256
# dbt's static parser is Rust with threads of its own, which a fork does not have: it would wait for them for ever.
_IN_A_FORK = ("--no-static-parser",)


class DbtProcess:
    """A running dbt command.

    Args:
        arguments: dbt's command line without `dbt`.
        cwd: Folder it runs in.
        env: What its environment has beyond that of this process; of dbt's own variables see `dbt_environment`.

    Raises:
        ConfigurationError: A variable would make dbt build something else than it is to.
    """

    def __init__(self, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> None:
        whole = dbt_environment(cwd, more=env)
        if loaded_dbt is None:
            self._child: _Child = _Executed(arguments, cwd=cwd, env=whole)
        else:
            self._child = _Forked(loaded_dbt, arguments, cwd=cwd, env=whole)

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


class _Child(ABC):
    """A child process whose standard output is read here."""

    pid: int
    output: io.RawIOBase

    @abstractmethod
    def poll(self) -> int | None:
        """Its exit code; None while it runs."""

    def send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self.poll() is None:
                os.kill(self.pid, number)


class _Executed(_Child):
    """The `dbt` command."""

    def __init__(self, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [dbt_executable(), *arguments],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - no other thread of the task holds a lock here
        )
        self.pid = self._process.pid
        self.output = cast("io.FileIO", self._process.stdout)  # unbuffered, as asked for

    def poll(self) -> int | None:
        return self._process.poll()


class _Forked(_Child):
    """A fork of this process, in which dbt is loaded."""

    def __init__(
        self,
        dbt: Callable[[list[str]], int],
        arguments: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
    ) -> None:
        read_end, write_end = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if self.pid == 0:
            _become_dbt(dbt, [*_IN_A_FORK, *arguments], cwd=cwd, env=env, output=write_end)
        os.close(write_end)
        self.output = io.FileIO(read_end)
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # a signal handler looked a moment before
                pid, status = self.pid, signal.SIGKILL
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code


def _become_dbt(
    dbt: Callable[[list[str]], int], arguments: list[str], *, cwd: Path, env: Mapping[str, str], output: int
) -> None:
    """Run dbt in this fresh fork, and end."""
    code = 2
    try:
        os.setsid()
        _end_with_parent()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        null = os.open(os.devnull, os.O_RDONLY)
        for descriptor, here in ((null, 0), (output, 1), (output, 2)):
            os.dup2(descriptor, here)
        _close_sockets()
        old = sys.stdout, sys.stderr  # kept: they close their descriptors, now dbt's, when nobody holds them
        sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), line_buffering=True)
        sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", closefd=False), line_buffering=True)
        _move(cwd, env)
        _forget_logging()
        code = dbt(arguments)
        del old
    except KeyboardInterrupt:
        code = 130
    except BaseException:  # noqa: BLE001 - nothing above this frame may run twice
        os.write(output, traceback.format_exc().encode())
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _move(cwd: Path, env: Mapping[str, str]) -> None:
    """Go to a folder, with a whole environment."""
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)


def _forget_logging() -> None:
    """Undo what Airflow did to Python's logging: its handlers write to the task's log, and dbt's loggers are off."""
    logging.root.handlers.clear()
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False


def _close_sockets() -> None:
    """Close the task's connections to its supervisor, which waits for their end, and must not get dbt's words."""
    for descriptor in range(3, _MOST_DESCRIPTORS):
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                os.close(descriptor)


def _end_with_parent() -> None:
    """Let Linux interrupt this process when its parent dies, however it dies; dbt then cancels its queries.

    A shell that starts Airflow in the background may have told it to ignore interrupts, which is inherited.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
