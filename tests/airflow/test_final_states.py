"""Every state that Airflow 3.3 has for a task, and what it makes of the run: of a node's, a build's and a gate's task.

With `engine: shared` the comparison of a layer decides. With `engine: isolated` Airflow's own rule decides (a run is as
red as its last tasks), and the gate, which is judged here for both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import TaskInstanceState
from airflow.sdk.exceptions import AirflowFailException
from tests.airflow.joint_tasks import GRAPH, node
from tests.builders import planned_build, planned_gate
from tests.sites import StatedSite, site_of
from tests.unit.gates.conftest import _node

from goldsmith.engine.build_state import XCOM_KEY, BuildState
from goldsmith.engine.gate.task import GateTask
from goldsmith.engine.shared.agreement import compare_early
from goldsmith.engine.shared.reconcile import ReconcileTask
from goldsmith.errors import EnvironmentProblem
from goldsmith.gate_rules.base import VERDICT_BLOCK, VERDICT_PASS
from goldsmith.gates.verdict import Case, judge
from goldsmith.plan.graph import PlanGraph
from goldsmith.plan.model import Plan
from goldsmith.rest.records import OthersMarks
from goldsmith.results.record import NodeResult
from goldsmith.spec.gate import Gate

NODE, BUILD, GATE = "silver.orders.run", "build", "silver.gate"
GREEN = ""
UNFINISHED = "unfinished"
"""The comparison is not over: its next try waits for the task."""
_HELD = "failed or were held back"
GOOD, BAD, HELD, UNSAID = "success", "error", "skipped", ""
STATES: tuple[str | None, ...] = (None, *(state.value for state in TaskInstanceState))
_OPEN = ("scheduled", "queued", "running", "restarting", "up_for_retry", "up_for_reschedule", "deferred")

NODES: Mapping[str | None, Mapping[str, str]] = {
    "success": {
        GOOD: GREEN,
        BAD: "Airflow shows it green, dbt says error",
        HELD: "Airflow shows it green, dbt says skipped",
        UNSAID: "dbt says nothing about it in this run",
    },
    "failed": dict.fromkeys((GOOD, BAD, HELD, UNSAID), _HELD),
    "upstream_failed": dict.fromkeys((GOOD, BAD, HELD, UNSAID), _HELD),
    "skipped": {
        GOOD: GREEN,
        BAD: "Airflow shows it skipped, dbt says error",
        HELD: "Airflow shows it skipped, dbt says skipped",
        UNSAID: "Airflow shows it skipped, dbt says nothing",
    },
    "removed": dict.fromkeys((GOOD, BAD, HELD, UNSAID), GREEN),  # no part of this run
    **dict.fromkeys((None, *_OPEN, "awaiting_input"), dict.fromkeys((GOOD, BAD, HELD, UNSAID), UNFINISHED)),
}
"""State of a node's task, and dbt's status of the node, to what the comparison says."""
BUILDS: Mapping[str | None, str] = {
    "success": GREEN,
    "failed": "failed",
    "skipped": "was cancelled before its layer was built",
    "upstream_failed": "upstream_failed",
}
"""State of a build whose nodes are green; others it cannot have when the comparison runs."""
GATES: Mapping[str | None, str] = {
    "success": GREEN,
    "removed": GREEN,
    "failed": "did not pass its gate",
    "upstream_failed": "did not pass its gate",
    "skipped": "was cancelled before its layer was judged",
    **dict.fromkeys((None, *_OPEN, "awaiting_input"), UNFINISHED),
}
"""State of a gate with limits whose nodes are green. One without limits fails only where a node did."""
VERDICTS = {state: VERDICT_PASS if state in ("success", "skipped") else VERDICT_BLOCK for state in STATES}
"""State of a node's task to the verdict of a gate without limits."""


def plan() -> Plan:
    """One model with its build, and a gate with limits."""
    gate = planned_gate("silver", [NODE], task_id=GATE, limits=("no failed tests",))
    made = planned_build("silver", task_id=BUILD, reconcile_id="reconcile", upstream=(), waits_for="")
    # Of a materialization of the project's own nothing is looked for in the warehouse.
    orders = replace(node("orders", NODE), asset="", materialized="own")
    return replace(GRAPH.plan, nodes=(orders,), gates=(gate,), builds=(made,))


@dataclass
class Instance:
    """The task instance of the comparison."""

    build: BuildState

    def xcom_pull(self, *, task_ids: str, key: str) -> str | None:
        """What the build has left."""
        return self.build.pack() if (task_ids, key) == (BUILD, XCOM_KEY) else None

    def xcom_push(self, *, key: str, value: str) -> None:
        """Keep why it fails."""
        assert key
        assert value


@pytest.fixture
def ran(tmp_path: Path, result: Callable[..., NodeResult]) -> Callable[..., tuple[StatedSite, BuildState]]:
    """A run with the given states, and what its build knows."""

    def make(states: Mapping[str, str | None], *, status: str = GOOD) -> tuple[StatedSite, BuildState]:
        site = site_of(plan(), tmp_path, given=dict(states))
        if status:
            kept = result(unique_id="orders", task_id=NODE, kind="model", status=status, relation="")
            site.results.keep("r1", [kept], is_first=True)
        return site, BuildState(build_id="b1", max_tries=0, statuses={"orders": status} if status else {})

    return make


