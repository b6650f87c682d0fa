"""The task of a node in the shared engine, where it runs on a worker: because it was not marked.

Either the build came to the node, and the task reports what dbt said; or the task is a retry or was cleared, and the
node is built, together with what waits below it. Where a task has several nodes, all of them are.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, cast
from uuid import UUID

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from goldsmith.engine.assets import updated_alone
from goldsmith.engine.batch import Batch
from goldsmith.engine.build_state import BuildState, StateStore
from goldsmith.engine.comparison import compare_again, compare_later
from goldsmith.engine.dbt.invocation import Invocations
from goldsmith.engine.left_behind import left_by
from goldsmith.engine.rebuilt import is_rebuilt_since
from goldsmith.engine.sampling import Sampler
from goldsmith.engine.shared.heal import Heal, built_together, is_after
from goldsmith.engine.shared.left_out import left_by_first, options_of
from goldsmith.engine.site import Site
from goldsmith.engine.task_dbt import dbt_for
from goldsmith.engine.task_end import NodeFailed, report
from goldsmith.plan.model import PlannedNode
from goldsmith.results.record import GOOD, SKIPPED, NodeResult
from goldsmith.run_limit import bounded
from goldsmith.spec.run import RunOptions
from goldsmith.wording import some

_SEEN = "seen"
_KEPT = 20


class NodeTask(BaseOperator):
    """A dbt node, or a few.

    Args:
        nodes: The nodes, the one that the task is named after first.
        site: Where they are built.
    """

    execution_timeout: timedelta | None

    def __init__(self, *, nodes: Sequence[PlannedNode], site: Site, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.nodes = tuple(nodes)
        self.site = site
        self._dbt: Invocations | None = None
        self._run_id = ""

    def pre_execute(self, context: Context) -> None:
        """Cut the task's time limit to what is left of the run's."""
        compare_again(self.site, context["run_id"], self.nodes[0].build)
        limit = self.site.run_timeout
        own = self.execution_timeout or limit
        self.execution_timeout = bounded(own, run_started=context["dag_run"].start_date, run_timeout=limit)
        self._run_id = context["run_id"]
        for node in self.nodes:
            self.log.info("dbt node %s", node.unique_id)

    def execute(self, context: Context) -> str:
        """Report what dbt said about the nodes, or build them.

        Returns:
            dbt's status; how often which, where there are several nodes.

        Raises:
            NodeFailed: dbt says that a node failed.
            AirflowFailException: It cannot be known.
        """
        options = options_of(context, self.site)
        build = self._build(context)
        if options.is_selective:
            self._skip_unless_chosen(context, build)
        store = cast("StateStore", context["task_state_store"])
        began = _made(context["ti"].id)
        statuses = self._news(build, store, began)
        if statuses is None:
            with self.site.writer.held(context, self.task_id):
                # While this task waited, another one may have built its nodes.
                statuses = self._news(build, store, began) or self._heal(
                    context, build, store, began, options
                )
        try:
            said = report(self.nodes, statuses, self._last_results(), self.log)
        except NodeFailed:
            # A retry that follows builds the task as a whole; only one that was lost is gone on with.
            if BuildState.load(store) is not None:
                BuildState.forget(store)
            raise
        if self._dbt is not None and self._dbt.failures:
            # No retry: it would find the nodes built, and dbt would not repeat what failed beside them.
            raise AirflowFailException(
                "\n".join([*self._dbt.failures, "Fix the cause, then clear this task."])
            )
        return said

    def on_kill(self) -> None:
        """Let dbt cancel its queries, and end what is left of them in the warehouse."""
        if self._dbt is not None:
            self._dbt.stop()
            self.site.writer.end_sessions(self._run_id, self.task_id)

    def _skip_unless_chosen(self, context: Context, build: BuildState) -> None:
        """Where tasks cannot be marked, each that the run leaves out skips itself; one that was cleared is wanted."""
        chosen = left_by_first(self.site, context)
        was_shown = any(node.unique_id in build.settled for node in self.nodes)
        if chosen is not None and self.task_id not in chosen and not was_shown:
            raise AirflowSkipException("The run's selection leaves this task out.")

    def _build(self, context: Context) -> BuildState:
        """What the build of these nodes left behind."""
        by = self.nodes[0].build
        try:
            found = left_by(by, context)
        except ValueError:
            found = None
        if found is None:
            raise AirflowFailException(
                f"{by} has left no results: it was marked as successful by hand, or its results were "
                "deleted, so nobody knows what dbt built. Clear it with its downstream to build this layer."
            )
        return found

    def _news(self, build: BuildState, store: StateStore, began: datetime) -> dict[str, str] | None:
        """dbt's statuses of the nodes, where this task has still to report them; None where they have to be built.

        A task's nodes are built together: where one of them is missing, and none failed, all have to be.

        Args:
            build: What the build of these nodes left behind.
            store: What this task has reported.
            began: When this attempt of the task was made. What another task has built before that is no news: it was
                shown by a mark, and then this task was cleared.
        """
        seen = list(store.get(_SEEN) or [])
        lasts = self._last_results()
        news, told = {}, dict[str, None]()
        for node in self.nodes:
            status, by = _news_of(node, lasts.get(node.unique_id), build, seen=seen, began=began)
            told |= dict.fromkeys(by)
            if status is not None:
                news[node.unique_id] = status
        if told:
            store.set(_SEEN, [*seen, *told][-_KEPT:])
        if any(status not in GOOD and status != SKIPPED for status in news.values()):
            return news
        is_whole = len(news) == len(self.nodes) and SKIPPED not in news.values()
        return news if is_whole else None

    def _heal(
        self, context: Context, build: BuildState, store: StateStore, began: datetime, options: RunOptions
    ) -> dict[str, str]:
        """Build the nodes with all that waits for them and for nothing else; go on where a lost try was."""
        states = self.site.states(self._run_id)
        others = built_together(self.task_id, build, states, self.site, self._run_id, began=began)
        if options.is_selective and (chosen := left_by_first(self.site, context)) is not None:
            others = {one: nodes for one, nodes in others.items() if one in chosen}
        nodes = [*self.nodes, *(node for them in others.values() for node in them)]
        if along := nodes[len(self.nodes) :]:
            self.log.info(
                "Building %d nodes that wait below with it: %s", len(along), some(node.name for node in along)
            )
        kept = BuildState.load(store)
        state = BuildState.of_this_try(kept, max_tries=context["ti"].max_tries)
        state.know_batches(build.batches, self.site.results.last_with_batches(self._run_id, nodes))
        for node in self.nodes:
            if node.unique_id in state.batches and is_rebuilt_since(self.site, self._run_id, node):
                state.batches[node.unique_id] = state.batches[node.unique_id].anew()
        done = state.good()
        todo = [node for node in nodes if node.unique_id not in done]
        if not todo and kept is not None and kept.failure:
            raise AirflowFailException(f"{kept.failure}\nClear this task to build its nodes again.")
        heal = Heal(site=self.site, run_id=self._run_id, others=others, good=done)
        with dbt_for(self.site, self._run_id, self.task_id, options) as self._dbt:
            Batch(
                graph=self.site.graph,
                dbt=self._dbt,
                keep=heal.keep,
                state=state,
                save=lambda now: now.save(store),
                begin=partial(BuildState.begin, store),
                marker=None,
                sampler=Sampler(site=self.site, run_id=self._run_id, task_id=self.task_id),
            ).build(todo)
        heal.show()
        compare_later(self.site, self._run_id, self.nodes[0].build)
        self.outlets = list(updated_alone(heal.built(), states, task_id=self.task_id))
        return {node.unique_id: state.statuses[node.unique_id] for node in self.nodes}

    def _last_results(self) -> dict[str, NodeResult]:
        return self.site.results.last(self._run_id, self.nodes)


def _news_of(
    node: PlannedNode, last: NodeResult | None, build: BuildState, *, seen: Container[str], began: datetime
) -> tuple[str | None, tuple[str, ...]]:
    """dbt's status of a node that its task has still to report, and the ids of the builds that this is news of."""
    if last and last.is_news and last.invocation_id not in seen:
        return last.status if is_after(last, began) else None, (build.build_id, last.invocation_id)
    status = build.statuses.get(node.unique_id)
    if status is None or node.unique_id in build.settled or build.build_id in seen:
        return None, ()
    return status, (build.build_id,)


def _made(attempt: UUID) -> datetime:
    """When Airflow made an attempt of a task: each has an id of its own, a UUID of version 7, which begins with it."""
    return datetime.fromtimestamp((attempt.int >> 80) / 1000, UTC)
