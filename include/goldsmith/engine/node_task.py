"""The task of one node in the shared engine, where it runs on a worker: because it was not marked.

Either the build came to the node, and the task reports what dbt said; or the task is a retry or was cleared, and the
node is built, together with what waits below it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from goldsmith.deadline import bounded, no_late_retry
from goldsmith.engine.assets import updated_alone
from goldsmith.engine.batch import SKIPPED, Batch
from goldsmith.engine.build import left_by
from goldsmith.engine.heal import Heal, built_together, is_after
from goldsmith.engine.invocation import Invocations
from goldsmith.engine.report import report
from goldsmith.engine.site import Site
from goldsmith.engine.state import BuildState, StateStore
from goldsmith.plan.model import PlannedNode
from goldsmith.results.record import NodeResult

_SEEN = "seen"
_KEPT = 20


class NodeTask(BaseOperator):
    """One dbt node.

    Args:
        node: The node.
        site: Where it is built.
    """

    execution_timeout: timedelta | None

    def __init__(self, *, node: PlannedNode, site: Site, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.node = node
        self.site = site
        self._dbt: Invocations | None = None
        self._run_id = ""

    def pre_execute(self, context: Context) -> None:
        """Cut the task's time limit to what is left of the run's."""
        limit = self.site.run_timeout
        own = self.execution_timeout or limit
        self.execution_timeout = bounded(own, run_started=context["dag_run"].start_date, run_timeout=limit)
        self._run_id = context["run_id"]
        self.log.info("dbt node %s", self.node.unique_id)

    def execute(self, context: Context) -> str:
        """Report what dbt said about the node, or build it.

        Returns:
            dbt's status.

        Raises:
            NodeFailed: dbt says that the node failed.
            AirflowFailException: It cannot be known, or a retry would come after the run's time.
        """
        started = context["dag_run"].start_date
        with no_late_retry(self.retry_delay, run_started=started, run_timeout=self.site.run_timeout):
            return self._execute(context)

    def on_kill(self) -> None:
        """Let dbt cancel its queries, and end what is left of them in the warehouse."""
        if self._dbt is not None:
            self._dbt.stop()
            self.site.end_sessions(self._run_id, self.task_id)

    def _execute(self, context: Context) -> str:
        build = self._build(context)
        store = cast("StateStore", context["task_state_store"])
        began = _made(context["ti"].id)
        status = self._news(build, store, began)
        if status is None:
            with self.site.only_writer(context, self.task_id):
                # While this task waited, another one may have built its node.
                status = self._news(build, store, began) or self._heal(build, began)
        return report(self.node, status, self._last_result(), self.log)

    def _build(self, context: Context) -> BuildState:
        """What the build of this node left behind."""
        try:
            found = left_by(self.node.build, context)
        except ValueError:
            found = None
        if found is None:
            raise AirflowFailException(
                f"{self.node.build} has left no results: it was marked as successful by hand, or its results were "
                "deleted, so nobody knows what dbt built. Clear it with its downstream to build this layer."
            )
        return found

    def _news(self, build: BuildState, store: StateStore, began: datetime) -> str | None:
        """dbt's status of the node, where this task has still to report it; None where it has to be built.

        Args:
            build: What the build of this node left behind.
            store: What this task has reported.
            began: When this attempt of the task was made. What another task has built before that is no news: it was
                shown by a mark, and then this task was cleared.
        """
        seen = list(store.get(_SEEN) or [])
        last = self._last_result()
        if last and last.is_news and last.invocation_id not in seen:
            store.set(_SEEN, [*seen, build.build_id, last.invocation_id][-_KEPT:])
            return last.status if is_after(last, began) else None
        uid = self.node.unique_id
        status = build.statuses.get(uid)
        if status is None or uid in build.settled or build.build_id in seen:
            return None
        store.set(_SEEN, [*seen, build.build_id][-_KEPT:])
        return None if status == SKIPPED else status

    def _heal(self, build: BuildState, began: datetime) -> str:
        """Build the node with all that waits for it and for nothing else."""
        states = self.site.states(self._run_id)
        others = built_together(self.node, build, states, self.site, self._run_id, began=began)
        if others:
            self.log.info("Building %d nodes that wait below with it: %s", len(others), _named(others))
        heal = Heal(site=self.site, run_id=self._run_id, others=others)
        state = BuildState(build_id=uuid.uuid4().hex, max_tries=0)
        with self.site.dbt(self._run_id, self.task_id) as self._dbt:
            Batch(
                graph=self.site.graph,
                dbt=self._dbt,
                keep=heal.keep,
                state=state,
                save=lambda _: None,
                marker=None,
                sample=self.site.sampler(),
            ).build([self.node, *others.values()])
        heal.show()
        self.outlets = list(updated_alone(heal.built(), states, task_id=self.task_id))
        return state.statuses[self.node.unique_id]

    def _last_result(self) -> NodeResult | None:
        return self.site.last_result(self._run_id, self.task_id)


def _made(attempt: UUID) -> datetime:
    """When Airflow made an attempt of a task: each has an id of its own, a UUID of version 7, which begins with it."""
    return datetime.fromtimestamp((attempt.int >> 80) / 1000, UTC)


def _named(nodes: Mapping[str, PlannedNode]) -> str:
    names = [node.name for node in nodes.values()]
    return ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