@pytest.fixture
def compared(
    ran: Callable[..., tuple[StatedSite, BuildState]], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Let the comparison look at a run; returns what it says, empty if it is content."""
    nobody = SimpleNamespace(marks_by_others=lambda *_: OthersMarks(tasks={}, groups={}))
    monkeypatch.setattr("goldsmith.engine.shared.reconcile.airflow_api", lambda: nullcontext(nobody))

    def compare(states: Mapping[str, str | None], *, status: str = GOOD) -> str:
        site, build = ran(states, status=status)
        task = ReconcileTask(build=plan().builds[0], site=site, task_id="reconcile")
        run = SimpleNamespace(conf=None, partition_date=None)
        context: Any = {"run_id": "r1", "dag_run": run, "ti": Instance(build)}
        try:
            task.execute(context)
        except AirflowFailException as error:
            return str(error)
        except EnvironmentProblem:
            return UNFINISHED
        return GREEN

    return compare


@pytest.fixture
def set_early(
    ran: Callable[..., tuple[StatedSite, BuildState]], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., list[str]]:
    """Let a build compare; returns the tasks that it sets to success."""

    def compare(states: Mapping[str, str | None], **given: str) -> list[str]:
        marked: list[str] = []

        def mark_compared(_: str, __: str, compared: Mapping[str, Any]) -> bool:
            assert (compared["build"], compared["try_number"], compared["green"]) == (BUILD, 1, [NODE])
            marked.append(compared["task_id"])
            return True

        api = SimpleNamespace(mark_compared=mark_compared)
        monkeypatch.setattr("goldsmith.engine.shared.agreement.airflow_api", lambda: nullcontext(api))
        site, build = ran(states, **given)
        compare_early(site, "r1", BUILD, build, try_number=1)
        return marked

    return compare


def test_the_tables_have_every_state_of_the_installed_airflow() -> None:
    """A new one fails here."""
    assert set(NODES) == set(GATES) == set(VERDICTS) == set(STATES)


@pytest.mark.parametrize("status", [GOOD, BAD, HELD, UNSAID])
@pytest.mark.parametrize("state", STATES)
def test_a_nodes_state_makes_of_the_run_what_the_table_says(
    compared: Callable[..., str], state: str | None, status: str
) -> None:
    """Together with what dbt said about the node."""
    said = compared({NODE: state, BUILD: "success", GATE: "success"}, status=status)
    expected = NODES[state][status]
    assert (said == GREEN) == (expected == GREEN), said
    assert expected in said


@pytest.mark.parametrize("status", [GOOD, BAD, HELD, UNSAID])
@pytest.mark.parametrize("state", STATES)
def test_a_build_compares_itself_only_what_is_green(
    set_early: Callable[..., list[str]], state: str | None, status: str
) -> None:
    """Where the task would find fault, or would have to ask somebody, it is left to the task."""
    is_agreed = state == "success" and status == GOOD
    assert set_early({NODE: state, BUILD: "running", GATE: "success"}, status=status) == (
        ["reconcile"] if is_agreed else []
    )


@pytest.mark.parametrize("state", BUILDS)
def test_a_builds_state_makes_of_the_run_what_the_table_says(
    compared: Callable[..., str], state: str | None
) -> None:
    """Although its nodes are green."""
    said = compared({NODE: "success", BUILD: state, GATE: "success"})
    assert (said == GREEN) == (BUILDS[state] == GREEN), said
    assert BUILDS[state] in said


@pytest.mark.parametrize("state", STATES)
def test_a_gates_state_makes_of_the_run_what_the_table_says(
    compared: Callable[..., str], state: str | None
) -> None:
    """Although its nodes are green."""
    said = compared({NODE: "success", BUILD: "success", GATE: state})
    assert (said == GREEN) == (GATES[state] == GREEN), said
    assert GATES[state] in said


@pytest.mark.parametrize("state", STATES)
def test_a_task_that_this_worker_does_not_know_is_not_left_out(
    compared: Callable[..., str], state: str | None
) -> None:
    """The run has a test, and the project, as this worker reads it, does not: red is red all the same."""
    said = compared({NODE: "success", BUILD: "success", GATE: "success", "silver.orders.unique_id": state})
    is_red = state in ("failed", "upstream_failed")
    assert said == (UNFINISHED if is_red else GREEN)
    states = {
        NODE: "success",
        "silver.orders.unique_id": state,
        "ingest.people.merge": "failed",
        "report": state,
    }
    site: Any = SimpleNamespace(gates={}, graph=PlanGraph(plan()), states=lambda _: states)
    if is_red:
        context: Any = {"run_id": "r1"}
        with pytest.raises(EnvironmentProblem, match=r"does not have[^:]*: silver\.orders\.unique_id\."):
            GateTask(gate=plan().gates[0], site=site, task_id=GATE).judged(context)


@pytest.mark.parametrize("state", STATES)
def test_a_gate_lets_only_green_and_skipped_tasks_pass(state: str | None) -> None:
    """With both engines."""
    task = "bronze.a.run"
    graph = PlanGraph(replace(GRAPH.plan, nodes=(_node(task, "a", ()),), layers=("bronze",)))
    gate = planned_gate("bronze", [task])
    case = Case(gate=gate, limits=Gate(), graph=graph, states={task: state}, statuses={})
    verdict = judge(case)
    assert verdict.verdict == VERDICTS[state]
    if state not in ("success", "skipped"):
        assert task in verdict.blocking()
