"""Tasks of several dbt nodes in the shared engine: what they report, build, mark and fail for."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.sdk.exceptions import AirflowFailException
from tests.airflow.joint_tasks import (
    BEGAN,
    GRAPH,
    LATER,
    NODES,
    ORDERS,
    FakeApi,
    FakeDbt,
    FakeInstance,
    FakeSite,
    Result,
    Store,
    node,
    of,
)
from tests.builders import no_samples, planned_build, planned_gate

from goldsmith.engine.assets import _ready
from goldsmith.engine.batch import Batch
from goldsmith.engine.build_state import BuildState
from goldsmith.engine.shared.agreement import said_about
from goldsmith.engine.shared.differences import differences
from goldsmith.engine.shared.heal import Heal, built_together
from goldsmith.engine.shared.marks import Marker
from goldsmith.engine.shared.node_task import NodeTask
from goldsmith.engine.shared.reconcile import ReconcileTask
from goldsmith.engine.site import Site
from goldsmith.engine.task_end import NodeFailed
from goldsmith.errors import EnvironmentProblem
from goldsmith.plan.graph import PlanGraph
from goldsmith.rest.records import OthersMarks

Flushed = list[tuple[list[str], bool]]


@pytest.fixture
def api() -> FakeApi:
    """Takes the marks."""
    return FakeApi()


def batch(
    result: Result, said: dict[str, str], api: FakeApi, graph: PlanGraph = GRAPH
) -> tuple[Batch, FakeDbt, Flushed]:
    """A batch that is flushed at every turn; the unique ids that each flush kept, and whether they were added."""
    dbt, flushed = FakeDbt(result, said), Flushed()
    marker = Marker(graph, "r1", connect=lambda: api)
    made = Batch(
        graph=graph,
        dbt=cast("Any", dbt),
        keep=lambda results, *, is_more: flushed.append(([one.unique_id for one in results], is_more)),
        state=BuildState(build_id="b1", max_tries=0),
        save=lambda now: _check(now, flushed),
        begin=lambda _: None,
        marker=marker,
        sampler=no_samples(),
    )
    return made, dbt, flushed


def _check(state: BuildState, flushed: Flushed) -> None:
    """What a next try would take for done has its details: else nobody could tell afterwards that it was built."""
    assert set(state.statuses) == {uid for uids, _ in flushed for uid in uids}


@pytest.fixture(autouse=True)
def _always_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("goldsmith.engine.batch.FLUSH_EVERY", 0.0)


def test_a_task_is_marked_with_its_last_node_and_takes_the_time_of_all(result: Result, api: FakeApi) -> None:
    """And details are kept at once, those of later nodes beside those of earlier ones."""
    made, _, flushed = batch(result, dict.fromkeys(("orders", "t_1", "t_2"), "success"), api)
    made.build([*NODES[2:], *NODES[:2]])
    assert [one for one in flushed if one[0]] == [(["orders"], False), (["t_1"], True), (["t_2"], True)]
    assert api.marked == {ORDERS: ("2026-11-20T13:00:00", "2026-11-20T13:00:03")}


def test_the_last_tasks_are_marked_by_the_build_with_its_verdict(result: Result, api: FakeApi) -> None:
    """Marked before dbt has ended, they would let the scheduler start the gate's task."""
    made, _, _ = batch(result, dict.fromkeys((one.unique_id for one in NODES), "success"), api)
    made.build([*NODES[2:], *NODES[:2]])
    assert list(api.marked) == [ORDERS]


def test_a_task_with_a_red_node_is_not_marked(result: Result, api: FakeApi) -> None:
    """Its progress is kept all the same, node by node, and what dbt did not get to is known to be missing."""
    made, _, flushed = batch(result, {"orders": "success", "t_1": "fail"}, api)
    made.build(NODES[2:])
    assert api.marked == {}
    assert made.state.statuses == {"orders": "success", "t_1": "fail", "t_2": "missing"}
    assert [one for one in flushed if one[0]] == [(["orders"], False), (["t_1"], True)]
    assert GRAPH.whole({"orders", "t_1", "later", "t_later"}) == [LATER]


def test_a_stale_source_holds_back_the_tests_in_its_own_task(result: Result, api: FakeApi) -> None:
    """As it does where they have tasks of their own."""
    source, test = node("source.raw", "sources.raw.freshness"), node("t_raw", "sources.raw.freshness")
    graph = PlanGraph(replace(GRAPH.plan, nodes=(source, test)))
    made, dbt, _ = batch(result, {"source.raw": "error", "t_raw": "pass"}, api, graph)
    made.build([source, test])
    assert dbt.ran == [("source freshness", ["source.raw"])]
    assert made.state.statuses == {"source.raw": "error", "t_raw": "skipped"}


