"""Groups can always be put in order, for any graph: else Airflow cannot draw the DAG."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from graphlib import TopologicalSorter

from hypothesis import given, settings
from hypothesis import strategies as st

from goldsmith.dbt.node import Node
from goldsmith.plan.compile import Selected, compile_plan
from goldsmith.plan.groups import Place, place_tasks
from goldsmith.plan.model import Plan
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
    check_order(place_tasks(order, upstream, home=home, unit_of=unit_of), upstream)


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
    assert (places["snapshots.snap.run"].top, places["silver.b.run"].top) == ("snapshots", "silver_2")
    assert {node.layer for node in plan.nodes} == {"silver", "snapshots"}
    check_order(places, {node.task_id: set(node.upstream) for node in plan.nodes})
