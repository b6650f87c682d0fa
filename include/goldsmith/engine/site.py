"""Where a pipeline's builds run: its plan, its dbt target, its results, and the right to be the only writer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property

from airflow.sdk import Context
from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

from goldsmith.engine.invocation import Invocations
from goldsmith.engine.marks import States
from goldsmith.engine.workspace import DbtTarget, workspace
from goldsmith.errors import EnvironmentProblem
from goldsmith.plan.graph import PlanGraph
from goldsmith.plan.model import Plan
from goldsmith.results.record import NodeResult
from goldsmith.results.store import ResultStore
from goldsmith.warehouse.cancel import end_sessions
from goldsmith.warehouse.rows import sample_rows
from goldsmith.warehouse.tags import session_tag
from goldsmith.warehouse.writer import writer

log = logging.getLogger(__name__)

_SAMPLES = 20  # tests of one build whose failing rows are fetched
_SAMPLE_TIME = 10.0
_RED = {"fail", "warn"}


@dataclass
class Site:
    """What all builds of a pipeline share.

    Args:
        load_plan: Gives the pipeline's plan; called when a task runs, not while the DAG file is parsed.
        target: The dbt project, its target and connection.
        results_path: Where the details of nodes are kept.
        failing_rows: How many failing rows of a test are kept; 0 for none.
        run_timeout: The run's time limit.
    """

    load_plan: Callable[[], Plan]
    target: DbtTarget
    results_path: str
    failing_rows: int
    run_timeout: timedelta

    @cached_property
    def graph(self) -> PlanGraph:
        """The plan."""
        return PlanGraph(self.load_plan())

    @cached_property
    def results(self) -> ResultStore:
        """The details of nodes."""
        return ResultStore(self.results_path)

    def session(self, run_id: str, task_id: str) -> str:
        """The tag of the sessions that dbt opens in the warehouse for a task."""
        return session_tag(self.target.dag_id, run_id, task_id)

    def end_sessions(self, run_id: str, task_id: str) -> None:
        """End what a task has left running in the warehouse."""
        ended = end_sessions(self.target.connection, self.session(run_id, task_id), timeout=3.0)
        if ended:
            log.warning(
                "Ended %d sessions in the warehouse that an earlier try of %s had left", ended, task_id
            )

    @contextmanager
    def only_writer(self, context: Context, task_id: str, *, is_alone: bool = True) -> Iterator[None]:
        """Keep other runs from writing the target's schemas, and wait while one does.

        Args:
            context: Of the task.
            task_id: The task.
            is_alone: Keep also the other tasks of this run out.
        """
        run_id = context["run_id"]
        self.end_sessions(run_id, task_id)
        with writer(
            self.target.connection,
            target=self.target.writes_to,
            run=f"{self.target.dag_id}/{run_id}",
            exclusive=is_alone,
            on_wait=log.info,
        ):
            yield

    @contextmanager
    def dbt(self, run_id: str, task_id: str) -> Iterator[Invocations]:
        """dbt, ready to be run for a task."""
        with workspace(self.target, session=self.session(run_id, task_id)) as space:
            yield Invocations(space=space, built_by=task_id, on_turn=lambda _: None)

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

    def last_result(self, run_id: str, task_id: str) -> NodeResult | None:
        """The latest details of a node; None where there are none that can be read."""
        try:
            found = self.results.read(self.target.dag_id, run_id, task_id)
        except EnvironmentProblem as error:
            log.warning("%s", error)
            return None
        return found[-1] if found else None

    def states(self, run_id: str) -> States:
        """The states of all tasks of a run; what has not started has none."""
        found = RuntimeTaskInstance.get_task_states(dag_id=self.target.dag_id, run_ids=[run_id])
        return dict(found.get(run_id, {}))

    def sampler(self) -> Callable[[NodeResult], NodeResult]:
        """Adds failing rows to the details of a red or warning test, to those of the first few."""
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
