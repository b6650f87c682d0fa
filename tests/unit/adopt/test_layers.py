"""Layers proposed for layouts that people have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from goldsmith.adopt.layers import Proposal, propose
from goldsmith.dbt.node import Node

Graph = dict[str, Node]


def graph(*models: str, package: str = "shop", top: str = "models", **more: Node) -> Graph:
    """Models such as `staging/a` or `marts/b < a, c`: folder and name, and what it reads."""
    found: Graph = {}
    for text in models:
        path, _, reads = text.partition(" < ")
        *folders, name = path.split("/")
        found[name] = Node(
            unique_id=name,
            kind="model",
            name=name,
            package=package,
            fqn=(package, *folders, name),
            file="/".join([top, *folders, f"{name}.sql"]),
            parents=tuple(reads.split(", ")) if reads else (),
        )
    return found | more


def layers(nodes: Graph, **more: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The proposed ones, with gates."""
    found = propose(nodes, project="shop", **more)
    assert found.gate == ("layer" if found.layers else "node")
    return dict(found.layers)


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        (("staging/a", "intermediate/b < a", "marts/c < b"), "staging intermediate marts"),
        (("staging/x/a", "staging/y/b", "marts/core/c < a, b"), "staging marts"),
        (("gold/c < b", "bronze/a", "silver/b < a"), "bronze silver gold"),
        (("L3/c < b", "L1/a", "L2/b < a"), "L1 L2 L3"),
        (("raw_stage/a", "stage/b < a", "raw_vault/c < b", "mart/d < c"), "raw_stage stage raw_vault mart"),
        (("1_raw/a", "2-dimensional/b < a"), "1_raw 2-dimensional"),
        (("jaffle/staging/a", "jaffle/marts/b < a"), "jaffle/staging jaffle/marts"),
        (("staging/a", "topics/b < a", "marts/c < b", "odd marts/d"), "staging marts"),
    ],
)
def test_folders_that_are_called_like_layers(models: tuple[str, ...], expected: str) -> None:
    """In the order of the graph, with the paths as they are; what is called otherwise stands outside."""
    found = layers(graph(*models))
    assert list(found.values()) == [(f"path:models/{folder}/",) for folder in expected.split()]
    names = [folder.rpartition("/")[2].lower().replace("-", "_") for folder in expected.split()]
    assert list(found) == [name if name[0].isalpha() else f"l{name}" for name in names]


def test_loose_models_beside_folders_are_a_layer_of_names() -> None:
    """Their place is where the graph has them; if they stand before and behind, outside."""
    found = layers(graph("staging/a", "orders < a", "customers < orders", "reports/r < customers"))
    assert found == {
        "staging": ("path:models/staging/",),
        "models": ("customers", "orders"),
        "reports": ("path:models/reports/",),
    }
    assert layers(graph("staging/a", "staging/b", "orders < a")) == {
        "staging": ("path:models/staging/",),
        "models": ("orders",),
    }
    found = layers(graph("first", "staging/a < first", "staging/b", "marts/c < a", "last < c"))
    assert list(found) == ["staging", "marts"]


def test_folders_that_wait_for_each_other_are_one_layer_or_none() -> None:
    """The edges are named; nodes in no layer lead from one to another too."""
    found = propose(
        graph("staging/a", "intermediate/b < a, d", "marts/c < b", "marts/d < a", "reports/e < c"),
        project="shop",
    )
    assert list(found.layers.items()) == [
        ("staging", ("path:models/staging/",)),
        ("intermediate_marts", ("path:models/intermediate/", "path:models/marts/")),
        ("reports", ("path:models/reports/",)),
    ]
    assert sorted(found.against) == [("b", "c"), ("d", "b")]
    assert "are one layer: intermediate_marts" in found.why
    found = propose(graph("staging/a", "marts/b < a", "staging/c < other", "other < b"), project="shop")
    assert (found.layers, found.gate) == ({}, "node")
    assert sorted(found.against) == [("a", "b"), ("b", "c")]
    assert "wait for each other" in found.why


@pytest.mark.parametrize(
    ("models", "why"),
    [
        (
            ("finance/a", "marketing/b < a", "ops/c"),
            "no folders that are called like layers (finance, marketing, ops)",
        ),
        (("a", "b < a"), "all models stand in one folder"),
        (("staging/a",), "no folders that are called like layers (staging)"),
        (("finance/a", "sales/b", "staging/c", "marts/d", "ops/e", "hr/f"), "no folders that are called"),
    ],
)
def test_projects_by_topic_or_flat_have_no_layers(models: tuple[str, ...], why: str) -> None:
    """dbt's own order rules."""
    found = propose(graph(*models), project="shop")
    assert (found.layers, found.gate) == ({}, "node")
    assert why in found.why


def test_tags_may_be_layers() -> None:
    """If each model has one of them."""
    nodes = graph("x/a", "y/b < a", "x/c < b")
    tags = (("bronze", "daily"), ("silver",), ("gold",))
    tagged = {name: replace(node, tags=some) for (name, node), some in zip(nodes.items(), tags, strict=True)}
    assert layers(tagged) == {name: (f"tag:{name}",) for name in ("bronze", "silver", "gold")}


def test_layers_may_be_inside_a_package() -> None:
    """A project that runs a package has its models there."""
    nodes = graph("staging/a", "marts/b < a", package="stripe") | graph("check < b")
    found = layers(nodes)
    assert found == {"staging": ("fqn:stripe.staging",), "marts": ("fqn:stripe.marts",), "models": ("check",)}
    own = graph("staging/a", "marts/b < a", "marts/c") | graph("staging/x", "marts/y < x", package="stripe")
    assert layers(own) == {"staging": ("path:models/staging/",), "marts": ("path:models/marts/",)}


def test_seeds_that_are_read_as_sources_are_the_first_layer() -> None:
    """dbt knows no edge from the one to the other."""
    usual: dict[str, Any] = {"package": "shop", "fqn": ("shop",), "parents": ()}
    seed = Node(unique_id="s", kind="seed", name="s", file="seeds/s.csv", relation='"db"."Raw"."s"', **usual)
    source = Node(unique_id="t", kind="source", name="s", file="models/x.yml", table="raw.s", **usual)
    models = graph("staging/a < t", "marts/b < a")
    found = layers(models | {"s": seed, "t": source})
    assert (list(found), found["seeds"]) == (["seeds", "staging", "marts"], ("path:seeds/",))
    assert list(layers(models | {"s": seed})) == ["staging", "marts"]


def test_other_model_paths_and_names_that_are_taken() -> None:
    """A layer has no name of a task; two folders of one name are two layers."""
    nodes = graph("sources/a", "core/b < a", top="sql/transform")
    found = layers(nodes, model_paths=("sql/transform",))
    assert found == {"sources_layer": ("path:sql/transform/sources/",), "core": ("path:sql/transform/core/",)}
    nodes = graph("staging/a", top="one") | graph("staging/b < a", top="two")
    found = layers(nodes, model_paths=("one", "two"))
    assert found == {"staging": ("path:one/staging/",), "staging_2": ("path:two/staging/",)}


def test_an_empty_project_has_no_layers() -> None:
    """Nothing to sort."""
    assert propose({}, project="shop") == Proposal(
        layers={}, gate="node", why="all models stand in one folder: dbt's own order, without gates"
    )
