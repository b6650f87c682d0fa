from __future__ import annotations

from collections.abc import Callable

from goldsmith.dbt.node import Node
from goldsmith.plan.compile import compile_plan
from goldsmith.plan.graph import PlanGraph
from goldsmith.plan.priority import priorities
from goldsmith.plan.selected import Selected
from goldsmith.spec.pipeline import Pipeline

MakeNodes = Callable[..., dict[str, Node]]
Select = Callable[..., Selected]


def _ranked(graph: PlanGraph, seconds: dict[str, float]) -> dict[str, int]:
    """Unique id to weight."""
    weights = priorities(graph, seconds)
    return {node.unique_id: weights[node.task_id] for node in graph.plan.nodes}


def test_the_longest_way_decides_and_not_how_much_lies_below(nodes: MakeNodes, selected: Select) -> None:
    """`wide` is followed by three short nodes, `deep` by one long one."""
    names = {"wide": "bronze/", "deep": "bronze/", "long": "bronze/deep"}
    names |= {f"short_{number}": "bronze/wide" for number in range(3)}
    names["last"] = "silver/wide deep"
    spec = Pipeline.parse({"name": "shop", "engine": "isolated"})
    graph = PlanGraph(compile_plan(spec, selected(nodes(**names))))
    seconds = dict.fromkeys(names, 1.0) | {"long": 60.0}
    found = _ranked(graph, seconds)
    assert found["deep"] > found["long"] > found["wide"] > found["short_0"] == found["short_2"]
    assert found["last"] == 1  # a gate stands before it: whatever comes first in bronze, it waits for all
    assert set(found.values()) == set(range(1, len(set(found.values())) + 1))


def test_what_never_ran_counts_as_the_others_do(nodes: MakeNodes, selected: Select) -> None:
    """And without any history the number of tasks decides."""
    names = {"a": "bronze/", "b": "bronze/a", "c": "bronze/b", "d": "bronze/", "e": "bronze/d"}
    spec = Pipeline.parse({"name": "shop", "engine": "isolated"})
    graph = PlanGraph(compile_plan(spec, selected(nodes(**names))))
    assert _ranked(graph, {}) == {"a": 3, "b": 2, "d": 2, "c": 1, "e": 1}
    found = _ranked(graph, {"e": 2.0, "d": 9.0, "c": 2.0})
    assert found["d"] > found["a"] > found["b"] > found["c"] == found["e"]
