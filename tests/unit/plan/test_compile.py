"""Layers, gates and names put together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from goldsmith.dbt.node import Node
from goldsmith.errors import PlanError
from goldsmith.plan.compile import compile_plan
from goldsmith.plan.model import Plan
from goldsmith.plan.names import MAX_TASK_ID
from goldsmith.plan.selected import Selected
from goldsmith.spec.pipeline import Pipeline

MakeNodes = Callable[..., dict[str, Node]]
Select = Callable[..., Selected]

SPEC = Pipeline(name="shop", engine="isolated")
BY_NODE = Pipeline(name="shop", engine="isolated", gate="node")


def upstream(plan: Plan) -> dict[str, set[str]]:
    """Unique id to the ids of the tasks right before it."""
    return {node.unique_id: set(node.upstream) for node in plan.nodes}


def test_a_layer_starts_at_the_gate_and_its_inner_edges_stay(nodes: MakeNodes, selected: Select) -> None:
    """Only the first tasks of a layer wait for the gate; the others follow from them."""
    plan = compile_plan(SPEC, selected(nodes(a="bronze/", t_a="bronze/a", b="silver/a", c="silver/b")))
    assert upstream(plan)["b"] == {"bronze.gate", "bronze.a.run"}
    assert upstream(plan)["c"] == {"silver.b.run"}
    assert [(gate.task_id, gate.upstream) for gate in plan.gates] == [
        ("bronze.gate", ("bronze.a.run", "bronze.a.t")),
        ("silver.gate", ("silver.b.run", "silver.c.run")),
    ]


def test_tests_reach_the_next_layer_through_the_gate_only(nodes: MakeNodes, selected: Select) -> None:
    """A later, tolerant gate must be able to let a run pass although a test is red."""
    graph = nodes(a="bronze/", t_a="bronze/a", b="silver/a")
    assert "bronze.a.t" not in upstream(compile_plan(SPEC, selected(graph)))["b"]
    assert "bronze.a.t" in upstream(compile_plan(BY_NODE, selected(graph)))["b"]


def test_a_test_belongs_to_the_latest_layer_it_reads_and_stands_there_once(
    nodes: MakeNodes, selected: Select
) -> None:
    """It waits for all it reads, whichever of them defines it."""
    plan = compile_plan(SPEC, selected(nodes(a="bronze/", b="gold/a", t_ab="bronze/a b")))
    (test,) = (node for node in plan.nodes if node.kind == "test")
    assert test.layer == "gold"
    assert set(test.upstream) == {"bronze.a.run", "gold.b.run"}


def test_nodes_outside_the_layers_are_kept_in_a_group_of_their_folder(
    nodes: MakeNodes, selected: Select
) -> None:
    """Nothing of a project is dropped."""
    plan = compile_plan(SPEC, selected(nodes(a="bronze/", loose="staging/a", alone="")))
    assert {node.unique_id: node.task_id for node in plan.nodes} == {
        "a": "bronze.a.run",
        "loose": "staging.loose.run",
        "alone": "models.alone.run",
    }


def test_an_edge_against_the_layers_offers_dbts_own_order(nodes: MakeNodes, selected: Select) -> None:
    """The error names both nodes and the ways out, and the ways out work."""
    graph = selected(nodes(g="gold/", s="silver/g"))
    with pytest.raises(PlanError, match=r"silver reads gold \(1\): s reads g\n") as caught:
        compile_plan(SPEC, graph)
    assert "Write `layers` in this order: bronze, gold, silver." in caught.value.hint
    assert "gate: node" in caught.value.hint
    reordered = {layer: SPEC.layers[layer] for layer in ("bronze", "gold", "silver")}
    assert upstream(compile_plan(Pipeline(name="shop", engine="isolated", layers=reordered), graph))["s"]
    assert upstream(compile_plan(BY_NODE, graph))["s"] == {"gold.g.run"}


def test_a_way_against_the_layers_through_a_loose_node_is_said(nodes: MakeNodes, selected: Select) -> None:
    """gold -> loose -> silver would wait for itself at the gate."""
    with pytest.raises(PlanError, match="s reads g through nodes outside the layers"):
        compile_plan(SPEC, selected(nodes(g="gold/", loose="other/g", s="silver/loose")))


def test_all_edges_against_the_layers_are_named(nodes: MakeNodes, selected: Select) -> None:
    """By pair of layers; if no order of the layers fits, none is proposed."""
    many = {f"b{number}": "bronze/s" for number in range(7)}
    graph = nodes(g="gold/b0", s="silver/", s2="silver/g", **many)
    with pytest.raises(
        PlanError, match=r"^8 edges run against the order of the layers bronze, silver, gold:"
    ) as caught:
        compile_plan(SPEC, selected(graph))
    assert "  bronze reads silver (7): b0 reads s, " in caught.value.message
    assert all(f"b{number} reads s" in caught.value.message for number in range(7))
    assert "  silver reads gold (1): s2 reads g" in caught.value.message
    assert caught.value.hint == "No order of these layers fits. Let dbt's own order rule: gate: node"


def test_a_node_in_two_layers_is_an_error(nodes: MakeNodes, selected: Select) -> None:
    """Both layers are named."""
    graph = selected(nodes(a="bronze/"))
    both = dataclasses.replace(graph, layer_matches={"bronze": {"a"}, "silver": {"a"}})
    with pytest.raises(PlanError, match="bronze and silver"):
        compile_plan(SPEC, both)


def test_any_name_fits_airflow_and_stays_unique(nodes: MakeNodes, selected: Select) -> None:
    """Ids are within 250 characters, and two tests that shorten to the same text stay apart."""
    long = "t_" + "x" * 400
    graph = nodes(a="bronze/", **{long: "bronze/a", f"{long}y": "bronze/a"})
    ids = [node.task_id for node in compile_plan(SPEC, selected(graph)).nodes]
    assert len(ids) == len(set(ids)) == 3
    assert max(map(len, ids)) <= MAX_TASK_ID


def test_models_of_one_name_in_two_packages_are_told_apart(nodes: MakeNodes, selected: Select) -> None:
    """The package joins the id of whatever is not the root project's, whether or not there is a twin."""
    graph = nodes(a="bronze/", b="bronze/")
    twin = dataclasses.replace(graph["b"], name="a", package="other", fqn=("other", "bronze", "a"))
    ids = {n.task_id for n in compile_plan(SPEC, selected({"a": graph["a"], "b": twin})).nodes}
    assert ids == {"bronze.a.run", "bronze.other.a.run"}


