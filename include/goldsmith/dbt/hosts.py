"""The processes that have dbt loaded and fork for each command: how they are started, and asked.

See `goldsmith.inside_dbt.host`. Who starts Airflow's tasks by forking, the scheduler or a Celery worker, starts a host
for the dbt of its environment, or for the one that GOLDSMITH_DBT names. If a pipeline names another dbt, the first of
its commands has a host started for the ones after it.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from goldsmith.dbt.events import READ
from goldsmith.dbt.executable import dbt_executable, python_of
from goldsmith.errors import ProjectError
from goldsmith.inside_dbt.host import start

log = logging.getLogger(__name__)

_ANSWER_WITHIN = 60.0  # seconds; a host that was just started has to import dbt first
_CHUNK = 4096

first_host: Path | None = None
"""Socket of the host that this process, or the one that it is a fork of, has started; none: dbt is executed."""
_started: list[subprocess.Popen[bytes]] = []
"""Kept: Python warns of a process that goes on when nobody knows it any more."""


def start_first_host(named: str = "") -> None:
    """Start a host that ends with this process, for the commands of processes that are forked off it.

    Args:
        named: The dbt command, see `goldsmith.dbt.executable`.
    """
    global first_host  # noqa: PLW0603 - forks find it here
    try:
        executable = dbt_executable(named)
    except ProjectError:  # pipelines may name theirs, and else the command itself says it
        executable = ""
    folder: Path | None = None
    try:
        folder = Path(tempfile.mkdtemp(prefix="goldsmith-dbt-"))
        python = python_of(executable) or sys.executable
        place = _place(folder, executable, python)
        _started.append(start(place, dbt=executable, python=python))
    except OSError as error:
        # Such as a TMPDIR whose path is too long for a socket: Airflow is to start all the same.
        log.warning("No host for dbt, so each command starts a dbt of its own: %s", error)
        if folder is not None:
            folder.rmdir()
    else:
        first_host = place


class HostedDbt:
    """A dbt command that a host has forked.

    Args:
        executable: The dbt command, as `dbt_executable` gives it.
        arguments: dbt's command line without `dbt`.
        cwd: Folder it runs in.
        env: Its whole environment.
        adapter: Type of the adapter that it needs; empty if that is not known.

    Raises:
        OSError: There is no host for it.
    """

    def __init__(
        self, executable: str, arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str], adapter: str
    ) -> None:
        request = {"arguments": [*arguments], "cwd": str(cwd), "env": dict(env), "adapter": adapter}
        self._code: int | None = None
        self._said = b""
        self._lock = threading.RLock()
        self.cpu = 0.0
        """CPU seconds of dbt, known when it has ended."""
        self._line = _connection(executable)
        read_end, write_end = os.pipe()
        self.output = io.FileIO(read_end)
        try:
            text = json.dumps({**request, "events": sorted(READ)}).encode() + b"\n"
            sent = socket.send_fds(self._line, [text], [write_end])
            self._line.sendall(text[sent:])
            self.pid = int(self._answer()["pid"])
        except BaseException:  # a time limit too: dbt is interrupted when the connection closes
            self.output.close()
            self._line.close()
            raise
        finally:
            os.close(write_end)
        self._line.settimeout(0)

    def poll(self) -> int | None:
        """Its exit code; None while it runs. If the host dies, Linux interrupts dbt: it ends as if it was killed."""
        with self._lock:
            if self._code is None:
                try:
                    answer = self._answer()
                except BlockingIOError:
                    return None
                except OSError:
                    answer = {"code": -signal.SIGKILL, "cpu": 0.0}
                self._code, self.cpu = int(answer["code"]), float(answer["cpu"])
                self._line.close()
            return self._code

    def send(self, number: int) -> None:
        """Send a signal."""
        with suppress(OSError):
            self._line.send(json.dumps({"signal": number}).encode() + b"\n")

    def _answer(self) -> Mapping[str, Any]:
        """The next line of the host's; both may come at once, if dbt ends before the first is read."""
        while b"\n" not in self._said:
            said = self._line.recv(_CHUNK)
            if not said:
                raise ConnectionResetError("The host is gone.")
            self._said += said
        line, self._said = self._said.split(b"\n", 1)
        found: Mapping[str, Any] = json.loads(line)
        return found


def _connection(executable: str) -> socket.socket:
    """A connection to the host of a dbt; if it has none, the first host is asked to start one.

    Raises:
        OSError: There is no host.
    """
    if first_host is None or (python := python_of(executable)) is None:
        raise FileNotFoundError("no host")
    place = _place(first_host.parent, executable, python)
    try:
        return _connected(place)
    except OSError:
        if place != first_host:
            with suppress(OSError), _connected(first_host) as line:
                asked = {"host": {"place": str(place), "dbt": executable, "python": python}}
                line.sendall(json.dumps(asked).encode() + b"\n")
        raise


def _connected(place: Path) -> socket.socket:
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.settimeout(_ANSWER_WITHIN)
    try:
        line.connect(str(place))
    except OSError:
        line.close()
        raise
    return line


def _place(folder: Path, executable: str, python: str) -> Path:
    """The socket of a host: its path has to be short. A link that leads to another dbt now has another host."""
    return folder / f"{hashlib.sha256(os.fsencode(f'{executable}:{python}')).hexdigest()[:12]}.sock"
