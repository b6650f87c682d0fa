"""What dbt said about the nodes of a pipeline's runs: kept, and read again."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from goldsmith.errors import EnvironmentProblem
from goldsmith.plan.model import PlannedNode
from goldsmith.results.record import NodeResult
from goldsmith.results.store import ResultStore

log = logging.getLogger(__name__)

KEEP_DAYS = 30.0
"""Age at which the details of a run are deleted."""
_PRUNED_AT_ONCE = 5  # runs; a build is not to wait for more
INCREMENTAL = "incremental"
"""dbt's materialization of all models that it builds in batches."""


class RunResults:
    """The details of the nodes of one pipeline, by run.

    Args:
        path: The results path.
        dag_id: The pipeline.
    """

    def __init__(self, path: str, dag_id: str) -> None:
        self._store = ResultStore(path)
        self._dag_id = dag_id

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
            self._store.write(self._dag_id, run_id, results, append=not is_first)

    def last(self, run_id: str, nodes: Iterable[PlannedNode]) -> dict[str, NodeResult]:
        """Unique id to the latest details of a node, of those that have some which can be read.

        Each task's details are read once.
        """
        wanted = {node.unique_id: node.task_id for node in nodes}
        kept = self.all(run_id, dict.fromkeys(wanted.values()))
        # A task may have other nodes too.
        return {one.unique_id: one for records in kept.values() for one in records if one.unique_id in wanted}

    def last_with_batches(self, run_id: str, nodes: Iterable[PlannedNode]) -> dict[str, NodeResult]:
        """What dbt said last in a run of those nodes that may have batches: a file is read for each."""
        return self.last(run_id, [one for one in nodes if one.materialized == INCREMENTAL])

    def all(self, run_id: str, tasks: Iterable[str]) -> dict[str, tuple[NodeResult, ...]]:
        """Task id to all that dbt said about its nodes, oldest first; empty where that cannot be read."""
        task_ids = list(tasks)
        kept = self._store.read_many(self._dag_id, [(run_id, task_id) for task_id in task_ids])
        return dict(zip(task_ids, kept, strict=True))

    def prune(self) -> None:
        """Delete what is kept of old runs; never a reason to fail."""
        try:
            self._store.prune(self._dag_id, keep_days=KEEP_DAYS, limit=_PRUNED_AT_ONCE)
        except EnvironmentProblem as error:
            log.warning("Details of old runs could not be deleted: %s", error)
