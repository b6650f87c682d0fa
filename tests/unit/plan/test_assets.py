"""What Airflow's assets of a pipeline are called, and who updates them."""

from __future__ import annotations

import pytest
from tests.builders import planned_build, planned_gate

from goldsmith.errors import SpecError
from goldsmith.plan.assets import asset_uri, updaters
from goldsmith.spec.pipeline import Pipeline


@pytest.mark.parametrize(
    ("namespace", "relation", "uri"),
    [
        ("goldsmith://{name}", '"warehouse"."silver"."orders"', "goldsmith://shop/silver/orders"),
        (
            "postgres://db.example.com:5432/wh/",
            '"wh"."silver"."orders"',
            "postgres://db.example.com:5432/wh/silver/orders",
        ),
        (
            "databricks://host/catalog",
            "`catalog`.`gold`.`a b.c``d`",
            "databricks://host/catalog/gold/a%20b.c%60d",
        ),
        ("goldsmith://{name}", 'silver."Größe"', "goldsmith://shop/silver/Gr%C3%B6%C3%9Fe"),
        (None, '"warehouse"."silver"."orders"', ""),
    ],
)
def test_an_asset_is_called_after_its_place_in_the_warehouse(
    namespace: str | None, relation: str, uri: str
) -> None:
    """The namespace, the schema and the name, whatever stands in them."""
    assert asset_uri(Pipeline(name="shop", asset_namespace=namespace), "model", relation) == uri


@pytest.mark.parametrize(("kind", "relation"), [("test", '"a"."b"'), ("source", '"a"."b"'), ("model", "")])
def test_what_builds_nothing_is_no_asset(kind: str, relation: str) -> None:
    """Tests, the freshness of sources, and models without a relation."""
    assert asset_uri(Pipeline(name="shop"), kind, relation) == ""


@pytest.mark.parametrize(
    "namespace", ["warehouse", "airflow://x", "postgres://me:secret@host/db", "s3://a b", "x://"]
)
def test_a_namespace_that_is_no_start_of_a_uri_is_refused(namespace: str) -> None:
    """Above all one with a login: it would be stored and shown."""
    with pytest.raises(SpecError, match="asset_namespace"):
        Pipeline.parse({"name": "shop", "asset_namespace": namespace})


def test_the_gate_after_a_node_updates_its_asset_and_without_gates_the_comparison() -> None:
    """Also of a node that is only built beside the layer; where there is neither, the node's own task does."""
    gate = planned_gate("gold", ["m"], upstream=("m", "beside"))
    build = planned_build("all", task_id="build", reconcile_id="reconcile", upstream=(), waits_for="all_done")
    built_by = {"m": "build", "beside": "build", "other": "build"}
    assert updaters([gate], [build], built_by) == {
        "m": "gold.gate",
        "beside": "gold.gate",
        "other": "reconcile",
    }
    assert updaters([], [], {}) == {}
