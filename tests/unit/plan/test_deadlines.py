"""Which node a deadline is about."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from goldsmith.dbt.node import Node
from goldsmith.errors import PlanError
from goldsmith.plan.compile import compile_plan
from goldsmith.plan.deadlines import node_meant
from goldsmith.plan.selected import Selected
from goldsmith.spec.pipeline import Pipeline

MakeNodes = Callable[..., dict[str, Node]]
Select = Callable[..., Selected]


def test_a_node_is_meant_by_name_or_by_unique_id() -> None:
    """The unique id where a name is not enough."""
    nodes = {"model.a.orders": "orders", "model.b.orders": "orders", "model.a.people": "people"}
    assert node_meant("people", nodes) == "model.a.people"
    assert node_meant("model.b.orders", nodes) == "model.b.orders"
    with pytest.raises(PlanError, match="2 nodes have that name") as refused:
        node_meant("orders", nodes)
    assert refused.value.hint == "Write the unique id: model.a.orders or model.b.orders"


def test_a_deadline_for_a_node_that_is_not_there_is_no_plan(nodes: MakeNodes, selected: Select) -> None:
    """Said when the plan is made, with the nearest name."""
    spec = Pipeline.parse({"name": "shop", "deadlines": [{"node": "fct_order", "within": "1h"}]})
    with pytest.raises(PlanError, match="no node of that name") as refused:
        compile_plan(spec, selected(nodes(fct_orders="gold/", dim="gold/")))
    assert refused.value.hint == "Did you mean fct_orders?"
