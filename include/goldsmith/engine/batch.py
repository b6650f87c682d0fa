"""Nodes that one task builds together, with everything that is kept and shown about them."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from goldsmith.engine.invocation import Invocations
from goldsmith.engine.marks import WARN, Marker
from goldsmith.engine.state import BuildState
from goldsmith.errors import EnvironmentProblem
from goldsmith.plan.graph import PlanGraph
from goldsmith.plan.model import PlannedNode
from goldsmith.results.record import GOOD, NodeResult

log = logging.getLogger(__name__)

FLUSH_EVERY = 2.0  # seconds: what a lost task may have to build again
SKIPPED = "skipped"
MISSING = "missing"
"""Status of a node that the project, as dbt reads it, does not have."""


class Keep(Protocol):
    """Takes the details of finished nodes."""

    def __call__(self, results: list[NodeResult], *, is_more: bool) -> None:
        """Keep them; `is_more` where details of the same tasks were kept before."""


@dataclass
class Batch:
    """One task's nodes on their way through dbt.

    Args:
        graph: The plan.
        dbt: Runs dbt.
        keep: Takes the details of finished nodes.
        state: Filled with a status for each node.
        save: Keeps the state; called about every two seconds.
        marker: Shows finished nodes while dbt runs; None where nothing is shown before the end.
        sample: Gives the details of a failed or warning test a sample of its failing rows.
    """

    graph: PlanGraph
    dbt: Invocations
    keep: Keep
    state: BuildState
    save: Callable[[BuildState], None]
    marker: Marker | None
    sample: Callable[[NodeResult], NodeResult]
    _begun: set[str] = field(default_factory=set)
    """Ids of the tasks of which details were kept."""
    _unwritten: list[NodeResult] = field(default_factory=list)
    _unmarked: list[str] = field(default_factory=list)
    _warnings: list[NodeResult] = field(default_factory=list)
    _flushed: float = field(default_factory=time.monotonic)

    def build(self, nodes: Sequence[PlannedNode], *, left_out: Iterable[str] = ()) -> None:
        """Build the nodes: first the freshness of sources, then all that is not below a stale one.

        Args:
            nodes: What to build.
            left_out: Ids of tasks among them that lie below something that failed before.

        Raises:
            DbtStopped: dbt did not get to every node; what it did get to is kept.
        """
        self.dbt.on_turn = self._turn
        below = set(left_out)
        sources = [node for node in nodes if node.kind == "source" and node.task_id not in below]
        try:
            self.dbt.run("source freshness", sources)
            red = [node.task_id for node in sources if node.unique_id not in self.state.good()]
            below |= {*red, *self.graph.below(red)}  # of a stale source's own task: its tests
            rest = [node for node in nodes if node.kind != "source" and node.task_id not in below]
            self.dbt.run("build", rest if any(node.kind != "unit_test" for node in rest) else ())
            self._run_unit_tests(rest)
        finally:
            self._flush()
        if self.marker is not None:
            self.marker.say_warnings(self._warnings)
        for node in nodes:
            if node.unique_id not in self.state.statuses:
                status = SKIPPED if node.task_id in below else MISSING
                self.state.statuses[node.unique_id] = status
        counts = Counter(self.state.statuses[node.unique_id] for node in nodes)
        log.info("dbt: %s", ", ".join(f"{number} {status}" for status, number in sorted(counts.items())))

    def _run_unit_tests(self, nodes: Sequence[PlannedNode]) -> None:
        """Run the unit tests that `dbt build` leaves out: of models it did not build, ephemeral ones among them."""
        known, good = self.state.statuses, self.state.good()
        red = [node.task_id for node in nodes if node.unique_id in known and node.unique_id not in good]
        below = {*red, *self.graph.below(red)}
        left = [node for node in nodes if node.kind == "unit_test" and node.unique_id not in known]
        self.state.statuses.update({node.unique_id: SKIPPED for node in left if node.task_id in below})
        self.dbt.run("test", [node for node in left if node.task_id not in below])

    def _turn(self, finished: list[NodeResult]) -> None:
        for result in finished:
            self.state.statuses[result.unique_id] = result.status
            self._unwritten.append(self.sample(result))
            if result.status == WARN:
                self._warnings.append(result)
            if result.is_good:
                self._good(result)
            elif result.status != SKIPPED:
                log.warning("%s %s: %s", result.status.upper(), result.unique_id, result.message)
        if time.monotonic() - self._flushed >= FLUSH_EVERY:
            self._flush()
            if self.marker is not None and self.marker.mark(self._unmarked):
                self._unmarked = []

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
