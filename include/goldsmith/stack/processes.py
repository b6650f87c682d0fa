"""Processes of a stack: named by number and start time, found by a mark in their environment."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

# Every process of a stack inherits it, so that none is lost, also after a crash of its parent.
MARK = "GOLDSMITH_STACK"


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessName:
    """A process, not to be mistaken for a later one with the same number."""

    pid: int
    created: float

    @classmethod
    def of(cls, pid: int) -> ProcessName:
        """Name a process that lives."""
        return cls(pid=pid, created=psutil.Process(pid).create_time())

    def find(self) -> psutil.Process | None:
        """The process, where it still lives."""
        try:
            process = psutil.Process(self.pid)
            is_same = (
                abs(process.create_time() - self.created) < 1 and process.status() != psutil.STATUS_ZOMBIE
            )
        except psutil.NoSuchProcess:
            return None
        return process if is_same else None


def of_stack(state_dir: Path, sessions: Collection[ProcessName]) -> Iterator[psutil.Process]:
    """Find every process of a stack that lives, but this one.

    One that has ended stays visible until its parent collects it, in a container without an init for ever.

    Args:
        state_dir: The stack's state folder.
        sessions: The components, each the leader of a session. Some of their processes cannot be known by
            the mark: those that set a title overwrite their environment, and Airflow makes the ones that run
            tasks unreadable for their own user.
    """
    leaders = [one for one in sessions if _may_lead(one)]
    for process in psutil.process_iter():
        is_ours = _has_mark(process, state_dir) or _is_of_session(process, leaders)
        if is_ours and process.pid != os.getpid() and is_alive(process):
            yield process


def of_session(leader: ProcessName) -> Iterator[psutil.Process]:
    """Find the processes of one component, of which the leader itself may have ended."""
    leaders = [leader] if _may_lead(leader) else []
    return (process for process in psutil.process_iter() if _is_of_session(process, leaders))


def _has_mark(process: psutil.Process, state_dir: Path) -> bool:
    try:
        return process.environ().get(MARK) == str(state_dir)
    except (psutil.Error, OSError):
        return False


def _may_lead(leader: ProcessName) -> bool:
    """Whether a session of that number is still the component's: no later process has got the number."""
    try:
        return abs(psutil.Process(leader.pid).create_time() - leader.created) < 1
    except psutil.NoSuchProcess:
        return True


def _is_of_session(process: psutil.Process, leaders: Collection[ProcessName]) -> bool:
    try:
        session = os.getsid(process.pid)
        created = [one.created for one in leaders if one.pid == session]
        return (
            bool(created) and process.uids().real == os.geteuid() and process.create_time() >= created[0] - 1
        )
    except (psutil.Error, OSError):
        return False


def end_all(processes: Iterable[psutil.Process], *, grace: float) -> None:
    """Ask processes to end, and end by force those that have not after `grace` seconds."""
    found = list(processes)
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    if wait_for_end(found, timeout=grace):
        return
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    wait_for_end(found, timeout=5)


def wait_for_end(processes: Iterable[psutil.Process], *, timeout: float) -> bool:
    """Wait until all have ended; tell whether they did."""
    # psutil's own wait would wait for zombies too, which stay where no init collects them.
    found = list(processes)
    deadline = time.monotonic() + timeout
    while any(is_alive(one) for one in found):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def is_alive(process: psutil.Process) -> bool:
    """Whether the process lives; one that has ended and is not collected yet does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
