"""Groups can always be put in order, for any graph: else Airflow cannot draw the DAG."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from graphlib import TopologicalSorter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from goldsmith.dbt.node import Node
from goldsmith.errors import PlanError
from goldsmith.plan.compile import compile_plan
from goldsmith.plan.groups import Place, place_tasks, unit_group_id
from goldsmith.plan.model import Plan
from goldsmith.plan.selected import Selected
from goldsmith.spec.pipeline import Pipeline

MakeNodes = Callable[..., dict[str, Node]]
Select = Callable[..., Selected]


def check_order(places: Mapping[str, Place], upstream: Mapping[str, set[str]]) -> None:
    """Project the edges to the top groups, and inside each to its units; graphlib raises at a cycle."""
    tops: dict[str, set[str]] = defaultdict(set)
    units: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for task, before in upstream.items():
        here = places[task]
        for parent in before:
            there = places[parent]
            if there.top != here.top:
                tops[here.top].add(there.top)
            elif (there.unit or parent) != (here.unit or task):
                units[here.top][here.unit or task].add(there.unit or parent)
    for graph in (tops, *units.values()):
        list(TopologicalSorter(graph).static_order())


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[str], dict[str, set[str]], dict[str, str]]:
    """Tasks in order with edges that only go forward, each at home in one of three layers; t_ are tests."""
    size = draw(st.integers(1, 14))
    order = [f"{draw(st.sampled_from(['m', 't']))}_{index}" for index in range(size)]
    upstream = {
        task: draw(st.sets(st.sampled_from(order[:index]), max_size=3)) if index else set()
        for index, task in enumerate(order)
    }
    return order, upstream, {task: draw(st.sampled_from("abc")) for task in order}


@given(graphs())
@settings(max_examples=400)
def test_any_graph_gets_groups_that_can_be_ordered(
    graph: tuple[list[str], dict[str, set[str]], dict[str, str]],
) -> None:
    """dbt's rule holds in the input: what waits for a test lies below all that the test reads."""
    order, drawn, home = graph
    above: dict[str, set[str]] = {}
    upstream: dict[str, set[str]] = {}
    for task in order:
        models = {parent for parent in drawn[task] if parent.startswith("m_")}
        above[task] = models.union(*(above[parent] for parent in models))
        tests = {parent for parent in drawn[task] - models if upstream[parent] <= above[task]}
        upstream[task] = models if task.startswith("t_") else models | tests
    unit_of = {task: task for task in order if task.startswith("m_")}
    check_order(place_tasks(order, upstream, home=home, unit_of=unit_of, apart={}), upstream)


def places_of(plan: Plan) -> dict[str, Place]:
    """Task to its place; gates and builds stand in no group, which counts as one of their own."""
    places = {node.task_id: Place(node.group, node.unit) for node in plan.nodes}
    alone = [gate.task_id for gate in plan.gates] + [build.task_id for build in plan.builds]
    return places | {task_id: Place(task_id, "") for task_id in alone}


def test_a_test_stands_with_the_last_node_it_reads_and_keeps_its_id(
    nodes: MakeNodes, selected: Select
) -> None:
    """Two models whose tests read each other: with their tests at home neither group could come first."""
    graph = nodes(a="silver/", b="silver/", t_ab="silver/a b", t_ba="silver/b a")
    plan = compile_plan(Pipeline(name="shop"), selected(graph))
    tests = {node.unique_id: node for node in plan.nodes if node.kind == "test"}
    assert {node.unit for node in tests.values()} == {"silver.b.run"}
    assert tests["t_ab"].task_id.startswith("silver.a.")
    assert tests["t_ab"].display_name.startswith("a: ")
    assert not tests["t_ba"].display_name.startswith("b: ")


def test_a_layer_that_is_left_and_entered_again_is_shown_in_parts(nodes: MakeNodes, selected: Select) -> None:
    """A snapshot between two silver models: silver, then the snapshot, then the rest of silver."""
    graph = nodes(a="silver/", snap="snapshots/a", b="silver/snap", c="silver/a")
    plan = compile_plan(Pipeline(name="shop"), selected(graph))
    places = places_of(plan)
    assert (places["silver.a.run"].top, places["silver.c.run"].top) == ("silver", "silver")
    assert (places["snapshots.snap.run"].top, places["silver.b.run"].top) == ("snapshots", "silver-2")
    assert {node.layer for node in plan.nodes} == {"silver", "snapshots"}
    check_order(places, {node.task_id: set(node.upstream) for node in plan.nodes})


