"""After each layer: do Airflow, dbt and the warehouse say the same?

A teardown, so that it runs after failures too; one that fails the run, so that nothing turns a run green that is not.
Airflow by itself would end a run green that was cancelled while a teardown was pending.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from goldsmith.engine.access import airflow_api
from goldsmith.engine.assets import updated_assets
from goldsmith.engine.build_state import REASON_KEY
from goldsmith.engine.gate.tolerance import tolerated_in_run
from goldsmith.engine.left_behind import left_by, saying_why
from goldsmith.engine.missing import refuse_unknown
from goldsmith.engine.shared.agreement import AGREED, said_about, with_kinds
from goldsmith.engine.shared.differences import ONLY_BEFORE, ONLY_FAILED, Difference, differences
from goldsmith.engine.shared.left_out import left_by_first, options_of
from goldsmith.engine.shared.unkept import relations_of, without_details
from goldsmith.engine.site import Site
from goldsmith.errors import EnvironmentProblem, GoldsmithError
from goldsmith.gates.outcomes import RED
from goldsmith.plan.graph import States
from goldsmith.plan.model import PlannedBuild, PlannedGate, PlannedNode
from goldsmith.wording import some

_SHOWN = 30
_UNFINISHED = {
    None,
    "scheduled",
    "queued",
    "running",
    "restarting",
    "up_for_retry",
    "up_for_reschedule",
    "deferred",
    "awaiting_input",
}


class ReconcileTask(BaseOperator):
    """Compares what Airflow, dbt and the warehouse say about the nodes of a build.

    Args:
        build: The build.
        site: Where it ran.
    """

    ui_color = "#e8e4d9"

    def __init__(self, *, build: PlannedBuild, site: Site, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.build_id = build.task_id
        self.layer = build.name
        self.site = site

    def execute(self, context: Context) -> dict[str, int]:
        """Compare.

        Returns:
            Numbers: nodes that were compared, and differences that a person's mark explains.

        Raises:
            AirflowFailException: There is a difference, the run was cancelled, or a node failed.
            EnvironmentProblem: A task was cleared meanwhile, and the next try waits for it; or this worker has
                another plan than the run.
        """
        with saying_why(context):
            return self._execute(context)

    def _execute(self, context: Context) -> dict[str, int]:
        run_id = context["run_id"]
        states = self.site.states(run_id)
        mine = self.site.graph.built_by(self.build_id)
        chosen = self._chosen(context)
        why = self._reason(context) if states.get(self.build_id) == "failed" else ""
        self._refuse_cancelled(states, mine, chosen, why)
        self._refuse_without_verdict(run_id, states)
        refuse_unknown(self.site.graph, states)
        said = said_about(
            self.site, run_id, states=states, mine=mine, build=left_by(self.build_id, context), chosen=chosen
        )
        unkept = [one.node for one in said.values() if one.is_unkept]
        unplaced = [one.node for one in said.values() if one.is_unplaced or one.is_unkept]
        listed = relations_of(self.site, context, self.task_id, unplaced)
        said = {uid: replace(one, relation=one.relation or listed.get(uid, "")) for uid, one in said.items()}
        found = differences(with_kinds(self.site, run_id, self.task_id, said))
        self._refuse_unfinished(run_id, mine)
        self._refuse_blocked(states)
        by_hand = self._by_hand({one.task_id for one in found if one.is_mark}, run_id)
        open_ = [one for one in found if one.task_id not in by_hand]
        for one in found:
            who = by_hand.get(one.task_id)
            by = f" (marked by {who})" if who else ""
            self.log.warning("%s: %s%s", self._name(one), one.text, by)
        if open_:
            raise AirflowFailException(_message([f"{self._name(one)}: {one.text}" for one in open_]))
        self._refuse_failed_build(states, why)
        self._refuse_failed(states, mine, tolerated_in_run(self.site, context, states))
        if unkept:
            raise AirflowFailException(without_details(unkept, listed, path=self.site.results_path))
        self.log.info(AGREED, len(mine))
        self.outlets = list(updated_assets(self.site, context, updated_by=self.task_id))
        return {"compared": len(mine), "marked_by_hand": len(by_hand)}

    def _chosen(self, context: Context) -> frozenset[str] | None:
        """The tasks that the run is about; None for all."""
        is_selective = options_of(context, self.site).is_selective
        return left_by_first(self.site, context) if is_selective else None

    def _refuse_cancelled(
        self,
        states: States,
        mine: tuple[PlannedNode, ...],
        chosen: frozenset[str] | None,
        why: str = "",
    ) -> None:
        """A run that was cancelled must not end green only because its teardowns did."""
        build = states.get(self.build_id)
        wanted = {node.task_id for node in mine} if chosen is None else chosen
        waiting = [
            node.task_id for node in mine if states.get(node.task_id) == "skipped" and node.task_id in wanted
        ]
        if build == "skipped" or (build == "failed" and waiting):
            raise AirflowFailException(
                f"The run was cancelled before its layer was built: {self.build_id} is {build}, and {len(waiting)} of "
                f"{len(mine)} nodes were skipped. Clear the run to build what is missing."
            )
        if build == "failed" and all(states.get(node.task_id) == "success" for node in mine):
            # A hook, for one: then the build says so itself.
            why = why or (
                "The run was cancelled at that moment, or a person marked the build. Clear the build: it will find "
                "nothing left to build."
            )
            raise AirflowFailException(f"{self.build_id} failed, although all its nodes are green. {why}")

    def _refuse_without_verdict(self, run_id: str, states: States) -> None:
        """A run that was cancelled when its nodes were built and not yet judged: its gate was skipped with it."""
        skipped = {gate.task_id for gate in self._gates() if states.get(gate.task_id) == "skipped"}
        for gate in skipped - set(self._by_hand(skipped, run_id)):
            raise AirflowFailException(
                f"The run was cancelled before its layer was judged: {gate} was skipped. Clear it to get the verdict."
            )

    def _gates(self) -> list[PlannedGate]:
        """The gate after this layer; none where dbt's own order rules."""
        return [gate for gate in self.site.graph.plan.gates if gate.layer == self.layer]

    def _refuse_unfinished(self, run_id: str, mine: Iterable[PlannedNode]) -> None:
        """What was cleared after this task had become ready may still fail: it is judged when it has ended."""
        states = self.site.states(run_id)
        before = {*(one.task_id for one in mine), *(gate.task_id for gate in self._gates() if gate.limits)}
        waiting = sorted(one for one in before if states.get(one, "removed") in _UNFINISHED)
        if waiting:
            raise EnvironmentProblem(
                f"{len(waiting)} tasks were cleared while this one compared: {', '.join(waiting[:_SHOWN])}.",
                hint="The next try waits for them.",
            )

    def _refuse_blocked(self, states: States) -> None:
        """A gate with limits stands before this task, and is no last task of the run any more."""
        gates = (gate.task_id for gate in self._gates() if gate.limits)
        for gate in gates:
            if states.get(gate) in RED:
                raise AirflowFailException(
                    f"The layer did not pass its gate: {gate} is {states[gate]}. See its log."
                )

    def _refuse_failed_build(self, states: States, why: str) -> None:
        """A build that failed is red whatever its nodes are: the run may have left them all out but the green ones."""
        if states.get(self.build_id) == "failed":
            raise AirflowFailException(f"{self.build_id} failed. {why or 'See its log.'}")

    def _reason(self, context: Context) -> str:
        """Why the build failed, in its own words; empty if it could not say."""
        return context["ti"].xcom_pull(task_ids=self.build_id, key=REASON_KEY) or ""

    def _refuse_failed(self, states: States, mine: Iterable[PlannedNode], tolerated: set[str]) -> None:
        """A run is as red as its last tasks, and below the nodes this is the only one that counts for Airflow."""
        red = {node.task_id for node in mine if states.get(node.task_id) in RED}
        if red & tolerated:
            self.log.info(
                "%d tasks are red and tolerated: %s", len(red & tolerated), ", ".join(sorted(red & tolerated))
            )
        failed = sorted(red - tolerated)
        if failed:
            raise AirflowFailException(
                f"{len(failed)} {ONLY_FAILED}: {some(failed, _SHOWN)}. No other "
                "differences found. Fix the cause, then clear the failed tasks and their downstream tasks."
            )
        if (
            states.get(self.build_id) == "upstream_failed"
        ):  # it and the gate before it were cleared without the nodes
            raise AirflowFailException(f"{self.build_id} is upstream_failed: {ONLY_BEFORE}.")

    def _name(self, one: Difference) -> str:
        """The task, and where it has several nodes, which of them."""
        is_alone = len(self.site.graph.tasks[one.task_id]) == 1
        return one.task_id if is_alone else f"{one.task_id} ({one.unique_id})"

    def _by_hand(self, asked: Collection[str], run_id: str) -> dict[str, str]:
        """Task id to the person who marked it, of those asked for that a person did mark."""
        if not asked:
            return {}
        try:
            with airflow_api() as api:
                marks = api.marks_by_others(self.site.target.dag_id, run_id)
        except GoldsmithError as error:
            self.log.warning("Whether a person marked them cannot be told: %s", error)
            return {}
        return {
            task_id: who
            for task_id in asked
            if (who := marks.of(task_id, self.site.graph.groups_of(task_id)))
        }


def _message(found: list[str]) -> str:
    lines = some(found, _SHOWN, between="\n  ")
    return (
        f"Airflow, dbt and the warehouse do not agree about {len(found)} nodes:\n  {lines}\n"
        "Clear the named tasks with their downstream to build them again."
    )
