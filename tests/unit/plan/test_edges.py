"""Edges are dbt's own, checked here on small graphs and in tests/integration against dbt's own code."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from goldsmith.dbt.node import Node
from goldsmith.errors import PlanError
from goldsmith.plan.edges import dbt_edges

MakeNodes = Callable[..., dict[str, Node]]


def test_a_model_waits_for_its_parents_and_their_tests(nodes: MakeNodes) -> None:
    """A failing test has to hold back what reads the model."""
    assert dbt_edges(nodes(a="", t_a="a", b="a"))["b"] == {"a", "t_a"}


def test_only_the_nearest_descendant_waits_for_a_test(nodes: MakeNodes) -> None:
    """What waits for b waits for b's tests already: the order is the same with fewer edges."""
    edges = dbt_edges(nodes(a="", t_a="a", b="a", c="b"))
    assert edges["c"] == {"b"}


def test_a_test_of_two_models_holds_back_only_what_reads_both(nodes: MakeNodes) -> None:
    """dbt adds an edge only below everything the test reads, else there would be cycles."""
    edges = dbt_edges(nodes(a="", b="", t_ab="a b", only_a="a", both="a b", later="only_a b"))
    assert edges["only_a"] == {"a"}
    assert edges["both"] == {"a", "b", "t_ab"}
    assert edges["later"] == {"only_a", "b", "t_ab"}


def test_a_relationship_between_parent_and_child_makes_no_cycle(nodes: MakeNodes) -> None:
    """The test of a against its own child b runs after both and holds back neither."""
    edges = dbt_edges(nodes(a="", b="a", t_ab="a b", c="b"))
    assert edges["b"] == {"a"}
    assert edges["c"] == {"b", "t_ab"}


def test_ephemeral_models_and_plain_sources_are_bridged(nodes: MakeNodes) -> None:
    """Nothing runs for them, so what reads them waits for what they read, and for their tests."""
    edges = dbt_edges(nodes(s_raw="", a="s_raw", e_mid="a", t_mid="e_mid", b="e_mid"))
    assert edges == {"a": set(), "t_mid": {"a"}, "b": {"a", "t_mid"}}


def test_a_unit_test_runs_between_the_parents_of_its_model_and_the_model(nodes: MakeNodes) -> None:
    """As in `dbt build`: the parents must exist, and a red unit test holds the model back."""
    edges = dbt_edges(nodes(a="", t_a="a", b="a", u_b="b"))
    assert edges["u_b"] == {"a", "t_a"}
    assert edges["b"] == {"a", "t_a", "u_b"}


def test_what_reads_a_model_that_goes_on_after_an_error_waits_for_all_that_holds_that_back(
    nodes: MakeNodes,
) -> None:
    """dbt skips it below any other failure, through any number of such models; not below a failed unit test of one."""
    edges = dbt_edges(nodes(a="", t_a="a", o_b="a", u_b="o_b", t_b="o_b", o_c="o_b", d="o_c"))
    assert edges["o_b"] == {"a", "t_a", "u_b"}
    assert edges["t_b"] == {"o_b", "a", "t_a"}
    assert edges["o_c"] == {"o_b", "t_b", "a", "t_a"}
    assert edges["d"] == {"o_c", "o_b", "t_b", "a", "t_a"}


def test_a_cycle_is_named(nodes: MakeNodes) -> None:
    """The text has to show the way round."""
    with pytest.raises(PlanError, match=r"cycle: .*a.*b"):
        dbt_edges(nodes(a="b", b="a"))
