"""Limits of gates are about something that the layer has."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from goldsmith.dbt.node import Column, Node
from goldsmith.errors import PlanError
from goldsmith.plan.compile import compile_plan
from goldsmith.plan.model import Plan
from goldsmith.plan.selected import Selected
from goldsmith.plan.show import plan_tree
from goldsmith.spec.pipeline import Pipeline

MakeNodes = Callable[..., dict[str, Node]]
Select = Callable[..., Selected]


def compiled(nodes: MakeNodes, selected: Select, **gate: Any) -> Plan:
    """The plan of a pipeline with this gate after silver."""
    graph = nodes(a="bronze/", orders="silver/a", t_orders="silver/orders")
    graph["orders"] = dataclasses.replace(
        graph["orders"], columns=(Column(name="customer_id", type="", description=""),)
    )
    graph["t_orders"] = dataclasses.replace(graph["t_orders"], tags=("loose",))
    return compile_plan(Pipeline.parse({"name": "shop", "gates": {"silver": gate}}), selected(graph))


def test_the_plan_shows_what_a_gate_lets_through(nodes: MakeNodes, selected: Select) -> None:
    """In the tree of `goldsmith plan`, and for the comparison, which then waits for the gate."""
    plan = compiled(
        nodes, selected, failed_tests={"max": 2, "tag": "loose"}, nulls={"orders": {"customer_id": 0}}
    )
    assert [gate.limits for gate in plan.gates] == [
        (),
        ("failed_tests (tag loose): at most 2", "nulls in orders.customer_id: at most 0 %"),
    ]
    silver = plan_tree(plan).children[-1].children[-1]
    assert [str(below.label) for below in silver.children] == list(plan.gates[1].limits)


@pytest.mark.parametrize(
    ("gate", "said"),
    [
        ({"rows": {"ordrs": 1}}, "no model, seed or snapshot of that name.\nDid you mean orders?"),
        ({"rows": {"a": 1}}, "limits for a, which belongs to bronze.\nMove them to the gate of bronze"),
        ({"nulls": {"orders": {"customer": 0}}}, "no such column of orders.\nDid you mean customer_id?"),
        ({"failed_tests": {"max": 1, "tag": "lose"}}, "none of its tests has.\nDid you mean loose?"),
        ({"failed_models": {"max": 1, "tag": "x"}}, "None of its models has a tag."),
    ],
)
def test_what_the_layer_does_not_have_is_refused(
    nodes: MakeNodes, selected: Select, gate: dict[str, Any], said: str
) -> None:
    """With the nearest names."""
    with pytest.raises(PlanError) as caught:
        compiled(nodes, selected, **gate)
    assert said in str(caught.value)


def test_an_undescribed_model_may_have_any_column(nodes: MakeNodes, selected: Select) -> None:
    """Only the warehouse knows them then."""
    spec = Pipeline.parse({"name": "shop", "gates": {"bronze": {"nulls": {"a": {"anything": 0}}}}})
    assert compile_plan(spec, selected(nodes(a="bronze/"))).gates[0].limits


def test_a_gate_of_a_layer_without_nodes_is_refused(nodes: MakeNodes, selected: Select) -> None:
    """It would never be asked."""
    spec = Pipeline.parse({"name": "shop", "gates": {"gold": {"failed_tests": 1}}})
    with pytest.raises(PlanError, match="no node of the pipeline belongs to that layer"):
        compile_plan(spec, selected(nodes(a="bronze/")))


def test_two_nodes_of_one_name_are_told_apart_by_nobody(nodes: MakeNodes, selected: Select) -> None:
    """A model and a snapshot, say."""
    graph = nodes(a="silver/", b="silver/")
    graph["b"] = dataclasses.replace(graph["b"], name="a", kind="snapshot")
    spec = Pipeline.parse({"name": "shop", "gates": {"silver": {"rows": {"a": 1}}}})
    with pytest.raises(PlanError, match="sets limits for a, and a and b have that name") as caught:
        compile_plan(spec, selected(graph))
    assert caught.value.hint == "Rename one of them."
