"""One writer at a time, on a real PostgreSQL."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import timedelta
from queue import SimpleQueue
from typing import Self
from uuid import uuid4

import pytest
from tests.integration.waiting import until

from goldsmith.errors import EnvironmentProblem
from goldsmith.stack.postgres import EmbeddedPostgres
from goldsmith.warehouse.base import Writer
from goldsmith.warehouse.postgres.writer import _key, writer
from goldsmith.warehouse.tags import session_tag

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("warehouse_connections")]

POLL = 0.05
# Says `held` when it is the writer, and stays it until it is killed.
HOLDER = """
import functools, sys, time
from goldsmith.warehouse.postgres.writer import writer
say = functools.partial(print, flush=True)
with writer("warehouse", target=sys.argv[1], run=sys.argv[2], exclusive=True, on_wait=say, timeout=None):
    say("held")
    time.sleep(60)
"""


@pytest.fixture
def target() -> str:
    """A target that no other test writes."""
    return f"warehouse/test/{uuid4().hex}"


class Contender(threading.Thread):
    """A task that becomes the writer, and stays it until it is told to end."""

    def __init__(self, target: str, run: str, *, exclusive: bool, conn_id: str = "warehouse") -> None:
        super().__init__(daemon=True)
        self.waited: SimpleQueue[str] = SimpleQueue()
        self.held, self.end = threading.Event(), threading.Event()
        self._enter = writer(
            conn_id,
            target=target,
            run=run,
            exclusive=exclusive,
            on_wait=self.waited.put,
            poll=POLL,
            timeout=None,
        )
        self.start()

    def run(self) -> None:
        """Hold it."""
        with self._enter:
            self.held.set()
            self.end.wait()

    def gets_it(self) -> bool:
        """Whether it becomes the writer; the machine may be busy."""
        return self.held.wait(20)

    def stays_out(self) -> bool:
        """Whether it is not the writer after some more looks."""
        return not self.held.wait(6 * POLL)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end.set()
        self.join(5)


def test_tasks_of_one_run_write_together_and_another_run_waits_for_all(target: str) -> None:
    """Shared writers of a run do not wait; those of the next run wait for the last of them, and say for whom."""
    with ExitStack() as stack:
        first, second = (stack.enter_context(Contender(target, "a", exclusive=False)) for _ in range(2))
        assert first.gets_it()
        assert second.gets_it()
        other = stack.enter_context(Contender(target, "b", exclusive=False))
        said = other.waited.get(timeout=20)
        assert said.startswith(f"Waiting to write {target}, held by goldsmith writer {target[:17]}")
        assert said.count("(process ") == 2
        first.end.set()
        assert other.stays_out()
        second.end.set()
        assert other.gets_it()


def test_an_exclusive_writer_is_alone(target: str) -> None:
    """It keeps out others of its own run and of another one; another target is another matter."""
    with ExitStack() as stack:
        alone = stack.enter_context(Contender(target, "a", exclusive=True))
        assert alone.gets_it()
        beside = stack.enter_context(Contender(target + "x", "b", exclusive=True))
        assert beside.gets_it()
        waiting = [
            stack.enter_context(Contender(target, run, exclusive=exclusive))
            for run, exclusive in (("a", False), ("a", True), ("b", False), ("b", True))
        ]
        assert all(contender.stays_out() for contender in waiting)
        alone.end.set()
        for _ in range(len(waiting)):
            assert until(lambda: any(contender.held.is_set() for contender in waiting), seconds=20)
            (holder,) = (contender for contender in waiting if contender.held.is_set())
            waiting.remove(holder)
            holder.end.set()


def test_a_stream_of_shared_writers_does_not_starve_an_exclusive_one(target: str) -> None:
    """Once it waits, no more of its run begin, though others are writing; they go on after it."""
    with ExitStack() as stack:
        running = stack.enter_context(Contender(target, "a", exclusive=False))
        assert running.gets_it()
        alone = stack.enter_context(Contender(target, "a", exclusive=True))
        assert alone.waited.get(timeout=20)
        late = stack.enter_context(Contender(target, "a", exclusive=False))
        assert late.stays_out()
        running.end.set()
        assert alone.gets_it()
        assert not late.held.is_set()
        alone.end.set()
        assert late.gets_it()


def test_many_contenders_never_write_at_once(target: str) -> None:
    """Whatever comes when: one run at a time, an exclusive writer alone; and all get their turn."""
    present: set[tuple[str, bool, int]] = set()
    faults: list[object] = []
    guard = threading.Lock()

    def contend(number: int) -> None:
        run, exclusive = f"run {number % 3}", number % 4 == 0
        me = (run, exclusive, number)
        for _ in range(3):
            with writer(
                "warehouse",
                target=target,
                run=run,
                exclusive=exclusive,
                on_wait=lambda _: None,
                poll=0.01,
                timeout=timedelta(seconds=60),
            ):
                with guard:
                    if any(exclusive or alone or run != other for other, alone, _ in present):
                        faults.append((me, set(present)))
                    present.add(me)
                time.sleep(0.005)
                with guard:
                    present.remove(me)

    threads = [threading.Thread(target=contend, args=(number,), daemon=True) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert faults == []


def test_look_and_take_are_one_step(warehouse_server: EmbeddedPostgres, target: str) -> None:
    """While somebody is inside the door, nobody else looks: two runs cannot both find the target free."""
    with warehouse_server.connected("warehouse") as connection, ExitStack() as stack:
        connection.execute("select pg_advisory_lock(%s, 0)", (_key("door", target),))
        contender = stack.enter_context(Contender(target, "a", exclusive=False))
        assert contender.stays_out()
        assert contender.waited.empty()
        connection.execute("select pg_advisory_unlock_all()")
        assert contender.gets_it()


def test_a_killed_writer_is_one_no_more(target: str) -> None:
    """The lock ends with its process: whoever waits gets it at the next look."""
    with _process(target, "a") as (holder, says):
        assert says() == "held\n"
        with Contender(target, "b", exclusive=True) as waiting:
            assert waiting.stays_out()
            holder.send_signal(signal.SIGKILL)
            assert waiting.gets_it()


def test_a_frozen_contender_does_not_stop_the_others(warehouse_server: EmbeddedPostgres, target: str) -> None:
    """A process that is stopped while it waits holds nothing that others need."""
    asked = "select state from pg_stat_activity where application_name = %s"
    name = session_tag("writer", "b", target)
    with Contender(target, "a", exclusive=True) as first:
        assert first.gets_it()
        with _process(target, "b") as (frozen, says):
            assert says().startswith("Waiting to write")
            frozen.send_signal(signal.SIGSTOP)
            # Its last look may still be on its way: let it come before the lock is free.
            time.sleep(1)
            with warehouse_server.connected("warehouse") as session:
                assert until(lambda: session.execute(asked, (name,)).fetchone() == ("idle",), seconds=20)
            first.end.set()
            with Contender(target, "c", exclusive=True) as third:
                assert third.gets_it()


def test_waiting_ends_in_time(target: str) -> None:
    """After the time a sentence names the holder; nothing is left behind."""
    with Contender(target, "a", exclusive=False) as holder:
        assert holder.gets_it()
        enter = writer(
            "warehouse",
            target=target,
            run="b",
            exclusive=True,
            on_wait=lambda _: None,
            poll=POLL,
            timeout=timedelta(seconds=0.2),
        )
        with pytest.raises(EnvironmentProblem, match=r"goldsmith writer .*waited for"), enter:
            pass
        with Contender(target, "a", exclusive=False) as second:
            assert second.gets_it()


def test_roles_see_each_others_locks(target: str) -> None:
    """A role without rights is held back by another one's lock, and says as much as it may see."""
    with Contender(target, "a", exclusive=True) as holder:
        assert holder.gets_it()
        with Contender(target, "b", exclusive=True, conn_id="analyst") as other:
            assert "(process " in other.waited.get(timeout=20)
            holder.end.set()
            assert other.gets_it()


def test_a_restart_of_the_server_ends_the_lock_and_nothing_else(
    warehouse_server: EmbeddedPostgres, target: str
) -> None:
    """The writer can tell that it is none any more; its `with` block ends quietly; the next one gets it."""
    with _held(target, "a") as own:
        assert own.is_held()
        warehouse_server.stop()
        assert not own.is_held()
        warehouse_server.start()
        assert not own.is_held()
        with _held(target, "b") as other:
            assert other.is_held()


def _held(target: str, run: str) -> AbstractContextManager[Writer]:
    return writer(
        "warehouse",
        target=target,
        run=run,
        exclusive=True,
        on_wait=print,
        poll=POLL,
        timeout=timedelta(seconds=5),
    )


@contextmanager
def _process(target: str, run: str) -> Iterator[tuple[subprocess.Popen[str], Callable[[], str]]]:
    """Have another process become the writer; what it says can be read line by line."""
    command = [sys.executable, "-c", HOLDER, target, run]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout.readline
        finally:
            process.kill()
