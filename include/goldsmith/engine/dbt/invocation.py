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
from goldsmith.engine.dbt.command import PATIENCE
from goldsmith.engine.dbt.freshness import by_policy
from goldsmith.engine.dbt.retried import NOT_ANEW, RETRY
from goldsmith.engine.dbt.timeouts import NodeTimeouts
from goldsmith.engine.dbt.workspace import Workspace
from goldsmith.errors import DbtStopped, GoldsmithError
from goldsmith.masking import masked
from goldsmith.plan.model import PlannedNode
from goldsmith.results.microbatch import Microbatches, named, ranges, window
from goldsmith.results.record import GOOD, SKIPPED, NodeResult

log = logging.getLogger(__name__)

BUILD = ("build",)
_COMMANDS = 3  # to run missing batches by hand

_TURN = 0.5  # seconds
_SAID = 20  # lines
_LOST = "{} was lost before its end: on-run-end hooks may not have run."
_LEVELS = {"warn": logging.WARNING, "error": logging.ERROR}


class Check(Protocol):
    """Whether dbt may go on."""

    def __call__(self, *, is_last: bool = False) -> None:
        """Return where it may; `is_last` when dbt has ended, so that what it said may count."""


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
    explain: Callable[[str], GoldsmithError | None] = lambda _: None
    """Gives the error that a text is which dbt says before it comes to a node; None if it is another."""
    grant: Callable[[str, str, str], str] = lambda *_: ""
    """Gives the statement for a right that a node lacked, of dbt's text, its SQL and its relation; else nothing."""
    on_batches: Callable[[Mapping[str, Microbatches]], None] = lambda _: None
    """Called at every turn, before `on_turn`, with the batches of the microbatch models that dbt is at."""
    on_begun: Callable[[Mapping[str, Microbatches]], None] = lambda _: None
    """Called at once, on the thread that reads dbt's output, with the batches of all models that were begun."""
    _begun: dict[str, Microbatches] = field(default_factory=dict, init=False)
    failures: list[str] = field(default_factory=list, init=False)
    """What failed beside the nodes, of commands that came to all of theirs: hooks, and what dbt does at its end."""
    warned: dict[str, None] = field(default_factory=dict, init=False)
    """What dbt warned of that is about no node, once each: deprecations, configuration that is not used."""
    unfinished: str = field(default="", init=False)
    """What may not have run where this task is lost now: the hooks at the end of a command."""
    has_failed_fast: bool = field(default=False, init=False)
    """Whether dbt left nodes out because another one had failed, as it was asked to."""
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
            words = tuple(verb.split())
            self._run(self.space.command([*words], chosen), words, chosen)

    def retry(self, batches: Mapping[str, Microbatches], nodes: Iterable[PlannedNode]) -> None:
        """Build the missing batches of microbatch models.

        Args:
            batches: Unique id to batches.
            nodes: The models.

        Raises:
            DbtStopped: dbt did not get to every model.
        """
        chosen = {node.unique_id: node for node in nodes}
        if chosen:
            of_these = {uid: batches[uid] for uid in chosen}
            for uid, one in of_these.items():
                log.info("%s: building batch %s", uid, named(one.missing))
            command = self.space.retry_command("build", of_these)
            self._run(command, (RETRY,), chosen, retried=of_these)

    @property
    def failure(self) -> str:
        """What failed beside the nodes, or may have where this task is lost now; empty where nothing did."""
        return "\n".join(filter(None, (*self.failures, self.unfinished)))

    def stop(self) -> None:
        """End a running dbt, with its queries; for a signal handler."""
        self._is_stopped = True
        if self._running is not None:
            self._running.interrupt(patience=PATIENCE)

    def _run(
        self,
        command: list[str],
        verb: tuple[str, ...],
        nodes: Mapping[str, PlannedNode],
        *,
        retried: Mapping[str, Microbatches] | None = None,
    ) -> None:
        if self._is_stopped:
            raise DbtStopped("dbt was stopped before it started.")
        shown = f"dbt {' '.join(verb)} for {len(nodes)} nodes"
        log.info("%s: %s", shown, " ".join(command))
        reader = EventReader(retried)
        self._running = process = self.space.start(command, NOT_ANEW if retried else None)
        left = {uid: node for uid, node in nodes.items() if node.kind != "unit_test" or verb != BUILD}
        failed: set[str] = set()
        try:
            for finished in self._turns(process, reader):
                mine = [one for one in finished if one.unique_id in nodes]
                failed.update(one.unique_id for one in mine if one.status not in (*GOOD, SKIPPED))
                results = [
                    by_policy(self._result(nodes[one.unique_id], one, verb), self.freshness) for one in mine
                ]
                for one in results:
                    left.pop(one.unique_id, None)
                self.on_batches(reader.batches.begun())
                self.unfinished = _LOST.format(shown) if reader.has_hooks else ""
                self._take(results)
                self.timeouts.look(dict(reader.running), nodes)
            code = process.wait()
        except BaseException:
            process.interrupt(patience=PATIENCE)
            raise
        finally:
            self._running = None
            self._say(reader)
        self.check(is_last=True)
        self.space.keep_parsed()
        self._judge(code, reader, left, shown, has_failed=bool(failed))
        self.unfinished = ""

    def _turns(self, process: DbtProcess, reader: EventReader) -> Iterator[list[Finished]]:
        turns = _turns(process, reader, lambda: self._note_begun(reader))
        return _settled(turns, reader, holds=self.space.options.fail_fast)

    def _say(self, reader: EventReader) -> None:
        """Log what dbt said about no node, and where its seconds went."""
        for level, line in reader.said:
            log.log(_LEVELS.get(level, logging.INFO), "%s", line)
        log.info("%s", reader.pace.line())
        self.warned |= {masked(line): None for level, line in reader.said if level == "warn"}

    def _note_begun(self, reader: EventReader) -> None:
        """Tell of microbatch models as soon as dbt begins with them."""
        now = reader.batches.begun()
        if now.keys() - self._begun.keys():
            self._begun |= now
            self.on_begun(self._begun)

    def _take(self, results: list[NodeResult]) -> None:
        try:
            self.check()
        except DbtStopped:
            # What is built is built; what failed may have failed for the same reason.
            self.on_turn([one for one in results if one.is_good])
            raise
        self.on_turn(results)

    def _judge(
        self, code: int, reader: EventReader, left: Mapping[str, PlannedNode], shown: str, *, has_failed: bool
    ) -> None:
        """dbt ends early if it is stopped, or if something beside the nodes fails; the latter also at its end."""
        if not self._is_stopped:
            if code == 0:
                return  # nodes without a result are unknown to dbt: the caller sees it
            if code == 1 and has_failed and self.space.options.fail_fast:
                self.has_failed_fast = True
                left = {}
            if not left:
                if code != 1 or reader.failed_hooks or not has_failed:
                    self.failures.append(masked(_beside_nodes(shown, code, reader)))
                return
        said = masked("\n".join((reader.errors or [text for _, text in reader.said])[-_SAID:]))
        if not self._is_stopped and not has_failed and (known := self.explain("\n".join(reader.errors))):
            known.message = f"{known.message.rstrip('.')}. {shown} did not reach {len(left)} of them."
            raise known
        why = "was stopped" if self._is_stopped else f"ended with code {code}"
        raise DbtStopped(
            f"{shown} {why}; {len(left)} of them were not reached."
            + (f" The first: {next(iter(left))}." if left else "")
            + (f"\ndbt said:\n{said}" if said else ""),
            hint="The task's next try builds what is missing.",
        )

    def _explained(self, node: PlannedNode, message: str, query: str) -> str:
        """What dbt said of a node that is not good, with what was done to it, or what would help."""
        said = self.timeouts.explained(node.unique_id, message, node.timeout)
        grant = self.grant(message, query, node.relation)
        return f"{said}\nTo allow it: {grant}" if grant else said

    def _result(self, node: PlannedNode, one: Finished, verb: tuple[str, ...]) -> NodeResult:
        query = self.space.compiled_sql(node, one.path, batches=one.batches)
        message = one.message if one.status in GOOD else self._explained(node, one.message, query)
        return NodeResult(
            unique_id=node.unique_id,
            task_id=node.task_id,
            kind=node.kind,
            status=one.status,
            message=masked(message),
            invocation_id=one.invocation_id,
            command=by_hand(node, verb, one.batches, target=self.space.target.target),
            built_by=self.built_by,
            started=one.started,
            ended=one.ended,
            seconds=one.seconds,
            rows=one.rows,
            failures=one.failures,
            relation=one.relation,
            materialized=one.materialized,
            lines=masked(one.lines),
            compiled_sql=masked(query),
            batches=one.batches,
        )