def test_what_reads_an_ingested_source_waits_for_its_load(selected: Select) -> None:
    """The freshness check comes right after the load, and the rest after the check."""
    source = Node(
        unique_id="source.shop.data_lake.orders",
        kind="source",
        name="data_lake_orders",
        package="shop",
        fqn=("shop", "bronze", "data_lake", "orders"),
        file="models/bronze/sources.yml",
        parents=(),
        table="data_lake.orders",
    )
    stg = Node(
        unique_id="model.shop.stg",
        kind="model",
        name="stg",
        package="shop",
        fqn=("shop", "bronze", "stg"),
        file="models/bronze/stg.sql",
        parents=(source.unique_id,),
    )
    ingest = {"source": "data_lake.orders", "file": "orders.csv", "key": ["id"], "columns": ["id"]}
    spec = Pipeline.parse({"name": "shop", "engine": "isolated", "ingest": [ingest]})
    load = spec.ingest[0].last_task_id
    plain = compile_plan(spec, selected({n.unique_id: n for n in (source, stg)}))
    assert upstream(plain) == {"model.shop.stg": {load}}
    fresh = dataclasses.replace(source, has_freshness=True)
    checked = compile_plan(spec, selected({n.unique_id: n for n in (fresh, stg)}))
    assert upstream(checked) == {
        source.unique_id: {load},
        stg.unique_id: {"sources.data_lake.orders.freshness"},
    }


def test_a_pipeline_without_tasks_is_an_error(nodes: MakeNodes, selected: Select) -> None:
    """Its runs would be green, and nothing would be built."""
    with pytest.raises(PlanError, match="nothing to run: none of its 2 nodes is a task"):
        compile_plan(SPEC, selected(nodes(s_raw="", e_a="bronze/s_raw")))


