"""What the processes of a stack use: CPU seconds, and memory at its peak.

Counted are Airflow's components and all they start: workers, tasks, dbt. A process that has ended is counted with the
parent that collected it. PostgreSQL is counted apart: sessions of dbt and of Airflow's own tables cannot be told apart
from outside. Memory is the sum of resident sets, in which pages that forked processes share count repeatedly.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import psutil

from goldsmith.stack.record import Record
from goldsmith.stack.stack import Stack

_EVERY = 1.0  # seconds between looks at the memory


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What was used during a run."""

    cpu_s: float
    postgres_cpu_s: float
    rss_mb: float


class Meter:
    """Measures from the start of its `with` block to `stop`.

    Args:
        stack: The running stack.
        more: Process ids of parts that the stack did not start, such as Celery workers.
    """

    def __init__(self, stack: Stack, more: Iterable[int] = ()) -> None:
        self._leaders = [name.pid for name in Record.read(stack.state).components.values() if name]
        self._leaders += more
        self._server = int((stack.server.socket_dir / ".s.PGSQL.5432.lock").read_text().split("\n", 1)[0])
        self._peak = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._before = _cpu(self._leaders), _cpu([self._server])
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()

    def usage(self) -> Usage:
        """What was used since the start."""
        cpu, server = self._before
        return Usage(
            cpu_s=_cpu(self._leaders) - cpu,
            postgres_cpu_s=_cpu([self._server]) - server,
            rss_mb=self._peak / 2**20,
        )

    def _watch(self) -> None:
        while not self._is_over.wait(_EVERY):
            self._peak = max(self._peak, sum(_rss(one) for one in _family(self._leaders)))


def _family(leaders: Iterable[int]) -> list[psutil.Process]:
    found = []
    for pid in leaders:
        try:
            leader = psutil.Process(pid)
            found += [leader, *leader.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    return found


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _cpu(leaders: Iterable[int]) -> float:
    total = 0.0
    for process in _family(leaders):
        try:
            used = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system + used.children_user + used.children_system
    return total
