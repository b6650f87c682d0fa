from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from goldsmith.dbt.node import Node
from goldsmith.plan.selected import Selected

MakeNodes = Callable[..., dict[str, Node]]
Select = Callable[..., Selected]


@pytest.fixture
def nodes() -> MakeNodes:
    """Make nodes from `name="parent parent"`; the name's prefix is its kind: t_ test, u_ unit test, e_ ephemeral.

    Models of the prefix o_ have `on_error: continue`. The text before a slash is the folder: `silver/orders`. Unit
    tests name the model they test as their parent.
    """

    def make(**graph: str) -> dict[str, Node]:
        return {name: _node(name, text) for name, text in graph.items()}

    return make


def _node(name: str, text: str) -> Node:
    folder, _, parents = text.rpartition("/")
    kind = {"t_": "test", "u_": "unit_test", "s_": "source"}.get(name[:2], "model")
    before = tuple(parents.split())
    return Node(
        unique_id=name,
        kind=kind,
        name=name,
        package="shop",
        fqn=("shop", *folder.split("/"), name) if folder else ("shop", name),
        file=f"models/{folder}/{name}.sql" if folder else f"models/{name}.sql",
        parents=before,
        attached=before[0] if kind in ("test", "unit_test") and before else "",
        materialized="ephemeral" if name.startswith("e_") else "table",
        goes_on=name.startswith("o_"),
    )


@pytest.fixture
def selected() -> Select:
    """What the manifest would give for these nodes, each layer matching the nodes in the folder of its name."""

    def make(nodes: Mapping[str, Node], layers: tuple[str, ...] = ("bronze", "silver", "gold")) -> Selected:
        return Selected(
            adapter="postgres",
            nodes=nodes,
            layer_matches={
                layer: {uid for uid, node in nodes.items() if node.file.startswith(f"models/{layer}/")}
                for layer in layers
            },
            exposures=(),
            manifest_checksum="m",
            dbt_version="1.12.5",
            project_name="shop",
            graph=nodes,
        )

    return make
