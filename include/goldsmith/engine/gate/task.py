"""The gate as an Airflow task: it judges a layer when all its tasks are done, and what comes after it waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from goldsmith.engine.access import airflow_api
from goldsmith.engine.assets import updated_assets
from goldsmith.engine.comparison import compare_again
from goldsmith.engine.gate.tolerance import in_doubt, let_pass_in_run, statuses_of
from goldsmith.engine.gate.verdict_table import table_of, write_verdict
from goldsmith.engine.missing import refuse_unknown
from goldsmith.engine.site import Site
from goldsmith.engine.task_dbt import warehouse_for
from goldsmith.errors import GoldsmithError
from goldsmith.gate_rules.base import VERDICT_BLOCK, VERDICT_PASS, Found
from goldsmith.gates.outcomes import HARMLESS, LetPass
from goldsmith.gates.verdict import Case, Verdict, decision_text, judge
from goldsmith.kinds import RELATIONS, TEST_KINDS
from goldsmith.parameters import is_dry
from goldsmith.plan.graph import States
from goldsmith.plan.model import PlannedGate, PlannedNode
from goldsmith.results.record import NodeResult
from goldsmith.spec.gate import Gate


class GateTask(BaseOperator):
    """Gives the verdict on a layer: pass, warn or block. Its return value (XCom) is the verdict.

    Without limits it blocks where a task of the layer is neither green nor skipped.

    Args:
        gate: The gate.
        site: Where its layer ran.
    """

    ui_color = "#f5d76e"

    def __init__(self, *, gate: PlannedGate, site: Site, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.gate = gate
        self.site = site
        self.limits = site.gates.get(gate.layer, Gate())

    def pre_execute(self, context: Context) -> None:
        """Let the layer be compared again, where the comparison stands below the gate and was not cleared with it."""
        for build in self.site.graph.plan.builds if self.gate.limits else ():
            if build.name == self.gate.layer:
                compare_again(self.site, context["run_id"], build.task_id)

    def execute(self, context: Context) -> dict[str, object]:
        """Judge the layer.

        Raises:
            AirflowFailException: The gate blocks; the message says which limit, and names the tasks.
            EnvironmentProblem: The warehouse could not be asked for what has to be measured, or this worker has another
                plan than the run.
        """
        return self.conclude(self.judged(context), context)

    def judged(self, context: Context) -> Verdict:
        """The verdict, before anybody was asked or told."""
        run_id = context["run_id"]
        states = self.site.states(run_id)
        refuse_unknown(self.site.graph, states)
        gate = self._of_run(states)
        is_green = all(states.get(task) in HARMLESS for task in gate.judged)
        case = Case(
            gate=gate,
            limits=self.limits,
            graph=self.site.graph,
            states=states,
            statuses=statuses_of(self.site, context, self._asked_about(states)),
            before=LetPass() if is_green else let_pass_in_run(self.site, context, before=self.gate.layer),
            skips_stale=self.site.freshness == "skip",
        )
        return judge(case, self._measures(run_id, states))

    def _of_run(self, states: States) -> PlannedGate:
        """The gate without the tasks that the run does not have: they came into the plan after it began.

        Airflow gives a state, or none, for each task that a run has.
        """
        late = [task for task in self.gate.judged if task not in states]
        if not late or len(late) == len(self.gate.judged):
            return self.gate
        self.log.info("Not in this run, which began before they came into the project: %s", ", ".join(late))
        return replace(self.gate, judged=tuple(task for task in self.gate.judged if task in states))

    def conclude(self, verdict: Verdict, context: Context) -> dict[str, object]:
        """Tell everybody, and let the next layer start or not.

        Raises:
            AirflowFailException: The gate blocks.
        """
        context["ti"].xcom_push(key="return_value", value=verdict.to_dict())
        for line in verdict.lines():
            self.log.info("%s", line)
        if not is_dry(context):
            write_verdict(self.site, context["run_id"], verdict)
        self._note(verdict, context["run_id"])
        if verdict.verdict == VERDICT_BLOCK:
            decided = f" {decision_text(verdict.override)}" if verdict.override else ""
            raise AirflowFailException(
                f"The gate after {verdict.layer} blocks: {verdict.blocking()}.{decided} "
                "Fix the cause, then clear the failed tasks and their downstream tasks."
            )
        self.outlets = list(
            updated_assets(
                self.site, context, updated_by=self.task_id, tolerated=frozenset(verdict.tolerated)
            )
        )
        return verdict.to_dict()

    def _asked_about(self, states: States) -> list[PlannedNode]:
        """The nodes whose dbt status matters beside the state of their task."""
        graph = self.site.graph
        found = in_doubt(graph, states)
        if self.limits.asks_dbt:
            mine = [node for task in self.gate.judged for node in graph.tasks.get(task, ())]
            found += [
                node for node in mine if node.kind in TEST_KINDS and states.get(node.task_id) != "skipped"
            ]
        return found

    def _measures(self, run_id: str, states: States) -> Found:
        """What stands in the warehouse, of the models that a limit is about and that were built."""
        wanted = self.limits.measured
        if not wanted:
            return Found()
        nodes = {
            node.name: node
            for task in self.gate.judged
            for node in self.site.graph.tasks.get(task, ())
            if node.kind in RELATIONS and node.name in wanted
        }
        lasts = self.site.results.last(run_id, nodes.values())
        built = {
            name: node
            for name, node in nodes.items()
            if self._is_built(node, states.get(node.task_id), lasts.get(node.unique_id))
        }
        places = {}
        for name, node in built.items():
            last = lasts.get(node.unique_id)
            places[name] = (last.relation if last else "") or node.relation
        found = (
            warehouse_for(self.site, run_id, self.task_id).measure(
                {place: wanted[name] for name, place in places.items()}
            )
            if places
            else {}
        )
        return Found(
            measured={name: found[place] for name, place in places.items()},
            before=self._before(run_id),
            unique_ids={name: node.unique_id for name, node in nodes.items()},
        )

    def _is_built(self, node: PlannedNode, state: str | None, last: NodeResult | None) -> bool:
        """Where a task has several nodes, the model may be well and its test not."""
        shares_task = len(self.site.graph.tasks[node.task_id]) > 1
        return state == "success" or (shares_task and state == "failed" and last is not None and last.is_good)

    def _before(self, run_id: str) -> Mapping[str, float]:
        """What the last good run had; nothing, where that cannot be read."""
        try:
            return table_of(self.site).last_good(run_id, self.gate.layer, self.limits.compared)
        except GoldsmithError as error:
            self.log.warning("What the last good run had cannot be read: %s", error)
            return {}

    def _note(self, verdict: Verdict, run_id: str) -> None:
        """Put the verdict on the task, where there is more to say than that all is green."""
        if verdict.verdict == VERDICT_PASS and not verdict.tolerated and not verdict.held_back:
            return
        try:
            with airflow_api() as api:
                api.note(self.site.target.dag_id, run_id, self.task_id, "\n".join(verdict.lines()))
        except GoldsmithError as error:
            self.log.info("No note was put on this task: %s", error)
