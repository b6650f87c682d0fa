"""How nodes come to share a task: ids, edges, gates; and that the tasks can be put in order, for any graph."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldsmith.dbt.node import Node
from goldsmith.plan import tasks
from goldsmith.plan.compile import compile_plan
from goldsmith.plan.graph import PlanGraph
from goldsmith.plan.model import Plan
from goldsmith.plan.names import MAX_TASK_ID
from goldsmith.plan.selected import Selected
from goldsmith.plan.show import plan_tree
from goldsmith.spec.pipeline import Pipeline

MakeNodes = Callable[..., dict[str, Node]]
Select = Callable[..., Selected]

GRAPH = {
    "a": "bronze/",
    "t_a1": "bronze/a",
    "t_a2": "bronze/a",
    "b": "silver/a",
    "u_b": "silver/b",
    "t_b": "silver/b",
    "t_ab": "silver/a b",
    "c": "silver/b",
}


def spec(how: str, **values: Any) -> Pipeline:
    """A pipeline with that granularity."""
    return Pipeline.model_validate({"name": "shop", "gate": "node", "tasks": how, **values})


def members(plan: Plan) -> dict[str, list[str]]:
    """Task id to the unique ids of its nodes, in their order."""
    return {task_id: [node.unique_id for node in nodes] for task_id, nodes in PlanGraph(plan).tasks.items()}


def test_a_test_each(nodes: MakeNodes, selected: Select) -> None:
    """Nothing is put together."""
    plan = compile_plan(spec("test"), selected(nodes(**GRAPH)))
    assert {len(ones) for ones in members(plan).values()} == {1}
    assert len(plan.nodes) == len(GRAPH)


def test_a_models_tests_together(nodes: MakeNodes, selected: Select) -> None:
    """With the last node they read; unit tests before their model, and what waited for a test waits for all."""
    plan = compile_plan(spec("model_tests"), selected(nodes(**GRAPH)))
    assert members(plan) == {
        "bronze.a.run": ["a"],
        "bronze.a.tests": ["t_a1", "t_a2"],
        "silver.b.run": ["b"],
        "silver.b.tests": ["t_ab", "t_b"],
        "silver.b.unit_tests": ["u_b"],
        "silver.c.run": ["c"],
    }
    upstream = {task: set(before) - {"build"} for task, before in PlanGraph(plan).upstream.items()}
    assert upstream == {
        "bronze.a.run": set(),
        "bronze.a.tests": {"bronze.a.run"},
        "silver.b.run": {"bronze.a.run", "bronze.a.tests", "silver.b.unit_tests"},
        "silver.b.tests": {"bronze.a.run", "silver.b.run"},
        "silver.b.unit_tests": {"bronze.a.run", "bronze.a.tests"},
        "silver.c.run": {"silver.b.run", "silver.b.tests"},
    }
    first, second = PlanGraph(plan).tasks["bronze.a.tests"]
    assert (first.display_name, first.group, first.unit) == ("tests", "bronze", "bronze.a.run")
    assert "t_a1" in first.docs
    assert "t_a2" in first.docs
    assert (second.display_name, second.docs, second.label) == ("tests", "", "t_a2")


def test_a_model_with_its_tests(nodes: MakeNodes, selected: Select) -> None:
    """The model's id stays, comes first, and no group is left for a single task."""
    plan = compile_plan(spec("model"), selected(nodes(**GRAPH)))
    assert members(plan) == {
        "bronze.a.run": ["a", "t_a1", "t_a2"],
        "silver.b.run": ["b", "t_ab", "t_b", "u_b"],
        "silver.c.run": ["c"],
    }
    assert all(node.task_id not in node.upstream for node in plan.nodes)
    assert set(PlanGraph(plan).upstream["silver.b.run"]) == {"bronze.a.run", "build"}
    assert {(node.display_name, node.unit) for node in plan.nodes if node.task_id == "silver.b.run"} == {
        ("b", "")
    }


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("model_tests", {"silver.b.run", "silver.b.tests", "silver.b.unit_tests", "silver.c.run"}),
        ("model", {"silver.b.run", "silver.c.run"}),
    ],
)
def test_gates_judge_the_tasks_that_are_left(
    nodes: MakeNodes, selected: Select, how: str, expected: set[str]
) -> None:
    """Each once; and the asset of a node is updated by its gate as before."""
    plan = compile_plan(spec(how, gate="layer"), selected(nodes(**GRAPH)))
    silver = next(gate for gate in plan.gates if gate.layer == "silver")
    assert set(silver.judged) == set(silver.upstream) == expected
    assert len(silver.judged) == len(expected)
    assert {node.updated_by for node in plan.nodes} == {"bronze.gate", "silver.gate"}
    assert {node.build for node in plan.nodes if node.task_id in expected} == {"silver.build"}


