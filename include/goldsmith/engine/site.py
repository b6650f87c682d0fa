"""Where a pipeline's builds run: its plan, its dbt target, its results, and the right to be the only writer."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from airflow.sdk import Context

from goldsmith.airflow_pages import dag_page, run_page
from goldsmith.engine.dbt.invocation import Invocations
from goldsmith.engine.dbt.timeouts import NodeTimeouts
from goldsmith.engine.dbt.workspace import SESSION_VARIABLE, DbtTarget, Workspace, workspace
from goldsmith.engine.task_states import task_states
from goldsmith.errors import DbtStopped, EnvironmentProblem, GoldsmithError
from goldsmith.plan.graph import PlanGraph, States
from goldsmith.plan.model import Plan, PlannedNode
from goldsmith.results.record import NodeResult
from goldsmith.results.store import ResultStore
from goldsmith.settings import airflow_url
from goldsmith.spec.gate import Gate
from goldsmith.spec.run import RunOptions
from goldsmith.warehouse.tags import session_tag

if TYPE_CHECKING:
    from goldsmith.warehouse.writer import Writer

# What talks to the warehouse is imported where it is used: a DAG file is parsed without its driver.

log = logging.getLogger(__name__)

KEEP_DAYS = 30.0
"""Age at which the details of a run are deleted."""
_PRUNED_AT_ONCE = 5  # runs; a build is not to wait for more
# Seconds, in a signal handler: dbt had its own before, and after 5 in all Airflow kills the task.
_END_TIME = 1.2
_LEFTOVERS_TIME = 20.0
_LOOK_EVERY = 2.0
_SAMPLES = 20  # tests of one build whose failing rows are fetched
_SAMPLE_TIME = 10.0
_RED = {"fail", "warn"}
INCREMENTAL = "incremental"
"""dbt's materialization of all models that it builds in batches."""


