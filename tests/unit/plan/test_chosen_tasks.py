"""What a selection means for the tasks of a plan."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from goldsmith.dbt.node import Node
from goldsmith.errors import SelectionError
from goldsmith.plan.chosen_tasks import chosen_tasks
from goldsmith.plan.compile import compile_plan
from goldsmith.plan.model import Plan
from goldsmith.plan.selected import Selected
from goldsmith.spec.pipeline import Pipeline

MakeNodes = Callable[..., dict[str, Node]]
Select = Callable[..., Selected]


@pytest.fixture
def plan(nodes: MakeNodes, selected: Select) -> Plan:
    """Two models, of which one has a test in its own task."""
    graph = nodes(a="bronze/", orders="silver/a", t_orders="silver/orders")
    graph["orders"] = dataclasses.replace(graph["orders"], tags=("finance",))
    return compile_plan(Pipeline.parse({"name": "shop", "tasks": "model"}), selected(graph))


def test_a_task_is_chosen_with_any_of_its_nodes(plan: Plan) -> None:
    """Nodes of the project that the pipeline does not run are left out."""
    task = {node.unique_id: node.task_id for node in plan.nodes}
    assert task["orders"] == task["t_orders"]
    assert chosen_tasks(plan, {"t_orders", "elsewhere"}, unmatched=(), terms=()) == {task["orders"]}
    assert chosen_tasks(plan, {"elsewhere"}, unmatched=(), terms=(), loads=True) == frozenset()
    assert chosen_tasks(plan, set(task), unmatched=("gone",), terms=("a",)) == set(task.values())


def test_that_nothing_failed_or_was_changed_is_no_mistake(plan: Plan) -> None:
    """Of `result:error+ result:fail+` one matches nothing as a rule."""
    terms = ["result:error+", "result:fail+", "state:modified"]
    first = plan.nodes[0]
    assert first.task_id in chosen_tasks(plan, [first.unique_id], unmatched=terms[1:], terms=terms)


@pytest.mark.parametrize(
    ("terms", "ids", "said"),
    [
        (["ordrs+"], (), "matches nothing: ordrs+.\nDid you mean orders or t_orders?"),
        (["2+ordrs"], (), "Did you mean orders or t_orders?"),
        (["tag:finanze"], (), "Did you mean tag:finance?"),
        (["xyzzy"], ["a"], "matches nothing: xyzzy.\ngoldsmith plan lists the nodes of the pipeline."),
        (["other"], ["elsewhere"], "dbt knows 1 such nodes, none of which the pipeline runs"),
    ],
)
def test_a_selection_of_nothing_names_what_is_meant(
    plan: Plan, terms: Sequence[str], ids: Sequence[str], said: str
) -> None:
    """Also where another term of it matches."""
    missing: dict[str, Any] = {"unmatched": () if "elsewhere" in ids else terms}
    with pytest.raises(SelectionError) as caught:
        chosen_tasks(plan, ids, terms=terms, **missing)
    assert said in str(caught.value)
