"""The build: one `dbt build` for a layer, whose finished nodes are shown as green tasks."""

from __future__ import annotations

import contextlib
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from functools import partial
from typing import Any, cast

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from goldsmith.engine.access import airflow_api
from goldsmith.engine.batch import Batch
from goldsmith.engine.build_state import WARNINGS_KEY, XCOM_KEY, BuildState, StateStore
from goldsmith.engine.comparison import compare_again, compare_later
from goldsmith.engine.dbt.invocation import Invocations
from goldsmith.engine.gate.verdict_table import write_verdict
from goldsmith.engine.left_behind import REASON_LENGTH, saying_why
from goldsmith.engine.sampling import Sampler
from goldsmith.engine.shared.agreement import compare_early
from goldsmith.engine.shared.early_gate import early_verdict
from goldsmith.engine.shared.left_out import choose, options_of
from goldsmith.engine.shared.marks import Marker, MarksApi
from goldsmith.engine.site import Site
from goldsmith.engine.task_dbt import dbt_for, name_what_is_missing
from goldsmith.plan.graph import States
from goldsmith.plan.model import PlannedNode
from goldsmith.results.record import FAILED
from goldsmith.run_limit import bounded
from goldsmith.spec.run import RunOptions

_WARNINGS = 20
_HOLDS_BACK = {"failed", "upstream_failed", "removed"}