@dataclass
class Site:
    """What all builds of a pipeline share.

    Args:
        load_plan: Gives the pipeline's plan; called when a task runs, not while the DAG file is parsed.
        target: The dbt project, its target and connection.
        results_path: Where the details of nodes are kept.
        failing_rows: How many failing rows of a test are kept; 0 for none.
        run_timeout: The run's time limit.
        gates: Layer to what its gate lets through, of those that have limits.
        freshness: What a stale source does: `block`, `warn` or `skip`.
        compared_with: The manifest that `state:` in a run's selection means.
        window: Length of time that each run by the clock covers.
        lasted: Gives unique id to how long dbt took for a node the last time, in seconds.
        on_slow: Called with a run's id, a node that takes longer than it should, and what is said of it.
    """

    load_plan: Callable[[], Plan]
    target: DbtTarget
    results_path: str
    failing_rows: int
    run_timeout: timedelta
    gates: Mapping[str, Gate] = field(default_factory=dict)
    freshness: str = "block"
    compared_with: Path | None = None
    window: timedelta | None = None
    lasted: Callable[[], Mapping[str, float]] = dict
    on_slow: Callable[[str, PlannedNode, str], None] | None = None
    _writer: Writer | None = field(default=None, init=False)
    _looked: float = field(default=0.0, init=False)

    @cached_property
    def graph(self) -> PlanGraph:
        """The plan."""
        return PlanGraph(self.load_plan())

    @property
    def schema(self) -> str:
        """dbt's target schema, where what is not a model of the project stands."""
        return str(self.target.profile_args.get("schema", ""))

    @property
    def can_tolerate(self) -> bool:
        """Whether a run may end green although something in it is red."""
        return bool(self.gates) or self.freshness == "skip"

    @cached_property
    def results(self) -> ResultStore:
        """The details of nodes."""
        return ResultStore(self.results_path)

    def session(self, run_id: str, task_id: str) -> str:
        """The tag of the sessions that dbt opens in the warehouse for a task."""
        return session_tag(self.target.dag_id, run_id, task_id)

    def run_url(self, run_id: str) -> str:
        """The page of a run in Airflow."""
        return run_page(airflow_url(), self.target.dag_id, run_id)

    def named_run(self, run_id: str) -> dict[str, str]:
        """What tells dbt's packages which run it is: the variables that Elementary reads."""
        return {
            "ORCHESTRATOR": "airflow",
            "JOB_ID": self.target.dag_id,
            "JOB_NAME": self.target.dag_id,
            "JOB_RUN_ID": run_id,
            "JOB_URL": dag_page(airflow_url(), self.target.dag_id),
            "JOB_RUN_URL": self.run_url(run_id),
            "DBT_ENV": self.target.target,
        }

    def end_sessions(self, run_id: str, task_id: str) -> None:
        """End what a task runs in the warehouse, as far as that goes in the time a signal handler has.

        It says nothing: the handler may have interrupted a line that was being logged.
        """
        from goldsmith.warehouse.cancel import end_sessions

        with contextlib.suppress(EnvironmentProblem):
            end_sessions(self.target.connection, self.session(run_id, task_id), timeout=_END_TIME)

    def _end_lost_try(self, run_id: str, task_id: str) -> None:
        """End what an earlier try has left in the warehouse, dbt's queries first, then its right to write."""
        from goldsmith.warehouse.cancel import end_sessions

        tags = self.session(run_id, task_id), self._writer_session(run_id, task_id)
        ended = [end_sessions(self.target.connection, tag, timeout=_LEFTOVERS_TIME) for tag in tags]
        if any(ended):
            log.warning(
                "Ended %d sessions in the warehouse that an earlier try of %s had left", sum(ended), task_id
            )

    def _writer_session(self, run_id: str, task_id: str) -> str:
        return session_tag(self.target.dag_id, run_id, f"{task_id} writer")

    @contextmanager
    def only_writer(self, context: Context, task_id: str, *, is_alone: bool = True) -> Iterator[None]:
        """Keep other runs from writing the target's schemas, and wait while one does.

        Args:
            context: Of the task.
            task_id: The task.
            is_alone: Keep also the other tasks of this run out.
        """
        from goldsmith.warehouse.writer import writer

        run_id = context["run_id"]
        self._end_lost_try(run_id, task_id)
        with writer(
            self.target.connection,
            target=self.target.writes_to,
            run=f"{self.target.dag_id}/{run_id}",
            exclusive=is_alone,
            on_wait=log.info,
            tag=self._writer_session(run_id, task_id),
        ) as self._writer:
            yield

    @contextmanager
    def workspace(self, run_id: str, task_id: str, options: RunOptions) -> Iterator[Workspace]:
        """A folder for dbt commands of a task."""
        from goldsmith.warehouse.watch import OPTIONS_VARIABLE, watched_options

        watched = watched_options(self.target.connection)
        with workspace(
            self.target,
            session=self.session(run_id, task_id),
            env=self.named_run(run_id) | ({OPTIONS_VARIABLE: watched} if watched else {}),
            options=options,
        ) as space:
            yield space

    @contextmanager
    def dbt(self, run_id: str, task_id: str, options: RunOptions) -> Iterator[Invocations]:
        """dbt, ready to be run for a task that is the writer, and stopped where it no longer is."""
        from goldsmith.warehouse.cancel import cancel_node

        with self.workspace(run_id, task_id, options) as space:
            yield Invocations(
                space=space,
                built_by=task_id,
                on_turn=lambda _: None,
                check=self._must_be_writer,
                freshness=self.freshness,
                timeouts=NodeTimeouts(
                    cancel=partial(cancel_node, self.target.connection, space.env[SESSION_VARIABLE]),
                    tell=partial(self.tell_slow, run_id),
                ),
            )

    def tell_slow(self, run_id: str, node: PlannedNode, seconds: float) -> None:
        """Say in the log, as a note on the run and to whoever has alerts that a node takes long."""
        from goldsmith.engine.access import airflow_api

        limit = timedelta(seconds=node.slow_after)
        text = f"Slow: {node.name} runs for more than {limit} ({node.task_id})."
        log.warning("%s It has run for %.0f s.", text, seconds)
        try:
            with airflow_api() as api:
                api.note_on_run(self.target.dag_id, run_id, text)
        except GoldsmithError as error:
            log.info("No note was put on the run: %s", error)
        if self.on_slow is not None:
            self.on_slow(run_id, node, text)

    def _must_be_writer(self, *, is_last: bool = False) -> None:
        """Ask the warehouse once in a while whether this task is still the writer.

        Args:
            is_last: dbt has ended: a server that went away and came back took the right with it, and whatever dbt
                said of nodes since then is about the server, not about them.

        Raises:
            DbtStopped: It is not.
        """
        now = time.monotonic()
        if self._writer is None or (not is_last and now - self._looked < _LOOK_EVERY):
            return
        self._looked = now
        if not self._writer.is_held():
            raise DbtStopped(
                "The warehouse has ended the session that made this task the only writer: it was restarted, or "
                "somebody ended the session. What dbt reported as failed since then is built again.",
                hint="The task's next try builds what is missing.",
            )

    def prune(self) -> None:
        """Delete what is kept of old runs; never a reason to fail."""
        try:
            self.results.prune(self.target.dag_id, keep_days=KEEP_DAYS, limit=_PRUNED_AT_ONCE)
        except EnvironmentProblem as error:
            log.warning("Details of old runs could not be deleted: %s", error)

    def keep(self, run_id: str, results: list[NodeResult], *, is_first: bool = False) -> None:
        """Keep details.

        Args:
            run_id: The run.
            results: The details.
            is_first: Whether none of these nodes has details from before in this run.

        Raises:
            EnvironmentProblem: The results path cannot be written.
        """
        if results:
            self.results.write(self.target.dag_id, run_id, results, append=not is_first)

    def last_results(self, run_id: str, nodes: Iterable[PlannedNode]) -> dict[str, NodeResult]:
        """Unique id to the latest details of a node, of those that have some which can be read.

        Each task's details are read once.
        """
        kept = self.records(run_id, dict.fromkeys(node.task_id for node in nodes))
        return {one.unique_id: one for records in kept.values() for one in records}

    def records(self, run_id: str, tasks: Iterable[str]) -> dict[str, tuple[NodeResult, ...]]:
        """Task id to all that dbt said about its nodes, oldest first; empty where that cannot be read."""
        task_ids = list(tasks)
        kept = self.results.read_many(self.target.dag_id, [(run_id, task_id) for task_id in task_ids])
        return dict(zip(task_ids, kept, strict=True))

    def states(self, run_id: str, task_ids: list[str] | None = None) -> States:
        """The states of all tasks of a run, or of some; what has not started has none."""
        return task_states(self.target.dag_id, run_id, task_ids)

    def lasts_with_batches(self, run_id: str, nodes: Iterable[PlannedNode]) -> dict[str, NodeResult]:
        """What dbt said last in a run of those nodes that may have batches: a file is read for each."""
        return self.last_results(run_id, [one for one in nodes if one.materialized == INCREMENTAL])

    def sampler(self) -> Callable[[NodeResult], NodeResult]:
        """Adds failing rows to the details of a red or warning test, to those of the first few."""
        from goldsmith.warehouse.rows import sample_rows

        taken = 0

        def sample(result: NodeResult) -> NodeResult:
            nonlocal taken
            if result.kind != "test" or result.status not in _RED or not result.compiled_sql:
                return result
            if self.failing_rows == 0 or taken >= _SAMPLES:
                return result
            taken += 1
            rows = sample_rows(
                self.target.connection, result.compiled_sql, limit=self.failing_rows, timeout=_SAMPLE_TIME
            )
            return replace(result, failing_rows=rows)

        return sample
