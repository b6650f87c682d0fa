"""What stands on a task's page."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from goldsmith.dbt.node import Column, Node
from goldsmith.plan.by_hand import Selection, selections
from goldsmith.plan.docs import nodes_docs

MakeNodes = Callable[..., dict[str, Node]]


def test_a_page_says_what_the_node_is_and_how_to_do_the_same_on_a_laptop(nodes: MakeNodes) -> None:
    """What it reads and what tests it, too; a bar in a column's description does not end the column."""
    graph = nodes(e_base="", orders="e_base", sales="orders", t_b="orders", t_a="orders", s_lake="")
    columns = (Column(name="id", type="int", description="a | b\nc"),)
    graph["orders"] = dataclasses.replace(graph["orders"], description=" All orders. ", columns=columns)
    executable = {uid: node for uid, node in graph.items() if uid != "e_base"}
    found = nodes_docs(executable, graph, {uid: Selection(text=f"fqn:{uid}", more=0) for uid in executable})
    assert found["orders"].splitlines() == [
        "All orders.",
        "",
        "- dbt node: `orders`",
        "- materialized: table",
        "- file: `models/orders.sql`",
        "- reads: e_base",
        "- read by: sales",
        "- tests: t_a, t_b",
        "- on a laptop: `dbt build --select fqn:orders`",
        "",
        "| column | type | description |",
        "|---|---|---|",
        "| id | int | a \\| b c |",
    ]
    assert "- reads: orders" in found["t_a"]
    assert "- on a laptop: `dbt source freshness --select fqn:s_lake`" in found["s_lake"]


def test_of_many_the_first_are_named(nodes: MakeNodes) -> None:
    """A page of hundreds of tests would say nothing."""
    graph = nodes(orders="", **{f"t_{number:02}": "orders" for number in range(25)})
    found = nodes_docs(graph, graph, dict.fromkeys(graph, Selection(text="", more=2)))
    assert "t_19 and 5 more" in found["orders"]
    assert "- on a laptop: `dbt build --select   # runs 2 more of the same name`" in found["orders"]


def test_a_dot_in_the_name_of_a_source_is_no_part_of_the_commands_syntax(nodes: MakeNodes) -> None:
    """dbt refuses `source:` with more than three parts."""
    graph = nodes(s_1="")
    graph["s_1"] = dataclasses.replace(graph["s_1"], fqn=("shop", "raw.data", "orders-eu 2"))
    assert selections(graph)["s_1"].text == "source:shop.raw?data.orders-eu?2"
