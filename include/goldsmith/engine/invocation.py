"""Run dbt for some nodes and keep what it says, while others get their turn."""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from goldsmith.dbt.events import EventReader, Finished
from goldsmith.dbt.process import DbtProcess
from goldsmith.engine.freshness import by_policy
from goldsmith.engine.node_timeouts import NodeTimeouts
from goldsmith.engine.workspace import Workspace
from goldsmith.errors import EnvironmentProblem
from goldsmith.plan.model import PlannedNode
from goldsmith.results.record import GOOD, NodeResult

log = logging.getLogger(__name__)

BUILD = ("build",)

_TURN = 0.5  # seconds
# Seconds for dbt to cancel its queries; Airflow kills a task 5 seconds after it asked it to end.
_PATIENCE = 3.0


class Check(Protocol):
    """Whether dbt may go on."""

    def __call__(self, *, is_last: bool = False) -> None:
        """Return where it may; `is_last` when dbt has ended, so that what it said may count."""


class DbtStopped(EnvironmentProblem):
    """dbt could not do its work, or was stopped."""


@dataclass
class Invocations:
    """dbt commands for a task, one after the other.

    Args:
        space: Where they run.
        built_by: Id of the Airflow task.
        on_turn: Called with the results since the last turn, at least every half second; none is an empty turn.
        check: Called at every turn and at the end; dbt is stopped where it raises.
        timeouts: Ends the queries of nodes that take too long.
        freshness: The pipeline's policy on stale sources.
    """

    space: Workspace
    built_by: str
    on_turn: Callable[[list[NodeResult]], None]
    check: Check
    timeouts: NodeTimeouts
    freshness: str = "block"
    _running: DbtProcess | None = field(default=None, init=False)
    _is_stopped: bool = field(default=False, init=False)

    def run(self, verb: str, nodes: Iterable[PlannedNode]) -> None:
        """Run a dbt command for nodes; none where there are none.

        Args:
            verb: `build`, `test` or `source freshness`.
            nodes: The nodes; `dbt build` leaves out unit tests of models that it does not build.

        Raises:
            DbtStopped: dbt did not get to every node that it had to.
        """
        chosen = {node.unique_id: node for node in nodes}
        if chosen:
            self._run(tuple(verb.split()), chosen)

    def stop(self) -> None:
        """End a running dbt, with its queries; for a signal handler."""
        self._is_stopped = True
        if self._running is not None:
            self._running.interrupt(patience=_PATIENCE)

    def _run(self, verb: tuple[str, ...], nodes: Mapping[str, PlannedNode]) -> None:
        if self._is_stopped:
            raise DbtStopped("dbt was stopped before it started.")
        command = self.space.command([*verb], nodes)
        shown = f"dbt {' '.join(verb)} for {len(nodes)} nodes"
        log.info("%s: %s", shown, " ".join(command))
        self._running = process = DbtProcess(command, cwd=self.space.target.project_dir, env=self.space.env)
        reader = EventReader()
        left = {uid: node for uid, node in nodes.items() if node.kind != "unit_test" or verb != BUILD}
        try:
            for finished in _turns(process, reader):
                results = [
                    by_policy(self._result(nodes[one.unique_id], one, verb), self.freshness)
                    for one in finished
                    if one.unique_id in nodes
                ]
                for one in results:
                    left.pop(one.unique_id, None)
                self._take(results)
                self.timeouts.look(dict(reader.running), nodes)
        except BaseException:
            process.interrupt(patience=_PATIENCE)
            raise
        finally:
            self._running = None
        code = process.wait()
        for line in reader.said:
            log.info("%s", line)
        self.check(is_last=True)
        self.space.keep_parsed()
        self._judge(code, reader, left, shown)

    def _take(self, results: list[NodeResult]) -> None:
        try:
            self.check()
        except DbtStopped:
            # What is built is built; what failed may have failed for the same reason.
            self.on_turn([one for one in results if one.is_good])
            raise
        self.on_turn(results)

    def _judge(self, code: int, reader: EventReader, left: Mapping[str, PlannedNode], shown: str) -> None:
        """dbt ends early where it is stopped, or where something outside the nodes fails."""
        if code in (0, 1) and not left and not self._is_stopped:
            return
        if code == 0 and not self._is_stopped:
            return  # dbt does not know them: the caller sees that they have no result
        if code == 1 and not self._is_stopped and self.space.options.fail_fast:
            return  # that is what was asked for
        said = "\n".join((reader.errors or reader.said)[-20:])
        why = "was stopped" if self._is_stopped else f"ended with code {code}"
        raise DbtStopped(
            f"{shown} {why}; {len(left)} of them were not reached."
            + (f" The first: {next(iter(left))}." if left else "")
            + (f"\ndbt said:\n{said}" if said else ""),
            hint="The task's next try builds what is missing.",
        )

    def _explained(self, node: PlannedNode, message: str) -> str:
        return self.timeouts.explained(node.unique_id, message, node.timeout)

    def _result(self, node: PlannedNode, one: Finished, verb: tuple[str, ...]) -> NodeResult:
        return NodeResult(
            unique_id=node.unique_id,
            task_id=node.task_id,
            kind=node.kind,
            status=one.status,
            message=one.message if one.status in GOOD else self._explained(node, one.message),
            invocation_id=one.invocation_id,
            command=f"dbt {' '.join(verb)} --select {node.select} --target {self.space.target.target}",
            built_by=self.built_by,
            started=one.started,
            ended=one.ended,
            seconds=one.seconds,
            rows=one.rows,
            failures=one.failures,
            relation=one.relation,
            materialized=one.materialized,
            lines=one.lines,
            compiled_sql=self.space.compiled_sql(node, one.path),
        )


def _turns(process: DbtProcess, reader: EventReader) -> Iterator[list[Finished]]:
    """What has finished since the last turn; at least every half second, and until dbt closes its output.

    The lines are read on a thread of their own: dbt stops at a full pipe, and a turn may take long.
    """
    found: queue.SimpleQueue[Finished | None] = queue.SimpleQueue()
    supervisor = os.getppid()

    def read() -> None:
        try:
            for line in process.lines():
                finished = reader.read(line)
                if finished is not None:
                    found.put(finished)
        finally:
            found.put(None)

    threading.Thread(target=read, name="dbt-output", daemon=True).start()
    is_open = True
    while is_open:
        batch: list[Finished] = []
        try:
            one = found.get(timeout=_TURN)
            while one is not None:
                batch.append(one)
                one = found.get_nowait()
            is_open = False
        except queue.Empty:
            pass
        if os.getppid() != supervisor:
            raise DbtStopped("The task's supervisor is gone: nobody would learn what dbt does.")
        yield batch
