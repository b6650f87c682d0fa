"""Which build each node belongs to, and what a build waits for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from goldsmith.dbt.node import Node
from goldsmith.plan.compile import compile_plan
from goldsmith.plan.graph import PlanGraph
from goldsmith.plan.model import Plan
from goldsmith.plan.selected import Selected
from goldsmith.spec.pipeline import Pipeline

MakeNodes = Callable[..., dict[str, Node]]
Select = Callable[..., Selected]

SPEC = Pipeline(name="shop")
BY_NODE = Pipeline(name="shop", gate="node")


def built_by(plan: Plan) -> dict[str, str]:
    """Unique id to the task that builds it."""
    return {node.unique_id: node.build for node in plan.nodes}


def test_a_layer_has_one_build_which_waits_for_the_gate_and_which_all_its_nodes_wait_for(
    nodes: MakeNodes, selected: Select
) -> None:
    """Also a node whose parent is in the same build: it would start the moment the parent is marked."""
    plan = compile_plan(SPEC, selected(nodes(a="bronze/", t_a="bronze/a", b="silver/a", c="silver/b")))
    builds = {build.task_id: build for build in plan.builds}
    assert list(builds) == ["bronze.build", "silver.build"]
    assert (builds["bronze.build"].upstream, builds["bronze.build"].waits_for) == ((), "all_done")
    assert builds["silver.build"].upstream == ("bronze.gate",)
    assert builds["silver.build"].waits_for == "none_failed"
    upstream = {node.unique_id: set(node.upstream) for node in plan.nodes}
    assert upstream["b"] == {"bronze.a.run", "silver.build"}
    assert upstream["c"] == {"silver.b.run", "silver.build"}
    assert upstream["t_a"] == {"bronze.a.run", "bronze.build"}


def test_what_stands_outside_the_layers_joins_the_first_build_that_can_build_it(
    nodes: MakeNodes, selected: Select
) -> None:
    """A seed goes with bronze, a snapshot of a silver model with silver, whose gate waits for it and judges its own."""
    graph = nodes(seed="seeds/", a="bronze/seed", b="silver/a", kept="snapshots/b", c="gold/kept")
    plan = compile_plan(SPEC, selected(graph))
    assert built_by(plan) == {
        "seed": "bronze.build",
        "a": "bronze.build",
        "b": "silver.build",
        "kept": "silver.build",
        "c": "gold.build",
    }
    silver = next(gate for gate in plan.gates if gate.layer == "silver")
    assert silver.upstream == ("silver.b.run", "snapshots.kept.run")
    assert silver.judged == ("silver.b.run",)


def test_a_test_of_a_snapshot_and_an_earlier_layer_is_built_with_the_snapshot(
    nodes: MakeNodes, selected: Select
) -> None:
    """In bronze it would wait for silver, whose build waits for bronze's gate."""
    graph = nodes(a="bronze/", b="silver/a", kept="snapshots/b", t_kept="snapshots/a kept")
    plan = compile_plan(SPEC, selected(graph))
    assert built_by(plan)["t_kept"] == "silver.build"
    bronze = next(gate for gate in plan.gates if gate.layer == "bronze")
    assert bronze.judged == ("bronze.a.run",)


def test_without_gates_one_build_builds_all(nodes: MakeNodes, selected: Select) -> None:
    """dbt's own order rules within it."""
    plan = compile_plan(BY_NODE, selected(nodes(seed="seeds/", a="bronze/seed", b="gold/a")))
    assert [build.task_id for build in plan.builds] == ["build"]
    assert set(built_by(plan).values()) == {"build"}
    assert plan.builds[0].reconcile_id == "reconcile"


def test_what_lies_below_ends_at_gates(nodes: MakeNodes, selected: Select) -> None:
    """A failed test of bronze holds silver back at the gate alone."""
    graph = PlanGraph(
        compile_plan(SPEC, selected(nodes(a="bronze/", t_a="bronze/a", b="silver/a", c="silver/b")))
    )
    assert graph.below(["bronze.a.t"]) == set()
    assert graph.below(["bronze.a.run"]) == {"bronze.a.t", "silver.b.run", "silver.c.run"}
    order = graph.position
    assert order["bronze.build"] < order["bronze.a.run"] < order["bronze.gate"] < order["silver.build"]


def test_sources_are_checked_with_the_first_layer_that_reads_them(nodes: MakeNodes, selected: Select) -> None:
    """Their tables may be seeds of an earlier layer, to which dbt knows no edge; what nobody reads comes first."""
    graph = nodes(raw="bronze/", s_early="", s_late="", s_idle="", t_late="s_late", t_idle="s_idle")
    graph |= nodes(a="bronze/s_early", b="silver/s_late a", c="gold/e_c", e_c="s_late", t_e="s_early")
    for uid in ("s_early", "s_late", "s_idle"):
        graph[uid] = replace(graph[uid], has_freshness=True)
    plan = compile_plan(SPEC, selected(graph))
    assert {uid: build for uid, build in built_by(plan).items() if uid[:2] in ("s_", "t_")} == {
        "s_early": "bronze.build",
        "t_e": "bronze.build",
        "s_late": "silver.build",
        "t_late": "silver.build",
        "s_idle": "bronze.build",
        "t_idle": "bronze.build",
    }
    alone = compile_plan(SPEC.model_copy(update={"engine": "isolated"}), selected(graph))
    waits = {node.unique_id: node.upstream for node in alone.nodes}
    assert "bronze.gate" in waits["s_late"]
    assert "bronze.gate" not in (*waits["s_early"], *waits["s_idle"], *waits["raw"])
    assert set(waits["t_late"]) == {
        "bronze.gate",
        *(n.task_id for n in alone.nodes if n.unique_id == "s_late"),
    }
