"""Nodes that one task builds together, with everything that is kept and shown about them."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from goldsmith.dbt.error_class import shared_reason
from goldsmith.engine.build_state import MISSING, BuildState
from goldsmith.engine.dbt.invocation import Invocations
from goldsmith.engine.dbt.retried import missing_of
from goldsmith.engine.rebuilt import REBUILT
from goldsmith.engine.sampling import Sampler
from goldsmith.errors import EnvironmentProblem
from goldsmith.plan.graph import PlanGraph
from goldsmith.plan.model import PlannedNode
from goldsmith.results.microbatch import Microbatches
from goldsmith.results.record import GOOD, SKIPPED, WARN, NodeResult

log = logging.getLogger(__name__)

FLUSH_EVERY = 2.0
"""Seconds between two marks while dbt runs; what was done since is what a lost task may have to build again."""


class Keep(Protocol):
    """Takes the details of finished nodes."""

    def __call__(self, results: list[NodeResult], *, is_more: bool) -> None:
        """Keep them; `is_more` where details of the same tasks were kept before."""


class Shows(Protocol):
    """Shows finished nodes in Airflow; see `goldsmith.engine.shared.marks`."""

    def add_times(self, task_id: str, started: str, ended: str) -> None:
        """Take in when dbt began and ended a node of a task."""

    def mark(self, task_ids: Iterable[str]) -> bool:
        """Set tasks to success; whether that was possible."""

    def say_warnings(self, results: Iterable[NodeResult]) -> None:
        """Put a note on the tasks of tests that warn."""


@dataclass
class Batch:
    """One task's nodes on their way through dbt.

    Args:
        graph: The plan.
        dbt: Runs dbt.
        keep: Takes the details of finished nodes.
        state: Filled with a status for each node.
        save: Keeps the state; called about every two seconds.
        begin: Keeps the batches of the microbatch models that dbt has begun with; called on another thread, at once.
        marker: Shows finished nodes while dbt runs; None where nothing is shown before the end.
        sampler: Gives the details of failed and warning tests a sample of their failing rows.
    """

    graph: PlanGraph
    dbt: Invocations
    keep: Keep
    state: BuildState
    save: Callable[[BuildState], None]
    begin: Callable[[Mapping[str, Microbatches]], None]
    marker: Shows | None
    sampler: Sampler
    _begun: set[str] = field(default_factory=set)
    """Ids of the tasks of which details were kept."""
    _unwritten: list[NodeResult] = field(default_factory=list)
    _unmarked: list[str] = field(default_factory=list)
    _warnings: list[NodeResult] = field(default_factory=list)
    _flushed: float = field(default_factory=time.monotonic)
    _reasons: set[str] = field(default_factory=set)
    """Why nodes failed, of reasons that are no node's own."""
    _left: set[str] = field(default_factory=set)
    """Unique ids of the nodes that dbt has not finished."""

    def build(self, nodes: Sequence[PlannedNode], *, left_out: Iterable[str] = ()) -> None:
        """Build the nodes: first the freshness of sources, then all that is not below a stale one.

        Args:
            nodes: What to build.
            left_out: Ids of tasks among them that lie below something that failed before.

        Raises:
            DbtStopped: dbt did not get to every node; what it did get to is kept.
        """
        self.dbt.on_turn, self.dbt.on_batches, self.dbt.on_begun = self._turn, self._take_batches, self._begin
        self._left = {node.unique_id for node in nodes}
        below = set(left_out)
        sources = [node for node in nodes if node.kind == "source" and node.task_id not in below]
        try:
            self.dbt.run("source freshness", sources)
            red = [node.task_id for node in sources if node.unique_id not in self.state.good()]
            below |= {*red, *self.graph.held_back(red)}  # of a stale source's own task: its tests
            self._build([node for node in nodes if node.kind != "source" and node.task_id not in below])
            if self.sampler.waits:
                self._flush()  # asking may take long, and be stopped
                self._unwritten += self.sampler.at_last()
        finally:
            self._flush()
        if self.marker is not None:
            self.marker.say_warnings(self._warnings)
        for node in nodes:
            if node.unique_id not in self.state.statuses:
                is_held = node.task_id in below or self.dbt.has_failed_fast
                status = SKIPPED if is_held else MISSING
                self.state.statuses[node.unique_id] = status
        counts = Counter(self.state.statuses[node.unique_id] for node in nodes)
        log.info("dbt: %s", ", ".join(f"{number} {status}" for status, number in sorted(counts.items())))

    def _build(self, nodes: Sequence[PlannedNode]) -> None:
        """Build with one dbt command; models of which only batches are missing come in commands of their own.

        These cannot share a command with others: dbt builds single batches only as a retry, and that without
        `--full-refresh`. What lies below them comes after them.
        """
        left = list(nodes)
        self._plan_anew(left)
        while left:
            models = [node for node in left if self._missing(node) is not None]
            tasks = {node.task_id for node in models}
            below = self.graph.below(tasks)
            now = [
                node
                for node in left
                if node.task_id not in below and (node.task_id not in tasks or node.kind == "unit_test")
            ]
            self.dbt.run("build", now if any(node.kind != "unit_test" for node in now) else ())
            self._run_unit_tests(now)
            models = [node for node in models if node.task_id not in below]
            self._retry(self._held_back(models))
            done = {node.unique_id for node in (*now, *models)}
            left = self._held_back([node for node in left if node.unique_id not in done])
            if self.dbt.space.options.fail_fast and self._red():
                self.state.statuses.update({node.unique_id: SKIPPED for node in left})
                return

    def _plan_anew(self, nodes: Sequence[PlannedNode]) -> None:
        """Build all batches of a model, also those that are built, if something that it reads is built again."""
        below = self.graph.below({node.task_id for node in nodes if node.kind in REBUILT})
        for node in nodes:
            batches = self.state.batches.get(node.unique_id)
            if batches is not None and node.task_id in below:
                self.state.batches[node.unique_id] = batches.anew()

    def _retry(self, models: Sequence[PlannedNode]) -> None:
        missing = {node.unique_id: one for node in models if (one := self._missing(node)) is not None}
        self.dbt.retry(missing, models)

    def _missing(self, node: PlannedNode) -> Microbatches | None:
        """The batches of a model that is to get only those that are missing."""
        batches = self.state.batches.get(node.unique_id)
        return missing_of(node, batches, is_full_refresh=self.dbt.space.options.full_refresh)

    def _red(self) -> set[str]:
        """Ids of the tasks of nodes that did not go well."""
        bad = self.state.statuses.keys() - self.state.good()
        return {self.graph.task_of[uid] for uid in bad if uid in self.graph.task_of}

    def _held_back(self, nodes: Iterable[PlannedNode]) -> list[PlannedNode]:
        """The nodes without those that failed nodes hold back, which are skipped."""
        red = self._red()
        below = red | self.graph.held_back(red)
        held = [node.unique_id for node in nodes if node.task_id in below]
        self.state.statuses.update(dict.fromkeys(held, SKIPPED))
        return [node for node in nodes if node.task_id not in below]

    def _run_unit_tests(self, nodes: Sequence[PlannedNode]) -> None:
        """Run the unit tests that `dbt build` leaves out: of models it did not build, ephemeral ones among them."""
        known, good = self.state.statuses, self.state.good()
        red = [node.task_id for node in nodes if node.unique_id in known and node.unique_id not in good]
        below = {*red, *self.graph.held_back(red)}
        left = [node for node in nodes if node.kind == "unit_test" and node.unique_id not in known]
        self.state.statuses.update({node.unique_id: SKIPPED for node in left if node.task_id in below})
        self.dbt.run("test", [node for node in left if node.task_id not in below])

    def _take_batches(self, batches: Mapping[str, Microbatches]) -> None:
        self.state.batches.update(batches)

    def _begin(self, batches: Mapping[str, Microbatches]) -> None:
        with _tolerant():
            self.begin(batches)

    def _turn(self, finished: list[NodeResult]) -> None:
        for result in finished:
            self._left.discard(result.unique_id)
            self.state.statuses[result.unique_id] = result.status
            self.state.batches.pop(result.unique_id, None)
            if result.batches is not None:
                self.state.batches[result.unique_id] = result.batches
            self._unwritten.append(self.sampler.now(result))
            if result.status == WARN:
                self._warnings.append(result)
            if result.is_good:
                self._good(result)
            elif result.status != SKIPPED:
                self._log_failure(result)
        if time.monotonic() - self._flushed >= FLUSH_EVERY:
            self._flush()
            # The last marks come when dbt has ended, together with the verdict on the layer. Marked before, they let
            # the scheduler start the gate's task while dbt still runs its hooks.
            if self.marker is not None and self._left and self.marker.mark(self._unmarked):
                self._unmarked = []

    def _log_failure(self, result: NodeResult) -> None:
        """Say why a node failed; of what is no node's own the reason once, and then the nodes' names."""
        reason = shared_reason(result.message)
        said = "as above" if reason and reason in self._reasons else result.message
        self._reasons.add(reason)
        log.warning("%s %s: %s", result.status.upper(), result.unique_id, said)

    def _good(self, result: NodeResult) -> None:
        """A task is done when all its nodes are, and took from the first one's start to the last one's end."""
        task_id = result.task_id
        if self.marker is not None:
            self.marker.add_times(task_id, result.started, result.ended)
        if all(self.state.statuses.get(node.unique_id) in GOOD for node in self.graph.tasks[task_id]):
            self._unmarked.append(task_id)

    def _flush(self) -> None:
        """Keep what there is; where that fails now, the next time keeps it too.

        The details do not need the API server, and are what tells afterwards that a green node was built. So they come
        before the state, by which a next try knows what it need not build.
        """
        self._flushed = time.monotonic()
        self.state.failure = self.dbt.failure
        with _tolerant():
            self._keep(is_more=True)
            self._keep(is_more=False)
        with _tolerant():
            self.save(self.state)

    def _keep(self, *, is_more: bool) -> None:
        """Keep the details of tasks of which some were kept before, or of the others."""
        some = [one for one in self._unwritten if (one.task_id in self._begun) == is_more]
        others = [one for one in self._unwritten if (one.task_id in self._begun) != is_more]
        self.keep(some, is_more=is_more)
        self._unwritten = others
        self._begun.update(one.task_id for one in some)


@contextmanager
def _tolerant() -> Iterator[None]:
    try:
        yield
    except EnvironmentProblem as error:
        log.warning("Progress could not be kept: %s", error)
    except Exception as error:  # noqa: BLE001 - Airflow's errors share no base; the API server may be away for a while
        log.warning("Progress could not be kept: %s: %s", type(error).__name__, error)
