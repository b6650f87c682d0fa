"""Task ids: for any name that dbt allows, and of its node alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from goldsmith.dbt.node import Node
from goldsmith.dbt.test_names import has_own_name
from goldsmith.plan.layers import assign_layers
from goldsmith.plan.names import MAX_TASK_ID, name_tasks

MakeNodes = Callable[..., dict[str, Node]]


def ids_of(nodes: Mapping[str, Node]) -> dict[str, str]:
    """Unique id to task id, all models in the layer bronze."""
    bronze = {uid for uid, node in nodes.items() if node.kind == "model" and node.package == "shop"}
    layers = assign_layers(nodes, {"bronze": bronze})
    named = name_tasks(nodes, layers, nodes, project="shop")
    return {uid: name.task_id for uid, name in named.items()}


def named(made: dict[str, Node], **names: str) -> dict[str, Node]:
    """Nodes with other names."""
    return {uid: dataclasses.replace(node, name=names.get(uid, node.name)) for uid, node in made.items()}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("клиенты", "заказы"),
        ("a.b", "a_b"),
        ("Orders", "orders"),
        ("x-y", "x_y"),
        ("a b", "a_b"),
        ("_", "__"),
        ("m" * 130 + "1", "m" * 130 + "2"),
    ],
)
def test_names_that_are_cleaned_stay_apart(nodes: MakeNodes, one: str, other: str) -> None:
    """A hash stands for what was lost, so that each of the two has the id that it has alone."""
    both = named(nodes(a="bronze/", b="bronze/"), a=one, b=other)
    found = ids_of(both)
    assert len(set(found.values())) == 2
    for uid, node in both.items():
        assert ids_of({uid: node}) == {uid: found[uid]}


def test_a_simple_name_keeps_its_id(nodes: MakeNodes) -> None:
    """No hash where nothing was changed and nobody else can have the name."""
    graph = nodes(orders="bronze/", s_raw="", t_1="bronze/orders", u_sums="bronze/orders", t_file="bronze/")
    graph["t_1"] = dataclasses.replace(
        graph["t_1"], name="relationships_orders_customer_id__id__ref_customers_", is_generic=True
    )
    graph["s_raw"] = dataclasses.replace(graph["s_raw"], fqn=("shop", "bronze", "lake", "raw"))
    assert ids_of(graph) == {
        "orders": "bronze.orders.run",
        "t_1": "bronze.orders.relationships_customer_id__id__ref_customers",
        "u_sums": "bronze.orders.unit_u_sums",
        "t_file": "tests.tests.t_file",
        "s_raw": "sources.lake.raw.freshness",
    }


def test_columns_that_end_with_the_models_name_rename_no_other_test(nodes: MakeNodes) -> None:
    """dbt calls the tests `unique_orders_total` and `unique_orders_total_orders`: both have a name of their own."""
    graph = nodes(orders="bronze/", t_1="bronze/orders", t_2="bronze/orders", t_3="bronze/orders")
    for uid, column in (("t_1", "total"), ("t_2", "total_orders"), ("t_3", "orders")):
        graph[uid] = dataclasses.replace(graph[uid], name=f"unique_orders_{column}", is_generic=True)
    found = ids_of(graph)
    assert [found[uid] for uid in ("t_1", "t_2", "t_3")] == [
        "bronze.orders.unique_total",
        "bronze.orders.unique_total_orders",
        "bronze.orders.unique_orders",
    ]


def test_sources_whose_joined_names_are_equal_stay_apart(nodes: MakeNodes) -> None:
    """`a_b`.`c` and `a`.`b_c`."""
    graph = nodes(s_1="", s_2="")
    graph["s_1"] = dataclasses.replace(graph["s_1"], fqn=("shop", "a_b", "c"), name="a_b_c")
    graph["s_2"] = dataclasses.replace(graph["s_2"], fqn=("shop", "a", "b_c"), name="a_b_c")
    assert set(ids_of(graph).values()) == {"sources.a_b.c.freshness", "sources.a.b_c.freshness"}


def test_a_version_of_a_model_is_no_other_model(nodes: MakeNodes) -> None:
    """Version 1 of `orders`; models called `orders_v1`, and `v1` of a package `orders`; a version with a name."""
    graph = nodes(one="bronze/", two="bronze/", three="bronze/", beta="bronze/", four="bronze/")
    made = {
        "one": ("shop", ("shop", "orders", "v1"), "orders_v1"),
        "two": ("shop", ("shop", "orders_v1"), "orders_v1"),
        "three": ("orders", ("orders", "v1"), "v1"),
        "beta": ("shop", ("shop", "orders", "vbeta"), "orders_vbeta"),
        "four": ("orders", ("orders", "vbeta"), "vbeta"),
    }
    for uid, (package, fqn, name) in made.items():
        graph[uid] = dataclasses.replace(graph[uid], package=package, fqn=fqn, name=name)
    found = {
        uid: name_tasks({uid: node}, {uid: "bronze"}, graph, project="shop")[uid].task_id
        for uid, node in graph.items()
    }
    assert len(set(found.values())) == len(found)
    assert (found["one"], found["two"]) == ("bronze.orders.v1.run", "bronze.orders_v1.run")
    every = name_tasks(graph, dict.fromkeys(graph, "bronze"), graph, project="shop")
    assert {uid: one.task_id for uid, one in every.items()} == found


def test_a_test_called_unit_is_no_unit_test(nodes: MakeNodes) -> None:
    """A generic test `unit` of the column `price`, and the unit test `price`."""
    graph = nodes(orders="bronze/", t_1="bronze/orders", u_1="bronze/orders")
    graph["t_1"] = dataclasses.replace(graph["t_1"], name="unit_orders_price", is_generic=True)
    graph["u_1"] = dataclasses.replace(graph["u_1"], name="price")
    found = ids_of(graph)
    assert found["u_1"] == "bronze.orders.unit_price"
    for left_out in ("t_1", "u_1"):
        rest = {uid: node for uid, node in graph.items() if uid != left_out}
        assert ids_of(rest) == {uid: found[uid] for uid in rest}


NAMES = st.sampled_from(
    ["orders", "Orders", "tests", "run", "a.b", "a_b", "клиенты", "x+y", "unique_id", "unit_tests", "m" * 300]
)


@st.composite
def projects(draw: st.DrawFn) -> dict[str, Node]:
    """Models, their tests of any names, some of which others may have, and tests in files."""
    found: dict[str, Node] = {}
    for number in range(draw(st.integers(2, 8))):
        kind = draw(st.sampled_from(["model", "test", "unit_test", "file"]))
        name, package = draw(NAMES), draw(st.sampled_from(["shop", "other", "склад"]))
        models = [one for one, node in found.items() if node.kind == "model"]
        if kind in ("test", "unit_test") and not models:
            continue
        owner = draw(st.sampled_from(models)) if kind in ("test", "unit_test") else ""
        # dbt refuses a second model and test file of one name in a package, and a second unit test of a model.
        uid = f"{kind}.{package}.{owner}.{name}" + (f".{number}" if kind == "test" else "")
        found[uid] = Node(
            unique_id=uid,
            kind="test" if kind == "file" else kind,
            name=name,
            package=package,
            fqn=(package, name),
            file=f"models/bronze/{name}.sql",
            parents=(owner,) if owner else (),
            attached=owner,
            is_generic=kind == "test",
            has_own_name=kind != "test",
        )
    return found


@given(projects())
@settings(max_examples=300)
def test_adding_a_node_renames_no_other(graph: dict[str, Node]) -> None:
    """Every id is one task's, is legal in Airflow, and is there without any node that its own does not read."""
    found = ids_of(graph)
    assert len({*found.values()}) == len(found)
    assert all(one.isascii() and len(one) <= MAX_TASK_ID for one in found.values())
    for left_out in graph:
        rest = {uid: node for uid, node in graph.items() if left_out not in (uid, *node.parents)}
        assert ids_of(rest) == {uid: found[uid] for uid in rest}