def test_one_note_names_all_tests_of_a_task_that_warned(result: Result, api: FakeApi) -> None:
    """A second note would replace the first."""
    marker = Marker(GRAPH, "r1", connect=lambda: api)
    warned = [
        result(**of(one), status="warn", message=f"Got {number} results", ended=f"2026-11-20T13:00:0{number}")
        for number, one in enumerate(NODES[3:], start=1)
    ]
    marker.say_warnings([*warned, result(**of(NODES[2]))])
    said = "dbt warned at 2026-11-20T13:00:02 UTC:\nt_1_name: Got 1 results\nt_2_name: Got 2 results"
    assert api.notes == {ORDERS: said}


def said(site: FakeSite, states: dict[str, str], build: BuildState) -> dict[str, str]:
    """Unique id to what the comparison finds."""
    made = planned_build("all")
    task = ReconcileTask(build=made, site=cast("Site", site), task_id="reconcile")
    known = said_about(task.site, "r1", states=states, mine=GRAPH.plan.nodes, build=build)
    found = differences(known)
    return {task._name(one): one.text for one in found}


def test_the_comparison_looks_at_every_node_of_a_task(result: Result) -> None:
    """And names it; a test that came into the manifest after the build was not in the task then."""
    states = {ORDERS: "success", LATER: "failed"}
    build = state(orders="success", t_1="fail", later="success", t_later="fail")
    assert said(FakeSite(), states, build) == {f"{ORDERS} (t_1)": "Airflow shows it green, dbt says fail"}
    assert said(FakeSite([result(**of(NODES[3]))]), states, build) == {}
    nothing = said(FakeSite(), states, state())
    assert set(nothing) == {f"{ORDERS} ({uid})" for uid in ("orders", "t_1", "t_2")}


@pytest.mark.parametrize("now", [None, "running", "up_for_retry"])
def test_the_comparison_does_not_judge_a_task_that_was_cleared_meanwhile(now: str | None) -> None:
    """It may still fail: the next try of the comparison waits for it."""
    made = planned_build("all")
    site: Any = FakeSite()
    task = ReconcileTask(build=made, site=site, task_id="reconcile")
    site.states = lambda _: {ORDERS: "success", LATER: "failed"}
    task._refuse_unfinished("r1", GRAPH.plan.nodes)
    site.states = lambda _: {ORDERS: "success", LATER: now}
    with pytest.raises(EnvironmentProblem, match=LATER):
        task._refuse_unfinished("r1", GRAPH.plan.nodes)


def test_a_run_cancelled_when_its_last_node_was_built_stays_red() -> None:
    """All nodes are green and only the build is not; nodes that it held back are judged one by one."""
    made = planned_build("all")
    task = ReconcileTask(build=made, site=cast("Site", FakeSite()), task_id="reconcile")
    green = {ORDERS: "success", LATER: "success"}
    task._refuse_cancelled({**green, "build": "success"}, GRAPH.plan.nodes, None)
    task._refuse_cancelled({**green, LATER: "upstream_failed", "build": "failed"}, GRAPH.plan.nodes, None)
    with pytest.raises(AirflowFailException, match="cancelled at that moment"):
        task._refuse_cancelled({**green, "build": "failed"}, GRAPH.plan.nodes, None)