def test_all_sources_of_an_ingested_table_wait_for_its_load(nodes: MakeNodes, selected: Select) -> None:
    """Two names of one table, by `identifier`: what reads either of them waits."""
    graph = nodes(s_1="", s_2="", a="bronze/s_1", b="bronze/s_2")
    graph |= {uid: dataclasses.replace(graph[uid], table="raw.people") for uid in ("s_1", "s_2")}
    ingest = {"source": "raw.people", "file": "people.csv", "key": ["id"], "columns": ["id"]}
    spec = Pipeline.parse({"name": "shop", "engine": "isolated", "ingest": [ingest]})
    load = spec.ingest[0].last_task_id
    assert upstream(compile_plan(spec, selected(graph))) == {"a": {load}, "b": {load}}


def test_a_long_chain_of_diamonds_below_an_ingested_source_is_walked_once(
    nodes: MakeNodes, selected: Select
) -> None:
    """Of ephemeral models: each way through them would be looked at alone, which are 2 to the power of 60 here."""
    reads: dict[str, str] = {"end": "bronze/"}
    graph = nodes(**reads)
    source = dataclasses.replace(
        graph["end"],
        unique_id="source.shop.lake.orders",
        kind="source",
        name="lake_orders",
        table="lake.orders",
    )
    made = {source.unique_id: source}
    above = [source.unique_id]
    for number in range(60):
        level = [f"model.shop.e{number}{side}" for side in "ab"]
        for uid in level:
            name = uid.rsplit(".", 1)[1]
            made[uid] = dataclasses.replace(
                graph["end"], unique_id=uid, name=name, materialized="ephemeral", parents=tuple(above)
            )
        above = level
    end = dataclasses.replace(graph["end"], parents=tuple(above))
    made[end.unique_id] = end
    ingest = {"source": "lake.orders", "file": "orders.csv", "key": ["id"], "columns": ["id"]}
    spec = Pipeline.parse({"name": "shop", "engine": "isolated", "ingest": [ingest]})
    assert upstream(compile_plan(spec, selected(made))) == {end.unique_id: {spec.ingest[0].last_task_id}}


def test_an_ingest_that_no_source_reads_is_an_error(nodes: MakeNodes, selected: Select) -> None:
    """dbt would start before the load; most often it is a slip of the pen."""
    ingest = {"source": "data_lake.ordrs", "file": "orders.csv", "key": ["id"], "columns": ["id"]}
    spec = Pipeline.parse({"name": "shop", "engine": "isolated", "ingest": [ingest]})
    graph = nodes(s_raw="", a="bronze/s_raw")
    graph["s_raw"] = dataclasses.replace(graph["s_raw"], table="data_lake.orders")
    with pytest.raises(PlanError, match=r"data_lake\.ordrs, which is no source") as caught:
        compile_plan(spec, selected(graph))
    assert caught.value.hint == "Did you mean data_lake.orders?"


def test_what_is_left_out_does_not_break_the_order(nodes: MakeNodes, selected: Select) -> None:
    """Of a, b and c in a row, c waits for a when b is not selected, as in `dbt build --select a c`."""
    graph = nodes(a="bronze/", b="silver/a", c="gold/b")
    chosen = selected({uid: graph[uid] for uid in "ac"})
    plan = compile_plan(BY_NODE, dataclasses.replace(chosen, graph=graph))
    assert upstream(plan) == {"a": set(), "c": {"bronze.a.run"}}


def test_any_folder_name_makes_a_valid_id(nodes: MakeNodes, selected: Select) -> None:
    """Airflow allows no blanks and dots in the names of groups."""
    plan = compile_plan(SPEC, selected(nodes(m="1. my folder/")))
    [node] = plan.nodes
    assert node.task_id.startswith("1_my_folder_")
    assert (node.select, node.selects_more) == ("fqn:shop.1.?my?folder.m", 0)