def entry(name: str, test: str = "unique", **kwargs: object) -> dict[str, object]:
    """A generic test as a manifest has it."""
    return {"name": name, "test_metadata": {"name": test, "namespace": None, "kwargs": kwargs}, "config": {}}


@pytest.mark.parametrize(
    ("test", "is_own"),
    [
        (entry("unique_orders_id", column_name="id", model="{{ ref('orders') }}"), True),
        (entry("unique_orders__id_", column_name="_id_"), True),
        (entry("positive_orders_id", "positive", column_name="id"), True),
        # `not_null` of the column `where_id` is as short; so is `a` of `b_c` beside `a_b` of `c`.
        (entry("not_null_where_orders_id", "not_null_where", column_name="id"), False),
        (entry("a_b_orders_c", "a_b", column_name="c"), False),
        (entry("not_orders_null_x", "not", column_name="null_x"), False),
        (entry("a_name_of_its_own", column_name="id"), False),
        (entry("unique_orders_x_0", column_name="x > 0"), False),
        (entry("accepted_values_o_x__a__b", "accepted_values", column_name="x", values=["a", "b"]), True),
        (entry("accepted_values_o_x__a__b", "accepted_values", column_name="x", values=["a__b"]), False),
        (
            entry(
                "relationships_o_x__id__ref_c_", "relationships", column_name="x", field="id", to="ref('c')"
            ),
            True,
        ),
        (entry("positive_o_x__3", "positive", column_name="x", over=3), False),
        ({**entry("unique_orders_id", column_name="id"), "config": {"where": "id > 3"}}, False),
        ({**entry("unique_orders_id", column_name="id"), "config": {"severity": "WARN"}}, True),
        ({"name": "assert_all"}, True),
    ],
)
def test_which_names_of_tests_are_theirs_alone(test: dict[str, object], is_own: bool) -> None:  # noqa: FBT001
    """Those that dbt makes of the test, its node and plain arguments; not those that a person or a config made."""
    assert has_own_name(test) is is_own


def test_names_that_are_made_to_collide_get_a_hash(nodes: MakeNodes) -> None:
    """Tests of a source `x`.`y` and of a model `y` of a package `x`, in one layer."""
    graph = nodes(s_1="", model="bronze/", t_1="s_1", t_2="model")
    graph["s_1"] = dataclasses.replace(graph["s_1"], fqn=("shop", "x", "y"), name="x_y")
    graph["model"] = dataclasses.replace(graph["model"], package="x", fqn=("x", "bronze", "y"), name="y")
    for uid, package in (("t_1", "shop"), ("t_2", "x")):
        graph[uid] = dataclasses.replace(graph[uid], name="checked", package=package, has_own_name=True)
    found = name_tasks(graph, dict.fromkeys(graph, "bronze"), graph, project="shop")
    ids = {uid: one.task_id for uid, one in found.items()}
    assert ids["t_1"].startswith("bronze.x.y.checked")
    assert ids["t_2"].startswith("bronze.x.y.checked")
    assert len(set(ids.values())) == len(ids)
