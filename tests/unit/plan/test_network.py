"""Which pipeline waits for which: drawn, and with what cannot be."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from rich.console import Console
from tests.builders import plan_of, planned_node

from goldsmith.plan.draw_network import network_trees
from goldsmith.plan.network import Member, Network, listing
from goldsmith.spec.pipeline import Pipeline


def member(name: str, *after: str, updates: tuple[str, ...] = (), **spec: Any) -> Member:
    """A pipeline that updates some tables, and waits for assets such as `shop/orders`."""
    nodes = [planned_node(f"model.x.{table}", asset=f"goldsmith://{name}/{table}") for table in updates]
    uris = {"after": [f"goldsmith://{one}" for one in after]} if after else {}
    return Member(spec=Pipeline.parse({"name": name, **uris, **spec}), plan=plan_of(tuple(nodes)))


def drawn(network: Network) -> str:
    """As a terminal shows it."""
    console = Console(width=200)
    with console.capture() as said:
        console.print(network_trees(network), highlight=False)
    return said.get()


SHOP = member("shop", updates=("orders", "customers"))


def test_pipelines_stand_below_those_they_wait_for() -> None:
    """Each once, after all that it waits for; programs get the same."""
    crm = member("crm", "shop/customers", updates=("people",))
    mart = member("mart", "shop/orders", "crm/people", schedule="@daily")
    network = Network([mart, crm, SHOP, member("alone", schedule=None)])
    assert (
        network.in_order().index("mart") > network.in_order().index("crm") > network.in_order().index("shop")
    )
    assert (network.before("mart"), network.before("shop"), network.cycles()) == (("shop", "crm"), (), [])
    both = "goldsmith://shop/orders, goldsmith://crm/people"
    lines = [line.rstrip() for line in drawn(network).splitlines()]
    assert lines == [
        "alone  by hand  0 dbt tasks, 0 gates",
        "shop  @hourly  2 dbt tasks, 0 gates",
        "└── crm  after all of goldsmith://shop/customers  1 dbt task, 0 gates",
        f"    └── mart  @daily; after all of {both}  0 dbt tasks, 0 gates  also after shop",
    ]
    assert [one for one in listing(network) if one["name"] == "crm"] == [
        {
            "name": "crm",
            "schedule": None,
            "tasks": 1,
            "waits_for": [{"asset": "goldsmith://shop/customers", "updated_by": ["shop"]}],
        }
    ]


def test_an_asset_that_nobody_updates_is_said_with_what_was_meant() -> None:
    """It may be another DAG's."""
    network = Network([SHOP, member("mart", "shop/ordrs", "zzz/yyyyyyyyyyyyyyy")])
    assert network.unknown("mart") == ("goldsmith://shop/ordrs", "goldsmith://zzz/yyyyyyyyyyyyyyy")
    said = drawn(network)
    near = "which no pipeline here updates. Did you mean goldsmith://shop/orders"
    assert f"waits for goldsmith://shop/ordrs, {near}" in said
    assert "waits for goldsmith://zzz/yyyyyyyyyyyyyyy, which no pipeline here updates.\n" in said


def test_pipelines_that_wait_for_each_other_are_found() -> None:
    """Each cycle once, whoever hangs on it."""
    one = member("one", "three/t", updates=("t",))
    two = member("two", "one/t", updates=("t",))
    three = member("three", "two/t", updates=("t",))
    left, right = member("left", "right/t", updates=("t",)), member("right", "left/t", updates=("t",))
    below = member("below", "one/t")
    network = Network([one, two, three, left, right, below, SHOP])
    cycles = network.cycles()
    assert sorted(sorted(set(cycle)) for cycle in cycles) == [["left", "right"], ["one", "three", "two"]]
    for cycle in cycles:
        assert cycle[0] == cycle[-1]
        assert all(after in network.before(name) for name, after in pairwise(cycle))
    assert sorted(network.in_order()) == sorted(network.members)
    assert drawn(network).count("none of them starts by itself") == 2


def test_a_pipeline_without_a_plan_is_shown() -> None:
    """What it updates is not known, and what waits for it is told so."""
    network = Network([Member(spec=Pipeline(name="shop"), plan=None), member("mart", "shop/orders")])
    assert "shop  @hourly  cannot be planned" in drawn(network)
    assert network.unknown("mart") == ("goldsmith://shop/orders",)