@pytest.mark.parametrize("how", ["model_tests", "model"])
def test_a_test_with_arguments_of_its_own_keeps_its_task(
    nodes: MakeNodes, selected: Select, how: str
) -> None:
    """And so does one that waits for it: through the ephemeral model `e_a`, which reads what the first one tests."""
    graph = nodes(a="bronze/", t_a="bronze/a", t_x="bronze/a", e_a="silver/a", t_e="silver/e_a")
    graph["t_a"] = dataclasses.replace(graph["t_a"], operator_kwargs={"pool": "heavy"})
    plan = compile_plan(spec(how), selected(graph))
    alone = {"bronze.a.t": ["t_a"], "silver.e_a.t_e": ["t_e"]}
    joint = {"model_tests": {"bronze.a.run": ["a"], "bronze.a.tests": ["t_x"]}}
    assert members(plan) == alone | joint.get(how, {"bronze.a.run": ["a", "t_x"]})
    assert {node.unit for node in plan.nodes} == {"bronze.a.run"}


def test_a_unit_test_of_an_ephemeral_model_comes_after_what_it_reads(
    nodes: MakeNodes, selected: Select
) -> None:
    """It stands with that node, and not with the unit tests before it."""
    graph = nodes(a="bronze/", u_a="bronze/a", e_a="silver/a", u_e="silver/e_a")
    plan = compile_plan(spec("model_tests"), selected(graph))
    assert members(plan) == {
        "bronze.a.run": ["a"],
        "bronze.a.tests": ["u_e"],
        "bronze.a.unit_tests": ["u_a"],
    }


def test_the_tests_of_a_model_that_goes_on_after_an_error_stay_apart(
    nodes: MakeNodes, selected: Select
) -> None:
    """A failed test holds back what reads the model, the model itself does not: one task could not say which it was."""
    graph = nodes(
        o_a="bronze/", u_a="bronze/o_a", t_a="bronze/o_a", e_a="silver/o_a", u_e="silver/e_a", b="silver/e_a"
    )
    plan = compile_plan(spec("model"), selected(graph))
    assert members(plan) == {
        "bronze.o_a.run": ["o_a", "u_a"],
        "bronze.o_a.tests": ["t_a", "u_e"],
        "silver.b.run": ["b"],
    }
    found = PlanGraph(plan)
    assert found.going_on == {"bronze.o_a.run"}
    assert found.below(["bronze.o_a.run"]) == {"bronze.o_a.tests", "silver.b.run"}
    assert found.held_back(["bronze.o_a.run"]) == set()
    assert found.held_back(["bronze.o_a.tests"]) == {"silver.b.run"}


