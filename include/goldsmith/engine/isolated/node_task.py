"""The task of a node in the isolated engine: one dbt process."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random

from goldsmith.dbt.error_class import CANCELLED
from goldsmith.engine.assets import updated_alone
from goldsmith.engine.batch import Batch
from goldsmith.engine.build_state import BuildState, StateStore
from goldsmith.engine.dbt.invocation import BUILD, Invocations, by_hand
from goldsmith.engine.kept_results import INCREMENTAL
from goldsmith.engine.rebuilt import is_rebuilt_since
from goldsmith.engine.sampling import Sampler
from goldsmith.engine.site import Site
from goldsmith.engine.task_dbt import dbt_for, name_what_is_missing
from goldsmith.engine.task_end import NodeFailed, failure_of, report
from goldsmith.errors import DbtStopped, EnvironmentProblem
from goldsmith.plan.model import PlannedNode
from goldsmith.results.record import FAILED, GOOD, NodeResult
from goldsmith.run_limit import bounded
from goldsmith.spec.run import RunOptions

_CLASH = 'violates unique constraint "pg_namespace_nspname_index"'
_CLASHES = 4


class IsolatedTask(BaseOperator):
    """One dbt node, bounded by the run's time limit.

    Args:
        node: The node.
        site: Where it runs.
        dbt: Makes dbt ready for a task.
    """

    execution_timeout: timedelta | None

    def __init__(
        self,
        *,
        node: PlannedNode,
        site: Site,
        dbt: Callable[[Site, str, str, RunOptions], AbstractContextManager[Invocations]] = dbt_for,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.node = node
        self.site = site
        self._dbt_for = dbt
        self._run_id = ""
        self._dbt: Invocations | None = None
        self._said: NodeResult | None = None

    def pre_execute(self, context: Context) -> None:
        """Cut the task's time limit to what is left of the run's.

        Raises:
            AirflowFailException: The run was given parameters, which this engine does not have.
        """
        if conf := context["dag_run"].conf:
            raise AirflowFailException(
                f"The run was started with {', '.join(sorted(conf))}, and with `engine: isolated` a run has no "
                "parameters. Write `engine: shared` into the pipeline spec, or start the run without."
            )
        limit = self.site.run_timeout
        own = self.execution_timeout or limit
        self.execution_timeout = bounded(own, run_started=context["dag_run"].start_date, run_timeout=limit)
        self._run_id = context["run_id"]
        self.log.info("dbt node %s", self.node.unique_id)
        if not self.node.upstream:
            name_what_is_missing(self.site, self.task_id)

    def execute(self, context: Context) -> str:
        """Run dbt, together with other tasks of this run, while no other run writes the same schemas.

        Returns:
            dbt's status.

        Raises:
            NodeFailed: dbt says that the node failed, or failed itself.
        """
        store = cast("StateStore", context["task_state_store"])
        with self.site.writer.held(context, self.task_id, is_alone=False):
            status, beside = self._build(store, max_tries=context["ti"].max_tries)
        if beside:
            # It may be why dbt skipped the node; and a retry runs it again, with the node.
            failed = self._said.message if self._said and status not in GOOD else ""
            raise self._failure("\n".join(filter(None, (failed, beside))), status=status)
        lasts = {self.node.unique_id: self._said} if self._said else {}
        said = report([self.node], {self.node.unique_id: status}, lasts, self.log)
        self._update_asset()
        return said

    def on_kill(self) -> None:
        """Let dbt cancel its queries, and end what is left of them in the warehouse."""
        if self._dbt is not None:
            self._dbt.stop()
            self.site.writer.end_sessions(self._run_id, self.task_id)

    def _build(self, store: StateStore, *, max_tries: int) -> tuple[str, str]:
        """Let dbt build the node; give its status, and what failed beside it."""
        # Of other nodes a try has nothing to go on with, and each access to the store is a request.
        has_batches = self.node.materialized == INCREMENTAL
        kept = BuildState.load(store) if has_batches else None
        state = BuildState(
            build_id=uuid.uuid4().hex, max_tries=max_tries, batches=dict(kept.batches) if kept else {}
        )
        if state.batches and is_rebuilt_since(self.site, self._run_id, self.node):
            state.batches = {uid: batches.anew() for uid, batches in state.batches.items()}
        with self._dbt_for(self.site, self._run_id, self.task_id, RunOptions()) as dbt:
            self._dbt = dbt
            batch = Batch(
                graph=self.site.graph,
                dbt=dbt,
                keep=self._keep,
                state=state,
                save=lambda now: now.save(store) if has_batches else None,
                begin=partial(BuildState.begin, store),
                marker=None,
                sampler=Sampler(site=self.site, run_id=self._run_id, task_id=self.task_id),
            )
            with self._failures_named(dbt):
                for attempt in self._tried_after_clashes():
                    with attempt:
                        # Airflow ends the task at the node's own limit, in every warehouse.
                        batch.build([replace(self.node, timeout=0)])
        if kept is not None and not state.batches:
            BuildState.forget(store)
        return state.statuses[self.node.unique_id], "\n".join(dbt.failures)

    def _keep(self, results: list[NodeResult], *, is_more: bool) -> None:  # noqa: ARG002 - it always adds
        for result in results:
            self._said = result
        self.site.results.keep(self._run_id, results)

    @contextmanager
    def _failures_named(self, dbt: Invocations) -> Iterator[None]:
        """Say of what stops dbt that the node failed by it: the retry policy goes by nodes."""
        began, clock = datetime.now(UTC), time.monotonic()
        try:
            yield
        except AirflowTaskTimeout as over:
            self.site.writer.end_sessions(self._run_id, self.task_id)
            limit = timedelta(
                seconds=round((self.execution_timeout or self.site.run_timeout).total_seconds())
            )
            said = f"Its task's time limit of {limit} was over: {CANCELLED}"
            late = self._late(dbt, said, began=began, seconds=time.monotonic() - clock)
            try:
                self._keep([late], is_more=True)
            except EnvironmentProblem as error:
                self.log.warning("What happened to the node could not be kept: %s", error)
            raise self._failure(said, status="error") from over
        except DbtStopped as stopped:
            raise self._failure(str(stopped), status="error") from stopped

    def _failure(self, said: str, *, status: str) -> NodeFailed:
        status = status if status in FAILED else "error"
        command = self._said.command if self._said else self._by_hand
        return NodeFailed(
            f"{self.node.unique_id}: {status}\n{said}",
            hint=f"Run it again by hand: {command}",
            failed=[failure_of([self.node], self.node, status=status, message=said)],
        )

    def _late(self, dbt: Invocations, said: str, *, began: datetime, seconds: float) -> NodeResult:
        """The details of a node that dbt was at when its task's time was over."""
        return NodeResult(
            unique_id=self.node.unique_id,
            task_id=self.task_id,
            kind=self.node.kind,
            status="error",
            message=said,
            invocation_id="",
            command=self._by_hand,
            built_by=self.task_id,
            started=began.isoformat(),
            ended=datetime.now(UTC).isoformat(),
            seconds=seconds,
            rows=None,
            failures=None,
            relation="",
            materialized="",
            lines=(),
            compiled_sql=dbt.space.compiled_sql(self.node, ""),
        )

    @property
    def _by_hand(self) -> str:
        """The dbt command that does the same on a laptop."""
        return by_hand(self.node, BUILD, None, target=self.site.target.target)

    def _tried_after_clashes(self) -> Retrying:
        """Start dbt again if it came to no node because another task made the same schema at that moment.

        PostgreSQL refuses `create schema if not exists` then. The spec's retries are for what happens to nodes.
        """
        return Retrying(
            retry=retry_if_exception(lambda error: self._said is None and _CLASH in str(error)),
            stop=stop_after_attempt(_CLASHES),
            wait=wait_random(0, 1),
            before_sleep=lambda _: self.log.info(
                "Another task made the same schema at this moment: once more."
            ),
            reraise=True,
        )

    def _update_asset(self) -> None:
        """Unless a gate is still to say that the layer is good."""
        if self.node.asset:
            by = self.node.updated_by
            states = {} if by == self.task_id else self.site.states(self._run_id, [by])
            updated = updated_alone([self.node], states, task_id=self.task_id)
            self.outlets: list[Any] = [*self.outlets, *updated]