def _beside_nodes(shown: str, code: int, reader: EventReader) -> str:
    """What failed when dbt had come to all of its nodes."""
    hooks = "\n".join(f"{uid}: {text}" for uid, text in reader.failed_hooks.items())
    if hooks:
        return f"{shown} ended with code {code}, because {len(reader.failed_hooks)} hooks failed:\n{hooks}"
    said = "\n".join((reader.errors or [text for _, text in reader.said])[-_SAID:])
    return f"{shown} ended with code {code}, although none of its nodes failed.\n{said}".rstrip()


def by_hand(node: PlannedNode, verb: tuple[str, ...], batches: Microbatches | None, *, target: str) -> str:
    """The dbt command line that runs a node again by hand; of a microbatch model, its missing batches.

    Args:
        node: The node.
        verb: What dbt ran.
        batches: Of the model, if some of them are missing.
        target: dbt target.
    """
    shown = "build" if verb == (RETRY,) else " ".join(verb)
    command = node.command(shown, target=target)
    if batches is None:
        return command
    rows = ranges(batches.missing)
    rows = rows if len(rows) <= _COMMANDS else [(rows[0][0], rows[-1][1])]
    windows = [(window(first)[0], window(last)[1]) for first, last in rows]
    return " && ".join(
        f"{command} --event-time-start {start:%Y-%m-%dT%H:%M:%S} --event-time-end {end:%Y-%m-%dT%H:%M:%S}"
        for start, end in windows
    )


def _settled(
    turns: Iterator[list[Finished]], reader: EventReader, *, holds: bool
) -> Iterator[list[Finished]]:
    """The turns. If dbt stops at the first failure, what fails after it comes in the last turn.

    It cancels other nodes then, which it calls errors, and may say that it cancelled one after that one's end.
    """
    held: list[Finished] = []
    has_failed = False
    for turn in turns:
        now: list[Finished] = []
        for one in turn:
            is_bad = holds and one.status not in (*GOOD, SKIPPED)
            (held if is_bad and has_failed else now).append(one)
            has_failed |= is_bad
        yield now
    if held:
        yield [reader.settled(one) for one in held]


def _turns(process: DbtProcess, reader: EventReader, on_line: Callable[[], None]) -> Iterator[list[Finished]]:
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
                on_line()
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
