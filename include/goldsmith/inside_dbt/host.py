"""A process that imports dbt once, and forks for each dbt command: `python host.py --listen 3 --parent 1 --dbt PATH`.

dbt takes some CPU seconds to start, most of it to import itself and to build the classes that check its files. A fork
of a process in which both has happened takes a tenth of that (benchmarks/start.py).

One connection to the socket stands for one command. Lines of JSON go both ways:

    asked     {"arguments": [...], "cwd": "...", "env": {...}, "adapter": "postgres", "events": [...]}
              and, beside the first byte, the descriptor that dbt's output goes to
    asked     {"signal": 2}         at any time: for the dbt that runs
    answered  {"pid": 123}          dbt has started
    answered  {"code": 0, "cpu": 0.3}    it has ended: exit code, negative for a signal, and CPU seconds
    asked     {"host": {"place": "...", "dbt": "...", "python": "..."}}    start another host, of another dbt

If the connection closes before dbt has ended, whoever asked is gone: dbt is interrupted, cancels its queries and ends.
If the host dies, Linux interrupts its children. If the process that started the host is gone, the host takes no more
commands and ends with the last that runs.
"""

from __future__ import annotations

import argparse
import array
import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goldsmith.inside_dbt import dbt_fork
else:
    dbt_fork = importlib.import_module(f"{__package__}.dbt_fork" if __package__ else "dbt_fork")

_PATIENCE = 3.0  # seconds for dbt to cancel its queries
_LOOK_EVERY = 1.0  # seconds: is the process that started this one alive?
_FIRST_ADAPTER = "postgres"
_CHUNK = 65536


class Command:
    """One connection, and the dbt that runs for it."""

    def __init__(self, line: socket.socket) -> None:
        self.line = line
        self.said = b""
        self.output = -1
        """Descriptor of what dbt's output goes to, until dbt has it."""
        self.pid = 0
        """Process id of dbt; 0 if none runs."""
        self.kill_at: float | None = None
        """When dbt is killed, on the monotonic clock, if whoever asked is gone."""
        line.settimeout(0)

    def read(self) -> list[Any] | None:
        """The lines that were asked since; None if the connection is closed."""
        try:
            data, beside, _, _ = self.line.recvmsg(_CHUNK, socket.CMSG_SPACE(array.array("i").itemsize))
        except BlockingIOError:
            return []
        except OSError:
            return None
        if not data:
            return None
        for level, kind, content in beside:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                self.close_output()
                [self.output] = array.array("i", content)
        *lines, self.said = (self.said + data).split(b"\n")
        return [json.loads(one) for one in lines]

    @property
    def is_open(self) -> bool:
        """Whether somebody waits at the other end."""
        try:
            return self.line.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def answer(self, **values: Any) -> None:
        """Say something; who asked may be gone."""
        with contextlib.suppress(OSError):
            self.line.sendall(json.dumps(values).encode() + b"\n")

    def send(self, number: int) -> None:
        """Send a signal to dbt."""
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def close_output(self) -> None:
        """dbt has it now, or nobody."""
        if self.output >= 0:
            os.close(self.output)
            self.output = -1


