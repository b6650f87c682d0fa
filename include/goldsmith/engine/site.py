"""Where a pipeline's builds run: its plan, its dbt target, its results, and the right to be the only writer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path

from goldsmith.engine.dbt.workspace import DbtTarget
from goldsmith.engine.kept_results import RunResults
from goldsmith.engine.only_writer import OnlyWriter
from goldsmith.engine.task_states import task_states
from goldsmith.plan.graph import PlanGraph, States
from goldsmith.plan.model import Plan, PlannedNode
from goldsmith.spec.gate import Gate


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
        ingested: What the pipeline loads from raw files, as `schema.table`.
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
    ingested: tuple[str, ...] = ()
    compared_with: Path | None = None
    window: timedelta | None = None
    lasted: Callable[[], Mapping[str, float]] = dict
    on_slow: Callable[[str, PlannedNode, str], None] | None = None

    @cached_property
    def graph(self) -> PlanGraph:
        """The plan."""
        return PlanGraph(self.load_plan())

    @property
    def schema(self) -> str:
        """dbt's target schema, where what is not a model of the project stands."""
        return self.target.schema

    @property
    def can_tolerate(self) -> bool:
        """Whether a run may end green although something in it is red."""
        return bool(self.gates) or self.freshness == "skip"

    @cached_property
    def results(self) -> RunResults:
        """What dbt said about nodes."""
        return RunResults(self.results_path, self.target.dag_id)

    @cached_property
    def writer(self) -> OnlyWriter:
        """The right of its tasks to be the only writer."""
        return OnlyWriter(self.target)

    def states(self, run_id: str, task_ids: list[str] | None = None) -> States:
        """The states of all tasks of a run, or of some; what has not started has none."""
        return task_states(self.target.dag_id, run_id, task_ids)