SHAPES = {
    "a test of a source without freshness": {"s_raw": "", "a": "bronze/s_raw", "t_raw": "bronze/s_raw"},
    "a test that reads nothing": {"a": "bronze/", "t_alone": "bronze/"},
    "tests of ephemeral models in a later layer": {
        "a": "bronze/",
        "e_1": "silver/a",
        "e_2": "silver/e_1",
        "b": "silver/e_2",
        "t_1": "silver/e_1",
        "t_2": "silver/e_2",
    },
    "a unit test of an ephemeral model that an earlier layer reads": {
        "a": "bronze/",
        "e_1": "silver/a",
        "u_1": "silver/e_1",
        "b": "bronze/e_1",
        "c": "silver/b",
    },
    "a test of an ephemeral model that reads a later layer": {
        "a": "bronze/",
        "b": "silver/",
        "e_1": "bronze/b",
        "t_1": "bronze/e_1",
        "c": "silver/e_1",
    },
    "a tested ephemeral model that a node outside the layers reads": {
        "e_1": "silver/",
        "t_1": "silver/e_1",
        "m": "common/e_1",
        "s": "bronze/m",
    },
    "a unit test and a test of an ephemeral model outside the layers": {
        "a": "bronze/",
        "e_1": "common/a",
        "u_1": "common/e_1",
        "t_1": "bronze/e_1 a",
    },
    "a folder named like a task": {"a": "bronze/", "x": "build/a", "y": "alerts/x"},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("engine", ["shared", "isolated"])
@pytest.mark.parametrize("gate", ["layer", "node"])
def test_shapes_of_real_projects_get_groups(
    nodes: MakeNodes, selected: Select, *, shape: str, engine: str, gate: str
) -> None:
    """Each node is a task in a group of its own layer or folder, and no group has the name of a task."""
    graph = nodes(**SHAPES[shape])
    plan = compile_plan(Pipeline.parse({"name": "shop", "engine": engine, "gate": gate}), selected(graph))
    assert {node.unique_id for node in plan.nodes} == {
        uid for uid in graph if not uid.startswith(("e_", "s_"))
    }
    between = {gate.task_id for gate in plan.gates} | {build.task_id for build in plan.builds}
    assert not {node.group for node in plan.nodes} & between
    tasks = {node.task_id for node in plan.nodes}
    assert all(not node.unit or node.unit in tasks for node in plan.nodes)
    check_order(places_of(plan), {node.task_id: set(node.upstream) for node in plan.nodes})


@st.composite
def layered(draw: st.DrawFn) -> dict[str, str]:
    """Models whose layers fit, ephemeral ones anywhere among them, and tests and unit tests of any."""
    layers = ["bronze", "silver", "gold"]
    graph: dict[str, str] = {"first": "bronze/"}
    reach: dict[str, int] = {"first": 0}  # the latest layer at or above a model
    for number in range(draw(st.integers(2, 9))):
        before = draw(st.lists(st.sampled_from(sorted(reach)), max_size=3, unique=True)) if reach else []
        least = max((reach[one] for one in before), default=0)
        is_ephemeral, is_outside = draw(st.booleans()), draw(st.integers(0, 4)) == 0
        name = f"{'e_' if is_ephemeral else 'm'}{number}"
        rank = draw(st.integers(0 if is_ephemeral else least, 2))
        folder = "common" if is_outside else layers[rank]
        reach[name] = least if is_ephemeral or is_outside else rank
        graph[name] = f"{folder}/{' '.join(before)}"
    for number in range(draw(st.integers(0, 5))):
        reads = draw(st.lists(st.sampled_from(sorted(reach)), min_size=1, max_size=2, unique=True))
        if draw(st.booleans()):
            graph[f"t_{number}"] = f"bronze/{' '.join(reads)}"
        else:
            graph[f"u_{number}"] = f"bronze/{reads[0]}"
    return graph


@given(layered(), st.sampled_from(["shared", "isolated"]))
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_layers_that_fit_have_a_plan_wherever_ephemeral_models_stand(
    nodes: MakeNodes, selected: Select, graph: dict[str, str], engine: str
) -> None:
    """Each node is a task once, every edge of dbt's is in the plan, and the groups can be drawn."""
    made = nodes(**graph)
    plan = compile_plan(Pipeline.parse({"name": "shop", "engine": engine}), selected(made))
    assert {node.unique_id for node in plan.nodes} == {uid for uid in graph if not uid.startswith("e_")}
    upstream = {node.task_id: set(node.upstream) for node in plan.nodes}
    upstream |= {gate.task_id: set(gate.upstream) for gate in plan.gates}
    upstream |= {build.task_id: set(build.upstream) for build in plan.builds}
    list(TopologicalSorter(upstream).static_order())
    tasks = {node.task_id for node in plan.nodes}
    check_order(places_of(plan), {task: before & tasks for task, before in upstream.items() if task in tasks})


def test_nodes_whose_names_differ_in_a_hyphen_have_groups_of_their_own() -> None:
    """Airflow refuses a whole DAG in which two groups have one id."""
    units = ["bronze.pkg.orders.run", "bronze.pkg-orders.run", "bronze.pkg_orders.run"]
    assert len({unit_group_id(unit) for unit in units}) == len(units)
    assert unit_group_id(units[0]) == "bronze-pkg-orders-run"


def test_groups_that_wait_for_each_other_are_refused() -> None:
    """Of two units each of which waits for a test that stands with the other, none can come first."""
    upstream = {"a": [], "b": [], "t_ab": ["a", "b"], "t_ba": ["b", "a"], "a2": ["t_ba"], "b2": ["t_ab"]}
    unit_of = {"a": "a", "b": "b", "a2": "a", "b2": "b"}
    with pytest.raises(PlanError, match="wait for each other") as caught:
        place_tasks(list(upstream), upstream, home=dict.fromkeys(upstream, "gold"), unit_of=unit_of, apart={})
    assert "gate: node" in caught.value.hint