@pytest.mark.parametrize("who", ["", "ann", None])
def test_a_run_cancelled_before_its_gate_stays_red_and_a_gate_that_a_person_skipped_does_not_matter(
    who: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All nodes are green then, and a skipped gate alone would leave the run green; so it would without the API."""
    made = planned_build(
        "silver", task_id="build", reconcile_id="reconcile", upstream=(), waits_for="none_failed"
    )
    gate = planned_gate("silver", [ORDERS])
    site: Any = FakeSite(graph=PlanGraph(replace(GRAPH.plan, gates=(gate,))))
    site.target = SimpleNamespace(dag_id="shop")

    def marks_by_others(*_: str) -> OthersMarks:
        if who is None:
            raise EnvironmentProblem("Airflow does not answer.")
        return OthersMarks(tasks={"silver.gate": who}, groups={})

    api = SimpleNamespace(marks_by_others=marks_by_others)
    monkeypatch.setattr("goldsmith.engine.shared.reconcile.airflow_api", lambda: nullcontext(api))
    task = ReconcileTask(build=made, site=site, task_id="reconcile")
    task._refuse_without_verdict("r1", {ORDERS: "success", "silver.gate": "success"})
    with nullcontext() if who else pytest.raises(AirflowFailException, match=r"cancelled .* silver\.gate"):
        task._refuse_without_verdict("r1", {ORDERS: "success", "silver.gate": "skipped"})


def test_an_asset_waits_for_the_tests_that_read_it_and_not_for_others_of_their_task(result: Result) -> None:
    """`t_a` failed, so `a` is not ready; `t_b` in the same task passed, so `b`, which it reads, is."""
    tests = "silver.b.tests"
    nodes = [node("a", "silver.a.run"), node("b", "silver.b.run")]
    nodes += [node("t_a", tests, "silver.a.run"), node("t_b", tests, "silver.b.run")]
    graph = PlanGraph(replace(GRAPH.plan, nodes=tuple(nodes)))
    site: Any = FakeSite(
        [result(**of(nodes[2]), status="fail"), result(**of(nodes[3]), status="pass")], graph
    )
    site.states = lambda _: {"silver.a.run": "success", "silver.b.run": "success", tests: "failed"}
    assert _ready(nodes, site, "r1") == {"b"}
    site.states = lambda _: {"silver.a.run": "failed", "silver.b.run": "success", tests: "success"}
    assert _ready(nodes, site, "r1") == {"b", "t_a", "t_b"}


def run(task: NodeTask, instance: FakeInstance, store: Store | None = None) -> str:
    """Let a task report; it fails the test where it would build."""
    return task.execute(
        cast(
            "Any",
            {
                "ti": instance,
                "task_state_store": Store() if store is None else store,
                "dag_run": SimpleNamespace(conf={}, partition_date=None),
            },
        )
    )


def made_task(site: FakeSite, task_id: str = ORDERS) -> NodeTask:
    """The operator."""
    return NodeTask(nodes=GRAPH.tasks[task_id], site=cast("Site", site), task_id=task_id, retries=2)


def state(**statuses: str) -> BuildState:
    """What a build left behind."""
    return BuildState(build_id="b1", max_tries=0, statuses=statuses)


class _BuildsAllError(Exception):
    """Stands for the way to dbt."""


@pytest.fixture(autouse=True)
def _no_dbt(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise _BuildsAllError

    monkeypatch.setattr(FakeSite, "held", refuse, raising=False)


def test_all_good_is_reported_once_and_counted(result: Result) -> None:
    """A second run of the task was a clear, and builds."""
    site = FakeSite([result(**of(one)) for one in NODES])
    instance, store = FakeInstance(state(orders="success", t_1="pass", t_2="warn")), Store()
    assert run(made_task(site), instance, store) == "1 pass, 1 success, 1 warn"
    with pytest.raises(_BuildsAllError):
        run(made_task(site), instance, store)


@pytest.mark.parametrize(
    "statuses",
    [
        {"orders": "success", "t_1": "pass"},
        {"orders": "success", "t_1": "pass", "t_2": "skipped"},
        {},
    ],
)
def test_where_a_node_is_missing_all_are_built(statuses: dict[str, str]) -> None:
    """A retry or a clear builds a task as a whole."""
    with pytest.raises(_BuildsAllError):
        run(made_task(FakeSite()), FakeInstance(state(**statuses)))


def test_a_failure_names_every_node_that_failed_and_none_that_was_held_back(result: Result) -> None:
    """Each with dbt's words, and the command that runs it by hand."""
    site = FakeSite(
        [result(**of(one), message=f"no {one.unique_id}", command=one.unique_id) for one in NODES]
    )
    with pytest.raises(NodeFailed) as caught:
        run(made_task(site), FakeInstance(state(orders="error", t_1="fail", t_2="skipped")))
    assert caught.value.message == "orders: error\nno orders\nt_1: fail\nno t_1"
    assert caught.value.hint == "Run it again by hand: orders\nRun it again by hand: t_1"


def test_what_another_task_built_along_is_reported_node_by_node(result: Result) -> None:
    """Where that went wrong the task fails; where it was cut short, everything is built again."""
    news: dict[str, Any] = {"is_news": True, "built_by": "silver.a.run", "invocation_id": "i-9"}
    build = state(orders="skipped", t_1="skipped", t_2="skipped")
    good = [result(**of(one), **news) for one in NODES[2:]]
    assert run(made_task(FakeSite(good)), FakeInstance(build)) == "3 success"
    red = [*good[:2], replace(good[2], status="fail")]
    with pytest.raises(NodeFailed, match="t_2: fail"):
        run(made_task(FakeSite(red)), FakeInstance(build))
    with pytest.raises(_BuildsAllError):
        run(made_task(FakeSite(good[:2])), FakeInstance(build))
    before = [replace(one, ended="2026-11-20T11:00:00+00:00") for one in good]
    with pytest.raises(_BuildsAllError):
        run(made_task(FakeSite(before)), FakeInstance(build))


@pytest.mark.parametrize(
    ("statuses", "settled", "state_of_task", "is_taken"),
    [
        ({"later": "skipped", "t_later": "skipped"}, (), None, True),
        ({"later": "success", "t_later": "fail"}, (), None, True),
        ({"later": "success", "t_later": "pass"}, (), None, False),
        ({"later": "success", "t_later": "pass"}, ("later", "t_later"), None, True),
        ({"later": "success", "t_later": "skipped"}, (), "queued", True),
        ({"later": "success", "t_later": "fail"}, (), "queued", False),
        ({"later": "error", "t_later": "skipped"}, (), "queued", False),
        ({"later": "success", "t_later": "pass"}, (), "queued", False),
        ({"later": "success", "t_later": "pass"}, ("later", "t_later"), "queued", True),
        ({"later": "skipped", "t_later": "skipped"}, (), "success", False),
    ],
)
def test_a_task_is_built_along_when_all_of_it_has_to_be(
    statuses: dict[str, str], settled: tuple[str, ...], state_of_task: str | None, *, is_taken: bool
) -> None:
    """Not where it is about to report what the build said of one of its nodes."""
    build = BuildState(build_id="b1", max_tries=0, statuses=statuses, settled=set(settled))
    states = {"build": "success", ORDERS: "running", LATER: state_of_task}
    chosen = built_together(ORDERS, build, states, cast("Site", FakeSite()), "r1", began=BEGAN)
    assert chosen == ({LATER: GRAPH.tasks[LATER]} if is_taken else {})


@pytest.mark.parametrize(("state_of_task", "is_taken"), [("failed", True), ("up_for_retry", False)])
def test_a_model_that_goes_on_after_an_error_is_no_obstacle_when_it_has_ended(
    state_of_task: str, *, is_taken: bool
) -> None:
    """What reads it, and was held back by another one, is built along with that one."""
    loose = replace(node("loose", "silver.loose.run"), goes_on=True)
    later = node("later", LATER, ORDERS, loose.task_id)
    graph = PlanGraph(replace(GRAPH.plan, nodes=(later, node("orders", ORDERS), loose)))
    build = state(later="skipped", loose="error")
    states = {"build": "success", ORDERS: "running", loose.task_id: state_of_task, LATER: None}
    chosen = built_together(ORDERS, build, states, cast("Site", FakeSite(graph=graph)), "r1", began=BEGAN)
    assert chosen == ({LATER: (later,)} if is_taken else {})


def test_a_task_whose_nodes_another_has_just_built_is_left_alone(result: Result) -> None:
    """One of them says it: they are built together."""
    build = state(later="skipped", t_later="skipped")
    states = {"build": "success", ORDERS: "running", LATER: "queued"}
    site = FakeSite([result(**of(NODES[0]), built_by=LATER)])
    assert built_together(ORDERS, build, states, cast("Site", site), "r1", began=BEGAN) == {}


def test_only_whole_tasks_are_shown_and_update_their_assets(result: Result, api: FakeApi) -> None:
    """A model whose test failed in the same task is not known to be good."""
    site = FakeSite()
    heal = Heal(site=cast("Site", site), run_id="r1", others={LATER}, connect=lambda: api)
    good = [result(**of(one)) for one in NODES]
    heal.keep(good[:1], is_more=False)
    heal.keep(good[2:], is_more=False)
    heal.show()
    assert [one.unique_id for one in heal.built()] == ["orders", "t_1", "t_2"]
    assert api.marked == {}
    heal.keep(good[1:2], is_more=True)
    heal.show()
    assert set(api.marked) == {LATER}
    assert {one.unique_id: one.is_news for one in site.kept} == {
        "later": True,
        "t_later": True,
        "orders": False,
        "t_1": False,
        "t_2": False,
    }
