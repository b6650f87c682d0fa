"""What counts as a difference between Airflow, dbt and the warehouse."""

from __future__ import annotations

import pytest

from goldsmith.engine.differences import Said, differences
from goldsmith.plan.model import PlannedNode

VIEW = PlannedNode(
    unique_id="model.shop.orders",
    kind="model",
    name="orders",
    layer="silver",
    task_id="silver.orders.run",
    display_name="orders",
    label="orders",
    group="silver",
    unit="silver.orders.run",
    select="fqn:shop.silver.orders",
    build="silver.build",
    asset="",
    updated_by="silver.gate",
    upstream=("silver.build",),
    file="models/silver/orders.sql",
    materialized="view",
    owner="",
    tags=(),
    severity="",
    relation="",
    docs="",
    operator_kwargs={},
)


@pytest.mark.parametrize(
    ("state", "status", "kind", "expected"),
    [
        ("success", "success", "view", ""),
        ("success", "success", "table", 'silver"."orders" should be a view, the warehouse has table'),
        ("success", "success", "", "the warehouse has nothing there"),
        ("success", "error", "view", "Airflow shows it green, dbt says error"),
        ("success", "skipped", "view", "Airflow shows it green, dbt says skipped"),
        ("success", "", "view", "Airflow shows it green, dbt says nothing about it in this run"),
        ("skipped", "error", "", "Airflow shows it skipped, dbt says error"),
        ("skipped", "", "", ""),
        ("failed", "error", "", ""),
        ("upstream_failed", "skipped", "", ""),
        (None, "success", "view", ""),
    ],
)
def test_a_green_task_has_a_good_word_of_dbt_and_its_relation(
    state: str | None, status: str, kind: str, expected: str
) -> None:
    """Nothing else about a node can make a green run wrong."""
    relation = '"warehouse"."silver"."orders"' if status == "success" else ""
    said = Said(node=VIEW, state=state, status=status, relation=relation, kind=kind)
    found = [one.text for one in differences({VIEW.unique_id: said})]
    assert len(found) == bool(expected)
    assert all(expected in text for text in found)
