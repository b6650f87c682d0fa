from __future__ import annotations

import io
from collections.abc import Callable

from rich.console import Console

from goldsmith.dbt.node import Node
from goldsmith.plan.compile import compile_plan
from goldsmith.plan.preview import choices_listing, choices_table, explained
from goldsmith.plan.selected import Selected
from goldsmith.spec.pipeline import Pipeline

MakeNodes = Callable[..., dict[str, Node]]
Select = Callable[..., Selected]


def test_each_node_is_explained(nodes: MakeNodes, selected: Select) -> None:
    """What runs and why first, then what is skipped and why; with seconds where they are known."""
    graph = nodes(a="bronze/", t_a="bronze/a", b="silver/a", c="silver/a")
    plan = compile_plan(Pipeline(name="shop", tasks="model"), selected(graph))
    tasks = {node.task_id for node in plan.nodes if node.unique_id == "a"}
    found = explained(plan, tasks, {"a"}, lasted={"a": 1.25, "b": 9.0})
    assert {one.unique_id: (one.action, one.why, one.seconds) for one in found} == {
        "a": ("run", "selected", 1.25),
        "t_a": ("run", "shares a task with what is selected", None),
        "b": ("skip", "not selected", 9.0),
        "c": ("skip", "not selected", None),
    }
    assert [one["action"] for one in choices_listing(plan, found)["nodes"]].count("skip") == 2
    text = io.StringIO()
    Console(file=text, width=120).print(choices_table(found))
    lines = [" ".join(line.split()) for line in text.getvalue().splitlines()]
    assert lines[1] == "bronze.a.run model run selected 1.2 s"
    assert lines[3:5] == [
        "silver.b.run model skip not selected 9.0 s",
        "silver.c.run model skip not selected",
    ]
    assert lines[-1] == "2 run, 2 are skipped 1.2 s"


def test_what_is_loaded_comes_first(nodes: MakeNodes, selected: Select) -> None:
    """With the option that loads a file all the same."""
    plan = compile_plan(Pipeline(name="shop"), selected(nodes(a="bronze/")))
    found = explained(plan, (), (), lasted={}, loads={"lake.orders": True, "lake.items": False})
    listing = choices_listing(plan, found)
    assert [one["unique_id"] for one in listing["nodes"]] == ["a"]
    assert listing["ingest"] == [
        {
            "source": "lake.orders",
            "task_id": "ingest.orders",
            "action": "run",
            "why": "its source is selected",
        },
        {
            "source": "lake.items",
            "task_id": "ingest.items",
            "action": "skip",
            "why": "its source is not selected (--ingest loads it)",
        },
    ]
    text = io.StringIO()
    Console(file=text, width=120).print(choices_table(found))
    first = " ".join(text.getvalue().splitlines()[1].split())
    assert first == "ingest.orders ingest run its source is selected"
    assert "1 run, 2 are skipped" in text.getvalue()


def test_of_many_that_are_skipped_the_first_stand_in_the_table(nodes: MakeNodes, selected: Select) -> None:
    """The others are counted, by layer."""
    graph = nodes(**{f"m{number:02}": "bronze/" for number in range(45)}, last="silver/m01")
    plan = compile_plan(Pipeline(name="shop"), selected(graph))
    text = io.StringIO()
    Console(file=text, width=120).print(choices_table(explained(plan, (), (), lasted={})))
    assert "and 6 more: 5 in bronze, 1 in silver" in text.getvalue()