@pytest.mark.parametrize("how", ["model_tests", "model"])
def test_tests_of_a_source_share_a_task(nodes: MakeNodes, selected: Select, how: str) -> None:
    """They read nothing that has a task."""
    graph = nodes(s_raw="", t_1="bronze/s_raw", t_2="bronze/s_raw", a="bronze/s_raw")
    plan = compile_plan(spec(how), selected(graph))
    found = members(plan)
    [joint] = set(found) - {"bronze.a.run"}
    assert joint.startswith("sources.shop.s_raw.tests_")
    assert found == {"bronze.a.run": ["a"], joint: ["t_1", "t_2"]}
    assert set(PlanGraph(plan).upstream["bronze.a.run"]) == {"build", joint}


def test_a_test_called_tests_gets_a_hash(nodes: MakeNodes, selected: Select) -> None:
    """Whether or not it keeps its task: the id of the other tests' task does not depend on it."""
    graph = nodes(a="bronze/", t_a="bronze/a", t_b="bronze/a")
    own = dataclasses.replace(graph["t_a"], name="tests", operator_kwargs={"pool": "heavy"})
    found = members(compile_plan(spec("model_tests"), selected(graph | {"t_a": own})))
    assert found.pop("bronze.a.tests") == ["t_b"]
    assert found.pop("bronze.a.run") == ["a"]
    [(other, uids)] = found.items()
    assert other.startswith("bronze.a.tests_")
    assert uids == ["t_a"]
    graph["t_a"] = dataclasses.replace(own, operator_kwargs={})
    together = members(compile_plan(spec("model_tests"), selected(graph)))
    assert together == {"bronze.a.run": ["a"], "bronze.a.tests": ["t_b", "t_a"]}


def test_ids_stay_within_airflows_limit(nodes: MakeNodes, selected: Select) -> None:
    """Whatever the names are."""
    layer, name = "l" * 60, "m" * 180
    graph = nodes(**{name: f"{layer}/", "t_a": f"{layer}/{name}", "u_a": f"{layer}/{name}"})
    made = selected(graph, (layer,))
    plan = compile_plan(spec("model_tests", layers={layer: f"path:models/{layer}/"}), made)
    assert max(len(node.task_id) for node in plan.nodes) <= MAX_TASK_ID
    assert len(members(plan)) == 3


