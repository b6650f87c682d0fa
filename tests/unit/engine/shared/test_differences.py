"""What counts as a difference between Airflow, dbt and the warehouse."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.builders import planned_node

from goldsmith.engine.shared.differences import SaidAboutNode, differences
from goldsmith.plan.model import PlannedNode

VIEW = planned_node("model.shop.orders", task_id="silver.orders.run", build="silver.build")


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
        ("skipped", "", "", "Airflow shows it skipped, dbt says nothing about it in this run"),
        ("skipped", "success", "view", ""),
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
    said = SaidAboutNode(node=VIEW, state=state, status=status, relation=relation, kind=kind)
    found = [one.text for one in differences({VIEW.unique_id: said})]
    assert len(found) == bool(expected)
    assert all(expected in text for text in found)


@pytest.mark.parametrize(
    ("node", "is_kept", "is_wrong"),
    [
        (VIEW, True, True),
        (VIEW, False, False),  # said once for all of them
        (replace(VIEW, kind="test"), True, False),
        (replace(VIEW, materialized="ephemeral"), True, False),
        (replace(VIEW, expect="nothing"), True, False),
    ],
)
def test_a_good_word_without_a_relation_is_not_enough(
    node: PlannedNode, *, is_kept: bool, is_wrong: bool
) -> None:
    """For what has to be in the warehouse: there it could not be looked for."""
    said = SaidAboutNode(node=node, state="success", status="success", relation="", kind="", is_kept=is_kept)
    found = [one.text for one in differences({node.unique_id: said})]
    assert found == ["dbt says success and names no relation, so the warehouse was not asked"] * is_wrong


@pytest.mark.parametrize(
    ("expect", "kind", "expected"),
    [
        ("table", "table", ""),
        (
            "table",
            "view",
            "should be a table, the warehouse has view (if that is meant: meta.goldsmith.expect)",
        ),
        ("any", "materialized_view", ""),
        ("any", "", "should be a relation, the warehouse has nothing there"),
        ("nothing", "", ""),
        ("nothing", "table", "should be nothing, the warehouse has table"),
    ],
)
def test_a_node_may_say_what_it_leaves(expect: str, kind: str, expected: str) -> None:
    """A hook or a materialization of the project's own may make something else of it."""
    node = replace(VIEW, materialized="own", expect=expect)
    said = SaidAboutNode(
        node=node, state="success", status="success", relation='"w"."silver"."orders"', kind=kind
    )
    found = [one.text for one in differences({node.unique_id: said})]
    assert len(found) == bool(expected)
    assert all(expected in text for text in found)


def test_what_the_run_leaves_out_may_be_skipped() -> None:
    """But not what dbt built and said of that it failed."""
    left_out = SaidAboutNode(node=VIEW, state="skipped", status="", relation="", kind="", is_left_out=True)
    assert differences({VIEW.unique_id: left_out}) == []
    assert differences({VIEW.unique_id: replace(left_out, status="error")}) != []


@pytest.mark.parametrize(
    ("state", "status", "is_kept", "is_unkept"),
    [
        ("success", "success", False, True),
        ("success", "success", True, False),
        ("failed", "success", False, False),
        ("success", "error", False, False),
    ],
)
def test_details_that_are_lost_of_what_was_built_are_told_apart(
    state: str, status: str, *, is_kept: bool, is_unkept: bool
) -> None:
    """dbt can be asked where such a node is."""
    said = SaidAboutNode(node=VIEW, state=state, status=status, relation="", kind="", is_kept=is_kept)
    assert said.is_unkept == is_unkept
