"""Tasks of several dbt nodes in the shared engine: what they report, build, mark and fail for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest
from airflow.sdk.exceptions import AirflowFailException

from goldsmith.engine.assets import _ready
from goldsmith.engine.batch import Batch
from goldsmith.engine.build import XCOM_KEY
from goldsmith.engine.differences import differences
from goldsmith.engine.heal import Heal, built_together
from goldsmith.engine.marks import Marker
from goldsmith.engine.node_task import NodeTask
from goldsmith.engine.reconcile import ReconcileTask
from goldsmith.engine.report import NodeFailed
from goldsmith.engine.site import Site
from goldsmith.engine.state import BuildState
from goldsmith.plan.graph import PlanGraph
from goldsmith.plan.model import Plan, PlannedBuild, PlannedNode
from goldsmith.results.record import NodeResult

Result = Callable[..., NodeResult]

BEGAN = datetime(2026, 11, 20, 12, tzinfo=UTC)
ATTEMPT = UUID(int=int(BEGAN.timestamp() * 1000) << 80 | 7 << 76 | 2 << 62)
ORDERS, LATER = "silver.orders.run", "gold.later.run"


def node(uid: str, task_id: str, *upstream: str) -> PlannedNode:
    """A planned node of one build; the prefix of its id is its kind."""
    kind = {"t": "test", "u": "unit_test", "s": "source"}.get(uid[0], "model")
    return PlannedNode(
        unique_id=uid,
        kind=kind,
        name=f"{uid}_name",
        layer="silver",
        task_id=task_id,
        display_name=uid,
        label=uid,
        group="silver",
        unit="",
        select=uid,
        build="build",
        asset=f"goldsmith://{uid}" if kind == "model" else "",
        updated_by="reconcile",
        upstream=("build", *upstream),
        file="",
        materialized="view",
        owner="",
        tags=(),
        severity="",
        relation="",
        docs="",
        operator_kwargs={},
    )


NODES = (
    node("later", LATER, ORDERS),
    node("t_later", LATER, ORDERS),
    node("orders", ORDERS),
    node("t_1", ORDERS),
    node("t_2", ORDERS),
)
GRAPH = PlanGraph(
    Plan(
        pipeline="shop",
        manifest_checksum="",
        spec_checksum="",
        dbt_version="",
        project_name="shop",
        layers=("silver",),
        tasks="model",
        tasks_because="",
        nodes=NODES,
        gates=(),
        builds=(),
        not_run=(),
        exposures=(),
    )
)


@dataclass
class FakeSite:
    """A site whose results and states are said by the test."""

    kept: list[NodeResult] = field(default_factory=list)
    graph: PlanGraph = GRAPH
    test_retries: int = 0

    def last_results(self, _: str, nodes: Iterable[PlannedNode]) -> dict[str, NodeResult]:
        """The last record of each."""
        wanted = {one.unique_id for one in nodes}
        return {one.unique_id: one for one in self.kept if one.unique_id in wanted}

    def keep(self, _: str, results: list[NodeResult]) -> None:
        """Keep records."""
        self.kept += results

    def states(self, _: str, __: list[str] | None = None) -> dict[str, str]:
        """No task has a state."""
        return {}


class FakeDbt:
    """Says of each node what the test wants; what it has no word for, it leaves out."""

    def __init__(self, result: Result, said: dict[str, str]) -> None:
        self.result, self.said = result, said
        self.on_turn: Callable[[list[NodeResult]], None] = lambda _: None
        self.ran: list[tuple[str, list[str]]] = []

    def run(self, verb: str, nodes: Iterable[PlannedNode]) -> None:
        """Finish the nodes one after the other, a second each."""
        chosen = list(nodes)
        if chosen:
            self.ran.append((verb, [one.unique_id for one in chosen]))
        for second, one in enumerate(chosen):
            if one.unique_id in self.said:
                times = {
                    "started": f"2026-11-20T13:00:{second:02}",
                    "ended": f"2026-11-20T13:00:{second + 1:02}",
                }
                self.on_turn([self.result(**of(one), status=self.said[one.unique_id], **times)])


class FakeApi:
    """Takes marks and notes."""

    def __init__(self) -> None:
        self.marked: dict[str, tuple[str, str]] = {}
        self.notes: dict[str, str] = {}

    def mark_done(self, _: str, __: str, times: dict[str, tuple[str, str]]) -> None:
        """Mark."""
        self.marked |= times

    def note(self, _: str, __: str, task_id: str, text: str) -> None:
        """Note."""
        self.notes[task_id] = text


def of(one: PlannedNode) -> dict[str, str]:
    """What a record has of its node."""
    return {"unique_id": one.unique_id, "task_id": one.task_id, "kind": one.kind}


def batch(
    result: Result, said: dict[str, str], graph: PlanGraph = GRAPH
) -> tuple[Batch, FakeDbt, list[list[str]]]:
    """A batch that is flushed at every turn, and the unique ids that each flush kept."""
    dbt, flushed = FakeDbt(result, said), list[list[str]]()
    marker = Marker(graph, "r1")
    marker._api = cast("Any", FakeApi())
    made = Batch(
        graph=graph,
        dbt=cast("Any", dbt),
        keep=lambda results: flushed.append([one.unique_id for one in results]),
        state=BuildState(build_id="b1", max_tries=0),
        save=lambda _: None,
        marker=marker,
        sample=lambda one: one,
    )
    return made, dbt, flushed


@pytest.fixture(autouse=True)
def _always_flush(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("goldsmith.engine.batch.FLUSH_EVERY", 0.0)


def test_a_task_is_marked_with_its_last_node_and_takes_the_time_of_all(result: Result) -> None:
    """And its details are kept together: they stand in one file, which is written once."""
    made, _, flushed = batch(result, dict.fromkeys(("orders", "t_1", "t_2"), "success"))
    made.build(NODES[2:])
    assert [ids for ids in flushed if ids] == [["orders", "t_1", "t_2"]]
    assert made.marker is not None
    api = cast("Any", made.marker._api)
    assert api.marked == {ORDERS: ("2026-11-20T13:00:00", "2026-11-20T13:00:03")}


def test_a_task_with_a_red_node_is_not_marked(result: Result) -> None:
    """Its progress is kept all the same, node by node, and what dbt did not get to is known to be missing."""
    made, _, flushed = batch(result, {"orders": "success", "t_1": "fail"})
    made.build(NODES[2:])
    assert made.marker is not None
    assert cast("Any", made.marker._api).marked == {}
    assert made.state.statuses == {"orders": "success", "t_1": "fail", "t_2": "missing"}
    assert [ids for ids in flushed if ids] == [["orders", "t_1"]]
    assert GRAPH.whole({"orders", "t_1", "later", "t_later"}) == [LATER]


def test_a_stale_source_holds_back_the_tests_in_its_own_task(result: Result) -> None:
    """As it does where they have tasks of their own."""
    source, test = node("source.raw", "sources.raw.freshness"), node("t_raw", "sources.raw.freshness")
    graph = PlanGraph(replace(GRAPH.plan, nodes=(source, test)))
    made, dbt, _ = batch(result, {"source.raw": "error", "t_raw": "pass"}, graph)
    made.build([source, test])
    assert dbt.ran == [("source freshness", ["source.raw"])]
    assert made.state.statuses == {"source.raw": "error", "t_raw": "skipped"}


def test_one_note_names_all_tests_of_a_task_that_warned(result: Result) -> None:
    """A second note would replace the first."""
    marker, api = Marker(GRAPH, "r1"), FakeApi()
    marker._api = cast("Any", api)
    warned = [
        result(**of(one), status="warn", message=f"Got {number} results", ended=f"2026-11-20T13:00:0{number}")
        for number, one in enumerate(NODES[3:], start=1)
    ]
    marker.say_warnings([*warned, result(**of(NODES[2]))])
    said = "dbt warned at 2026-11-20T13:00:02 UTC:\nt_1_name: Got 1 results\nt_2_name: Got 2 results"
    assert api.notes == {ORDERS: said}


def said(site: FakeSite, states: dict[str, str], build: BuildState) -> dict[str, str]:
    """Unique id to what the comparison finds."""
    made = PlannedBuild(name="all", task_id="build", reconcile_id="reconcile", upstream=(), waits_for="")
    task = ReconcileTask(build=made, site=cast("Site", site), task_id="reconcile")
    found = differences(task._said("r1", states, GRAPH.plan.nodes, build))
    return {task._name(one): one.text for one in found}


def test_the_comparison_looks_at_every_node_of_a_task(result: Result) -> None:
    """And names it; a test that came into the manifest after the build was not in the task then."""
    states = {ORDERS: "success", LATER: "failed"}
    build = state(orders="success", t_1="fail", later="success", t_later="fail")
    assert said(FakeSite(), states, build) == {f"{ORDERS} (t_1)": "Airflow shows it green, dbt says fail"}
    assert said(FakeSite([result(**of(NODES[3]))]), states, build) == {}
    nothing = said(FakeSite(), states, state())
    assert set(nothing) == {f"{ORDERS} ({uid})" for uid in ("orders", "t_1", "t_2")}


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


class Store(dict[str, Any]):
    """A task's state store."""

    def set(self, key: str, value: Any) -> None:
        """Keep a value."""
        self[key] = value

    def delete(self, key: str) -> None:
        """Forget a key."""
        self.pop(key, None)