def test_a_name_of_dbts_syntax_is_selected_by_wildcards(nodes: MakeNodes, selected: Select) -> None:
    """dbt reads a blank as the start of the next selection: it would run something else, or nothing."""
    graph = nodes(a="bronze/", t_a="bronze/a")
    odd = dataclasses.replace(graph["t_a"], fqn=("shop", "x+y, (really?)"))
    plan = compile_plan(SPEC, selected(graph | {"t_a": odd}))
    assert [(n.select, n.selects_more) for n in plan.nodes if n.kind == "test"] == [
        ("fqn:shop.x?y???really??", 0)
    ]


def test_one_node_is_selected_alone_where_names_are_prefixes(nodes: MakeNodes, selected: Select) -> None:
    """dbt matches an fqn as a prefix: a model named like a folder needs its path too."""
    graph = nodes(orders="bronze/", late="bronze/orders/")
    selects = {node.unique_id: node.select for node in compile_plan(SPEC, selected(graph)).nodes}
    assert selects == {
        "orders": "fqn:shop.bronze.orders,path:models/bronze/orders.sql",
        "late": "fqn:shop.bronze.orders.late",
    }


def test_a_selection_that_means_two_tests_says_so(nodes: MakeNodes, selected: Select) -> None:
    """Each has its own task; the command for people runs both."""
    graph = nodes(a="bronze/", t_one="bronze/a", t_two="bronze/a")
    twin = dataclasses.replace(graph["t_two"], fqn=graph["t_one"].fqn, file=graph["t_one"].file)
    plan = compile_plan(SPEC, selected(graph | {"t_two": twin}))
    tests = [node for node in plan.nodes if node.kind == "test"]
    assert len({node.task_id for node in tests}) == len(tests) == 2
    assert {node.command("build") for node in tests} == {
        "dbt build --select fqn:shop.bronze.t_one,path:models/bronze/t_one.sql  # runs 1 more of the same name"
    }


def test_a_plan_survives_its_way_through_json(nodes: MakeNodes, selected: Select) -> None:
    """What the DAG file loads is what was compiled."""
    import json

    plan = compile_plan(SPEC, selected(nodes(a="bronze/", t_a="bronze/a", b="silver/a")))
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


def test_without_freshness_no_source_is_checked(selected: Select, nodes: MakeNodes) -> None:
    """`freshness: off` builds what `dbt build` builds."""
    graph = nodes(s_raw="", a="bronze/s_raw")
    graph["s_raw"] = dataclasses.replace(graph["s_raw"], has_freshness=True)
    checked = compile_plan(SPEC, selected(graph))
    plain = compile_plan(Pipeline(name="shop", engine="isolated", freshness="off"), selected(graph))
    assert {node.unique_id for node in checked.nodes} == {"s_raw", "a"}
    assert {node.unique_id for node in plain.nodes} == {"a"}
    assert upstream(plain) == {"a": set()}
    assert plain.not_run == ("s_raw",)


def test_a_function_is_a_task_that_waits_for_no_test(nodes: MakeNodes, selected: Select) -> None:
    """As in dbt: what calls the function waits for the test, the function does not."""
    graph = nodes(a="bronze/", t_a="bronze/a", f="", b="bronze/f")
    graph["f"] = dataclasses.replace(
        graph["f"], kind="function", parents=("a",), file="functions/f.sql", relation="f"
    )
    plan = compile_plan(BY_NODE, selected(graph))
    assert upstream(plan)["f"] == {"bronze.a.run"}
    assert upstream(plan)["b"] == {"functions.f.function", "bronze.a.t"}
    assert [node.asset for node in plan.nodes if node.kind == "function"] == [""]


def test_a_file_without_code_is_no_task(nodes: MakeNodes, selected: Select) -> None:
    """dbt keeps the node and never runs it; what reads it still comes after what it reads."""
    graph = nodes(a="bronze/", blank="bronze/a", c="bronze/blank")
    graph["blank"] = dataclasses.replace(graph["blank"], is_empty=True)
    plan = compile_plan(BY_NODE, selected(graph))
    assert upstream(plan) == {"a": set(), "c": {"bronze.a.run"}}
    assert plan.not_run == ("blank",)