class BuildTask(BaseOperator):
    """Builds the nodes of a layer whose tasks have no state yet, with one dbt command.

    A node that fails does not fail this task: its own task does. dbt not getting to its nodes fails this task, and its
    next try builds what is missing.

    Args:
        site: Where it runs.
        dbt: Makes dbt ready for a task.
        connect: Gives a client of Airflow's REST API.
    """

    ui_color = "#c8d9f0"
    execution_timeout: timedelta | None

    def __init__(
        self,
        *,
        site: Site,
        dbt: Callable[[Site, str, str, RunOptions], AbstractContextManager[Invocations]] = dbt_for,
        connect: Callable[[], MarksApi] = airflow_api,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.site = site
        self._dbt_for = dbt
        self._connect = connect
        self._dbt: Invocations | None = None
        self._run_id = ""

    def pre_execute(self, context: Context) -> None:
        """Limit the task to what is left of the run's time."""
        compare_again(self.site, context["run_id"], self.task_id)
        limit = self.site.run_timeout
        started = context["dag_run"].start_date
        self.execution_timeout = bounded(limit, run_started=started, run_timeout=limit)

    def execute(self, context: Context) -> dict[str, int]:
        """Build, show what is done, and tell the nodes' tasks what became of the others.

        Returns:
            How many nodes have which status.

        Raises:
            DbtStopped: dbt did not get to every node.
            AirflowFailException: Something beside the nodes failed, or the run is to end at the first failure.
        """
        with saying_why(context):
            try:
                return self._execute(context)
            finally:
                if self._dbt is not None and self._dbt.warned:
                    warned = [line[:REASON_LENGTH] for line in self._dbt.warned]
                    context["ti"].xcom_push(key=WARNINGS_KEY, value=warned[:_WARNINGS])

    def _execute(self, context: Context) -> dict[str, int]:
        self._run_id = context["run_id"]
        name_what_is_missing(self.site, self.task_id)
        store = cast("StateStore", context["task_state_store"])
        mine = self.site.graph.built_by(self.task_id)
        kept = BuildState.load(store)
        state = self._state(kept, context["ti"].max_tries)
        options = options_of(context, self.site)
        chosen = choose(self.site, context, options, self.task_id, connect=self._connect)
        marker = Marker(self.site.graph, self._run_id, connect=self._connect)
        with contextlib.closing(marker):
            with self.site.writer.held(context, self.task_id):
                states = self.site.states(self._run_id)
                asked = [node for node in mine if chosen is None or node.task_id in chosen]
                todo = self._todo(asked, states, state)
                if not todo and (not state.statuses or (kept is not None and kept.failure)):
                    self._nothing_to_build(len(mine), kept, context, chosen)
                    return {}
                with self._dbt_for(self.site, self._run_id, self.task_id, options) as self._dbt:
                    self._batch(self._dbt, state, marker, store, is_first=kept is None).build(
                        todo, left_out=self._left_out(states)
                    )
            why = self._why_failed(state, options)
            # An earlier try may have built what this one knows nothing of.
            is_first = kept is None and context["ti"].try_number == 1
            is_judged = self._show(state, marker, states if is_first and not why else None)
            if why:  # this task fails, and no other task below it runs
                marker.mark_failed(self._failed_tasks(state))
        self._settle(state, mine)
        self._leave(state, context)
        if why:
            raise AirflowFailException(why)
        if is_judged:
            compare_early(self.site, self._run_id, self.task_id, state, try_number=context["ti"].try_number)
        return dict(Counter(state.statuses.values()))

    def _leave(self, state: BuildState, context: Context) -> None:
        """Leave behind what the tasks after this one, and its own next try, have to know."""
        compare_later(self.site, self._run_id, self.task_id)
        state.save(cast("StateStore", context["task_state_store"]))
        context["ti"].xcom_push(key=XCOM_KEY, value=state.pack())
        self.site.results.prune()

    def _state(self, kept: BuildState | None, max_tries: int) -> BuildState:
        """What this try starts from.

        Whoever clears a build wants it as a whole: of a model that was not done, all batches that it had to build.
        """
        state = BuildState.of_this_try(kept, max_tries=max_tries)
        if kept is not None and kept.max_tries != max_tries:
            mine = self.site.graph.built_by(self.task_id)
            state.batches = {}
            state.know_batches(kept.batches, self.site.results.last_with_batches(self._run_id, mine))
            state.batches = {uid: one.anew() for uid, one in state.batches.items()}
        return state

    def _show(self, state: BuildState, marker: Marker, states: States | None) -> bool:
        """Mark what is done, and with it the gate, if its verdict is certain.

        The next build may start then, so it comes after this one has left the warehouse to others.

        Args:
            state: What became of the nodes.
            marker: Marks them.
            states: The states of all tasks before; None if some nodes were built by an earlier try.

        Returns:
            Whether the layer has its verdict.
        """
        early = (
            early_verdict(self.site, self.task_id, states=states, state=state, marker=marker)
            if states is not None
            else None
        )
        done = self.site.graph.whole(state.good())
        gate = early.to_request(self.site.target.dag_id, self._run_id) if early else None
        if not marker.mark_at_last(done, gate) or not early:
            return False
        for line in early.verdict.lines():
            self.log.info("%s", line)
        write_verdict(self.site, self._run_id, early.verdict)
        return True

    def _why_failed(self, state: BuildState, options: RunOptions) -> str:
        """Why this task fails although dbt came to all nodes that it had to; empty if it does not."""
        dbt = cast("Invocations", self._dbt)
        failed = [uid for uid, status in state.statuses.items() if status in FAILED]
        if state.failure:
            return f"{state.failure}\nFix the cause, then clear this task with its downstream tasks."
        if failed and (options.fail_fast or dbt.has_failed_fast):
            # Tasks of nodes would build what dbt had not come to.
            return f"fail_fast: dbt stopped at {', '.join(failed)}. Clear this task to build what is missing."
        return ""

    def _failed_tasks(self, state: BuildState) -> list[str]:
        """Ids of the tasks with a node that failed."""
        task_of = self.site.graph.task_of
        failed = [uid for uid, status in state.statuses.items() if status in FAILED and uid in task_of]
        return list(dict.fromkeys(task_of[uid] for uid in failed))

    def on_kill(self) -> None:
        """Let dbt cancel its queries, and end what is left of them in the warehouse."""
        if self._dbt is not None:
            self._dbt.stop()
            self.site.writer.end_sessions(self._run_id, self.task_id)

    def _todo(self, mine: Sequence[PlannedNode], states: States, state: BuildState) -> list[PlannedNode]:
        """The nodes whose task has no state, and that a lost try had not finished."""
        done = state.good()
        todo = [node for node in mine if states.get(node.task_id, "") is None and node.unique_id not in done]
        vanished = [node.task_id for node in mine if node.task_id not in states]
        if vanished:
            self.log.warning(
                "%d nodes came into the manifest after this run began and are not part of it: %s",
                len(vanished),
                ", ".join(list(dict.fromkeys(vanished))[:10]),
            )
        return todo

    def _left_out(self, states: States) -> set[str]:
        """Tasks below something that failed: Airflow holds them back, and so does the build."""
        stopped = [task for task, state in states.items() if state in _HOLDS_BACK]
        return self.site.graph.held_back(stopped)

    def _batch(
        self, dbt: Invocations, state: BuildState, marker: Marker, store: StateStore, *, is_first: bool
    ) -> Batch:
        return Batch(
            graph=self.site.graph,
            dbt=dbt,
            keep=lambda results, *, is_more: self.site.results.keep(
                self._run_id, results, is_first=is_first and not is_more
            ),
            state=state,
            save=lambda now: now.save(store),
            begin=partial(BuildState.begin, store),
            marker=marker,
            sampler=Sampler(site=self.site, run_id=self._run_id, task_id=self.task_id),
        )

    def _settle(self, state: BuildState, mine: tuple[PlannedNode, ...]) -> None:
        """Note whose task shows a state already: if such a task runs later, somebody cleared it.

        What counts is what Airflow says now: a mark that got lost with the API server left a task without a state,
        which then runs, and has to find its result.
        """
        states = self.site.states(self._run_id)
        state.settled = {node.unique_id for node in mine if states.get(node.task_id) is not None}

    def _nothing_to_build(
        self, number: int, kept: BuildState | None, context: Context, chosen: frozenset[str] | None
    ) -> None:
        """All tasks have a state: say how to build them again, and keep what the last build said.

        Raises:
            AirflowFailException: A hook failed in the last dbt command, and without nodes there is no other.
        """
        if kept is not None and kept.failure:
            raise AirflowFailException(
                f"{kept.failure}\nAll nodes of this build have a state, so no dbt command runs that could repeat it. "
                "Clear this task with its downstream tasks to build them again."
            )
        if chosen is not None:
            self.log.info(
                "Of this build's %d tasks none is chosen, or all of them have a state already.", number
            )
        else:
            self._say_how(number)
        if kept is not None:
            context["ti"].xcom_push(key=XCOM_KEY, value=kept.pack())
        elif chosen is not None:
            # The tasks that could not be skipped from here look for word of this build before they skip themselves.
            fresh = BuildState(build_id=uuid.uuid4().hex, max_tries=context["ti"].max_tries)
            context["ti"].xcom_push(key=XCOM_KEY, value=fresh.pack())

    def _say_how(self, number: int) -> None:
        self.log.warning(
            "Nothing to build: all %d tasks of this build have a state already. To build them again, clear them with "
            "this task: its downstream, the whole run, or some of them with their upstream.",
            number,
        )