class Host:
    """Takes commands, one connection each.

    Args:
        listener: The socket. It was made by who started this process, so that who asks early waits.
        parent: Process id of who started it.
        has_dbt: Whether this environment has one; else nothing but other hosts can be asked for.
    """

    def __init__(self, listener: socket.socket, parent: int, *, has_dbt: bool) -> None:
        self._listener = listener
        self._has_dbt = has_dbt
        self._parent = parent
        listener.settimeout(0)
        self._commands: dict[Any, Command] = {}
        self._adapters: set[str] = set()
        self._installed = dbt_fork.installed() if has_dbt else frozenset[str]()
        self._is_old = False  # whether another dbt or adapter was installed since dbt was loaded
        self._others: dict[str, subprocess.Popen[bytes]] = {}
        self._selector = selectors.DefaultSelector()
        # Wakes the selector up if a child ends.
        self._wake_end, wake = os.pipe()
        for end in (self._wake_end, wake):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._selector.register(self._wake_end, selectors.EVENT_READ)
        self._selector.register(listener, selectors.EVENT_READ)

    def warm(self, adapter: str) -> None:
        """Make an adapter ready, once."""
        if self._has_dbt and adapter and adapter not in self._adapters:
            self._adapters.add(adapter)
            dbt_fork.warm_up(adapter)
            gc.freeze()  # the garbage collector would copy the pages that forks share

    def serve(self) -> None:
        """Go on until the process that started this one is gone, and the last command has ended."""
        is_open = True
        while is_open or self._commands:
            for key, _ in self._selector.select(self._pause()):
                if key.fileobj is self._listener:
                    with contextlib.suppress(OSError):
                        self._accept()
                elif key.fileobj == self._wake_end:
                    with contextlib.suppress(BlockingIOError):
                        os.read(self._wake_end, _CHUNK)
                else:
                    self._take_safely(self._commands[key.fileobj])
            self._reap()
            if self._is_old and not self._commands:
                # The same process with the same parent and socket begins anew.
                os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - its own command line
            if is_open and os.getppid() != self._parent:
                is_open = False
                self._selector.unregister(self._listener)
                self._listener.close()

    def _pause(self) -> float:
        """Seconds until something has to be looked at."""
        now = time.monotonic()
        ahead = [one.kill_at - now for one in self._commands.values() if one.kill_at is not None]
        return max(0.0, min([_LOOK_EVERY, *ahead]))

    def _accept(self) -> None:
        line, _ = self._listener.accept()
        self._commands[line] = Command(line)
        self._selector.register(line, selectors.EVENT_READ)

    def _take_safely(self, command: Command) -> None:
        """Take what one connection says; the dbt of others goes on, whatever is wrong with it."""
        try:
            self._take(command)
        except Exception as error:  # noqa: BLE001 - no request, or no process can be forked now: who asked executes dbt
            sys.stderr.write(
                f"A dbt command cannot be started by its host: {type(error).__name__}: {error}\n"
            )
            if command.line in self._commands:
                self._leave(command)

    def _take(self, command: Command) -> None:
        asked = command.read()
        if asked is None:
            self._leave(command)
            return
        for one in asked:
            if "signal" in one:
                command.send(one["signal"])
            elif "host" in one:
                self._start_other(**one["host"])
            elif self._can_start(command, one["adapter"]):
                self._start(command, one)
            else:
                self._leave(command)
                return

    def _can_start(self, command: Command, adapter: str) -> bool:
        """Whether a command can be forked; else whoever asked executes dbt."""
        if not self._has_dbt or command.pid or command.output < 0:
            return False
        if dbt_fork.installed() != self._installed:
            self._is_old = True
            return False
        self.warm(adapter)
        return command.is_open  # who asked may have given up until that was done

    def _start(self, command: Command, request: dict[str, Any]) -> None:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                signal.set_wakeup_fd(-1)
                for number in (signal.SIGCHLD, signal.SIGTERM):
                    signal.signal(number, signal.SIG_DFL)
                for other in self._commands.values():
                    if other is not command:
                        other.close_output()
                dbt_fork.become_dbt(request, command.output, parent)
            finally:
                os._exit(2)  # a second host must not go on from here
        command.pid = pid
        command.close_output()
        command.answer(pid=pid)

    def _start_other(self, *, place: str, dbt: str, python: str) -> None:
        """Another host, whose parent is this one: it ends with it."""
        known = self._others.get(place)
        if known is not None and known.poll() is not None:  # it was killed, and has left its socket
            Path(place).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it is there already
            self._others[place] = start(Path(place), dbt=dbt, python=python)

    def _leave(self, command: Command) -> None:
        """Whoever asked is gone."""
        self._selector.unregister(command.line)
        if not command.pid:
            self._forget(command, is_registered=False)
        elif command.kill_at is None:
            command.send(signal.SIGINT)
            command.kill_at = time.monotonic() + _PATIENCE

    def _forget(self, command: Command, *, is_registered: bool = True) -> None:
        if is_registered:
            self._selector.unregister(command.line)
        del self._commands[command.line]
        command.close_output()
        command.line.close()

    def _reap(self) -> None:
        """Answer for what has ended, and kill what does not end."""
        for other in self._others.values():
            other.poll()
        now = time.monotonic()
        for command in [one for one in self._commands.values() if one.pid]:
            pid, status, usage = os.wait4(command.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                command.pid = 0
                command.answer(code=code, cpu=usage.ru_utime + usage.ru_stime)
                self._forget(command, is_registered=command.kill_at is None)
            elif command.kill_at is not None and now >= command.kill_at:
                command.send(signal.SIGKILL)


def start(place: Path, *, dbt: str, python: str) -> subprocess.Popen[bytes]:
    """Start a host that ends with this process.

    Args:
        place: Its socket.
        dbt: The dbt command.
        python: The Python that the command belongs to.

    Raises:
        OSError: There is something at the place, the path is too long for a socket, or no process can be started.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(place))
        listener.listen(64)
        shared = listener.fileno()
        # At its end Python would warn of locks of dbt's that nobody has released.
        command = [python, "-W", "ignore:resource_tracker:UserWarning", __file__, "--listen", str(shared)]
        command += ["--parent", str(os.getpid()), "--dbt", dbt]
        try:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, pass_fds=[shared])
        except OSError:
            place.unlink()
            raise


def _host(listener: socket.socket, parent: int) -> Host:
    """A host that is ready for commands."""
    before = dict(os.environ)  # dbt fills it from the `.env` of whatever folder this process runs in
    try:
        dbt_fork.load()
    except ImportError as error:
        sys.stderr.write(f"dbt cannot be imported, so each command starts a dbt of its own: {error}\n")
        return Host(listener, parent, has_dbt=False)
    host = Host(listener, parent, has_dbt=True)
    host.warm(_FIRST_ADAPTER)
    os.environ.clear()
    os.environ.update(before)
    return host


def _end(*_: object) -> None:
    """End at a SIGTERM, and leave no socket behind; Linux interrupts the dbt commands."""
    raise SystemExit


def main() -> None:
    """Serve until the process that started this one is gone."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--listen", type=int, required=True, help="descriptor of the socket")
    arguments.add_argument("--parent", type=int, required=True, help="process id of who started it")
    arguments.add_argument("--dbt", default="", help="the command, for who reads the list of processes")
    given = arguments.parse_args()
    sys.path = [one for one in sys.path if one != str(Path(__file__).parent)]
    # Of forks beside threads, which only dbt's parser has.
    warnings.simplefilter("ignore", DeprecationWarning)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal: whoever started this one decides
    signal.signal(signal.SIGTERM, _end)
    listener = socket.socket(fileno=given.listen)
    place = Path(listener.getsockname())
    try:
        _host(listener, given.parent).serve()
    except SystemExit:
        pass
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        with contextlib.suppress(OSError):
            place.unlink()
            place.parent.rmdir()  # if this was the last host in it
        sys.stderr.flush()
        os._exit(0)  # some adapters complain of Python's own end


if __name__ == "__main__":
    main()