def test_auto_takes_the_finest_that_is_cheap(
    nodes: MakeNodes, selected: Select, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the number of tasks that each would give; it says why. Isolated tasks run one node each."""
    made = selected(nodes(**GRAPH))
    found = []
    for most in (8, 7, 5):
        monkeypatch.setattr(tasks, "MOST_TASKS", most)
        plan = compile_plan(spec("auto"), made)
        found.append((plan.tasks, len(members(plan))))
        assert "tasks" in plan.tasks_because
        assert f"tasks: {plan.tasks} (auto: {plan.tasks_because})" in str(plan_tree(plan).label)
    assert found == [("test", 8), ("model_tests", 6), ("model", 3)]
    isolated = compile_plan(spec("auto", engine="isolated"), made)
    assert (isolated.tasks, len(members(isolated))) == ("test", 8)
    assert compile_plan(spec("model"), made).tasks_because == ""


def test_the_tree_shows_what_shares_a_task(nodes: MakeNodes, selected: Select) -> None:
    """Each test by its name, below its task."""
    shown = {}
    for how in ("test", "model_tests", "model"):
        lines: list[str] = []
        ahead = [(plan_tree(compile_plan(spec(how), selected(nodes(**GRAPH)))), 0)]
        while ahead:
            tree, depth = ahead.pop()
            lines.append("  " * depth + str(tree.label))
            ahead += [(child, depth + 1) for child in reversed(tree.children)]
        shown[how] = lines
    assert shown["test"][:5] == [
        "shop: 8 dbt tasks, 0 gates\ntasks: test",
        "  bronze  1 model, 2 tests",
        "    a  model",
        "      t_a1  test",
        "      t_a2  test",
    ]
    assert shown["model_tests"][:6] == [
        "shop: 6 dbt tasks of 8 dbt nodes, 0 gates\ntasks: model_tests",
        "  bronze  1 model, 2 tests",
        "    a  model",
        "      tests  one task: 2 tests",
        "        t_a1  test",
        "        t_a2  test",
    ]
    assert "      run  one task: 1 model, 2 tests" in shown["model"]


@st.composite
def projects(draw: st.DrawFn) -> dict[str, str]:
    """Models, ephemeral ones, tests and unit tests in folders; each reads what comes before it.

    Some are models that go on after an error, some read nothing.
    """
    graph: dict[str, str] = {"m_first": "bronze/"}
    flow = ["m_first"]
    for number in range(draw(st.integers(0, 14))):
        kind = draw(st.sampled_from("meetllou"))
        folder = draw(st.sampled_from(["bronze", "silver", "seeds"]))
        most = 1 if kind == "u" else 2
        reads = sorted(draw(st.sets(st.sampled_from(flow), max_size=most))) if flow else []
        name = f"{kind}_{number}"
        graph[name] = f"{folder}/{' '.join(reads)}"
        if kind in "meo":
            flow.append(name)
    return graph


@given(projects(), st.sampled_from(["model_tests", "model"]))
@settings(max_examples=400)
def test_any_project_gets_tasks_and_groups_that_can_be_ordered(graph: dict[str, str], how: str) -> None:
    """Whichever tests keep a task of their own; no node is lost, and every id is one task's."""
    made = {name: _node(name, text) for name, text in graph.items()}
    found = Selected(
        adapter="postgres",
        nodes=made,
        graph=made,
        layer_matches={
            layer: {uid for uid, node in made.items() if node.file.startswith(f"models/{layer}/")}
            for layer in ("bronze", "silver", "gold")
        },
        exposures=(),
        manifest_checksum="m",
        dbt_version="1",
        project_name="shop",
    )
    fine = compile_plan(spec("test"), found)
    plan = compile_plan(spec(how), found)
    ordered = PlanGraph(plan)
    assert {node.unique_id for node in plan.nodes} == {node.unique_id for node in fine.nodes}
    for task_id, before in ordered.upstream.items():
        assert all(ordered.position[one] < ordered.position[task_id] for one in before)
    # What had to come before a node still does: in another task before it, or in its own.
    place = ordered.task_of
    by_old_id = {node.task_id: node.unique_id for node in fine.nodes}
    for node in fine.nodes:
        for one in node.upstream:
            old = by_old_id.get(one)
            if old and place[old] != place[node.unique_id]:
                assert place[old] in ordered.upstream[place[node.unique_id]]
    _check_groups(ordered)


def _check_groups(graph: PlanGraph) -> None:
    """A task stands in one group, and groups that share a level never wait for each other."""
    from graphlib import TopologicalSorter

    levels: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for task_id, nodes in graph.tasks.items():
        assert len({(node.group, node.unit, node.display_name, node.owner) for node in nodes}) == 1
        here = nodes[0]
        for before in graph.upstream[task_id]:
            there = graph.tasks[before][0] if before in graph.tasks else None
            if there and there.group != here.group:
                levels[""][here.group].add(there.group)
            elif there and (there.unit or before) != (here.unit or task_id):
                levels[here.group][here.unit or task_id].add(there.unit or before)
    for waits in levels.values():
        list(TopologicalSorter(waits).static_order())


def _node(name: str, text: str) -> Node:
    folder, _, parents = text.partition("/")
    before = tuple(parents.split())
    kind = {"t": "test", "l": "test", "u": "unit_test"}.get(name[0], "model")
    return Node(
        unique_id=name,
        kind=kind,
        name=name,
        package="shop",
        fqn=("shop", folder, name),
        file=f"models/{folder}/{name}.sql",
        parents=before,
        attached=before[0] if kind != "model" and before else "",
        materialized="ephemeral" if name[0] == "e" else "table",
        operator_kwargs={"pool": "heavy"} if name[0] == "l" else {},
    )
