"""Pools, queues and priorities of single nodes, and which engine heeds them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from goldsmith.dbt.node import Node
from goldsmith.plan.compile import compile_plan
from goldsmith.plan.placement import unheard
from goldsmith.plan.selected import Selected
from goldsmith.spec.pipeline import Pipeline

MakeNodes = Callable[..., dict[str, Node]]
Select = Callable[..., Selected]


@pytest.mark.parametrize(
    ("engine", "said"),
    [
        ("isolated", ""),
        (
            "shared",
            "reach only retries and cleared tasks, for builds run the nodes: a (pool, priority_weight), b (queue)",
        ),
    ],
)
def test_a_build_does_not_heed_the_places_of_its_nodes(
    nodes: MakeNodes, selected: Select, engine: str, said: str
) -> None:
    """What a task of its own heeds anyhow, such as `retries`, is not named."""
    graph = nodes(a="bronze/", b="silver/a", c="gold/b")
    graph["a"] = replace(graph["a"], operator_kwargs={"pool": "heavy", "retries": 3, "priority_weight": 7})
    graph["b"] = replace(graph["b"], operator_kwargs={"queue": "gpu"})
    graph["c"] = replace(graph["c"], operator_kwargs={"retries": 1})
    plan = compile_plan(Pipeline.parse({"name": "shop", "engine": engine}), selected(graph))
    assert unheard(plan) == said


def test_of_many_nodes_a_few_are_named(nodes: MakeNodes, selected: Select) -> None:
    """The line stays readable."""
    graph = nodes(**{f"m{number}": "bronze/" for number in range(9)})
    graph = {name: replace(node, operator_kwargs={"pool": "heavy"}) for name, node in graph.items()}
    assert unheard(compile_plan(Pipeline(name="shop"), selected(graph))).endswith("m4 (pool) and 4 more")