@dataclass
class FakeInstance:
    """The running task instance."""

    build: BuildState
    try_number: int = 1
    max_tries: int = 2
    id: UUID = ATTEMPT

    def xcom_pull(self, *, task_ids: str, key: str) -> str:
        """What the build has left."""
        assert (task_ids, key) == ("build", XCOM_KEY)
        return self.build.pack()


def run(task: NodeTask, instance: FakeInstance, store: Store | None = None) -> str:
    """Let a task report; it fails the test where it would build."""
    return task._execute(
        cast("Any", {"ti": instance, "task_state_store": Store() if store is None else store})
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

    monkeypatch.setattr(FakeSite, "only_writer", refuse, raising=False)


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


@pytest.mark.parametrize(
    ("statuses", "retries", "tries", "is_final"),
    [
        ({"orders": "success", "t_1": "fail", "t_2": "pass"}, 0, (1, 2), True),
        ({"orders": "success", "t_1": "fail", "t_2": "pass"}, 1, (1, 2), False),
        ({"orders": "success", "t_1": "fail", "t_2": "pass"}, 1, (2, 2), True),
        ({"orders": "success", "t_1": "fail", "t_2": "pass"}, 1, (4, 5), False),  # first try after a clear
        ({"orders": "success", "t_1": "fail", "t_2": "pass"}, 1, (5, 5), True),
        ({"orders": "error", "t_1": "skipped", "t_2": "skipped"}, 0, (1, 2), False),
        ({"orders": "error", "t_1": "fail", "t_2": "skipped"}, 0, (1, 2), False),
    ],
)
def test_a_failed_test_is_tried_again_as_often_as_tests_are(
    statuses: dict[str, str], retries: int, tries: tuple[int, int], *, is_final: bool
) -> None:
    """Although its task has the retries of the model; the text is the same."""
    number, most = tries
    instance = FakeInstance(state(**statuses), try_number=number, max_tries=most)
    expected = AirflowFailException if is_final else NodeFailed
    with pytest.raises(expected, match=r": (fail|error)\n"):
        run(made_task(FakeSite(test_retries=retries)), instance)


def test_what_another_task_built_along_is_reported_node_by_node(result: Result) -> None:
    """Where that went wrong the task fails; where it was cut short, everything is built again."""
    news: dict[str, Any] = {"is_news": True, "built_by": "silver.a.run", "invocation_id": "i-9"}
    build = state(orders="skipped", t_1="skipped", t_2="skipped")
    good = [result(**of(one), **news) for one in NODES[2:]]
    assert run(made_task(FakeSite(good)), FakeInstance(build)) == "3 success"
    red = [*good[:2], replace(good[2], status="fail")]
    with pytest.raises(AirflowFailException, match="t_2: fail"):
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


def test_a_task_whose_nodes_another_has_just_built_is_left_alone(result: Result) -> None:
    """One of them says it: they are built together."""
    build = state(later="skipped", t_later="skipped")
    states = {"build": "success", ORDERS: "running", LATER: "queued"}
    site = FakeSite([result(**of(NODES[0]), built_by=LATER)])
    assert built_together(ORDERS, build, states, cast("Site", site), "r1", began=BEGAN) == {}


def test_only_whole_tasks_are_shown_and_update_their_assets(
    result: Result, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model whose test failed in the same task is not known to be good."""
    api = FakeApi()
    monkeypatch.setattr(Marker, "_client", lambda _: api)
    site = FakeSite()
    heal = Heal(site=cast("Site", site), run_id="r1", others={LATER})
    good = [result(**of(one)) for one in NODES]
    heal.keep(good[:1])
    heal.keep(good[2:])
    heal.show()
    assert [one.unique_id for one in heal.built()] == ["orders", "t_1", "t_2"]
    assert api.marked == {}
    heal.keep(good[1:2])
    heal.show()
    assert set(api.marked) == {LATER}
    assert {one.unique_id: one.is_news for one in site.kept} == {
        "later": True,
        "t_later": True,
        "orders": False,
        "t_1": False,
        "t_2": False,
    }
