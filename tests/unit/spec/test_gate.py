"""Limits of gates: short and long forms, and the faults a person may write."""

from __future__ import annotations

from typing import Any

import pytest

from goldsmith.errors import SpecError
from goldsmith.pipeline_nodes import in_effect
from goldsmith.spec.gate import Gate
from goldsmith.spec.pipeline import Pipeline


def parsed(gates: Any, **more: Any) -> Pipeline:
    """A pipeline with these gates."""
    return Pipeline.parse({"name": "shop", "gates": gates, **more})


def test_a_number_alone_is_the_limit_and_one_limit_needs_no_list() -> None:
    """The short forms mean the same as the long ones."""
    short = {"failed_tests": 3, "rows": {"orders": 1}, "nulls": {"orders": {"id": 0}}}
    long = {
        "failed_tests": [{"max": 3}],
        "rows": {"orders": {"min": 1}},
        "nulls": {"orders": {"id": {"share": 0.0}}},
    }
    assert Gate.model_validate(short) == Gate.model_validate(long)


def test_the_limits_are_said_in_words() -> None:
    """One line each, as the plan and the DAG's page show them."""
    gate = Gate.model_validate(
        {
            "failed_tests": [{"max": 3, "share": 0.055, "tag": "loose", "severity": "error"}],
            "warned_tests": {"max": 10, "then": "warn"},
            "rows": {"orders": {"min": 1, "change": 0.5}},
            "nulls": {"orders": {"customer": {"share": 0.001, "then": "warn"}}},
            "on_block": "ask",
            "ask_timeout": "90m",
        }
    )
    assert gate.lines() == (
        "failed_tests (severity error, tag loose): at most 3 and 5.5 %",
        "warned_tests: at most 10, else it warns",
        "rows of orders: at least 1",
        "change of rows of orders: at most 50 %",
        "nulls in orders.customer: at most 0.1 %, else it warns",
        "where it blocks, a person is asked, and has 1h 30m",
    )


@pytest.mark.parametrize(
    ("gates", "said"),
    [
        ({"silver": {"failed_tests": -1}}, "failed_tests.0.max: Input should be greater than or equal to 0"),
        ({"silver": {"failed_tests": {"share": 1.5}}}, "0.share: Input should be less than or equal to 1"),
        (
            {"silver": {"failed_tests": {"share": -0.1}}},
            "0.share: Input should be greater than or equal to 0",
        ),
        ({"silver": {"failed_tests": {"tag": "loose"}}}, "it sets no limit: write `max`, `share` or both"),
        ({"silver": {"failed_tests": {"max": 1, "then": "ask"}}}, "then: Input should be 'block' or 'warn'"),
        ({"silver": {"failed_models": {"max": 1, "severity": "warn"}}}, "severity: unknown key"),
        ({"silver": {"failed_test": 1}}, "failed_test: unknown key. Did you mean failed_tests"),
        ({"silver": {"rows": {"orders": -1}}}, "rows.orders.min: Input should be greater than or equal to 0"),
        ({"silver": {"rows": {"orders": {}}}}, "it sets no limit: write `min`, `change` or both"),
        ({"silver": {"rows": {"orders": {"change": -1}}}}, "change: Input should be greater than or equal"),
        ({"silver": {"nulls": {"orders": {"id": 2}}}}, "id.share: Input should be less than or equal to 1"),
        ({"silver": {"on_block": "stop"}}, "on_block: Input should be 'fail' or 'ask'"),
        ({"silver": {"on_block": "ask", "ask_timeout": "0s"}}, "nobody can answer in no time"),
        ({"silver": {"on_block": "ask", "ask_timeout": "3h"}}, "make `ask_timeout` shorter or `run_timeout`"),
        ({"silvr": {"failed_tests": 1}}, "`gates` names 'silvr', which is no layer. Did you mean silver?"),
        ({"mart": {}}, "'mart', which is no layer. Layers: bronze, silver, gold"),
    ],
)
def test_a_fault_is_named_with_its_place(gates: Any, said: str) -> None:
    """Each fault has a text of its own."""
    with pytest.raises(SpecError) as caught:
        parsed(gates)
    assert said in str(caught.value)


def test_without_gates_between_layers_there_is_nothing_to_limit() -> None:
    """The text names both ways out."""
    with pytest.raises(SpecError, match="write `gate: layer`, or take `gates` away"):
        parsed({"silver": {"failed_tests": 1}}, gate="node")


def test_stale_sources_are_skipped_only_where_something_judges_that() -> None:
    """The isolated engine in dbt's own order ends red with any task that was held back."""
    with pytest.raises(SpecError, match="`freshness: skip`"):
        parsed({}, gate="node", engine="isolated", freshness="skip")
    assert parsed({}, gate="node", freshness="skip").freshness == "skip"


@pytest.mark.parametrize(
    ("values", "there", "said"),
    [
        ({"engine": "isolated", "freshness": "skip"}, (), "`freshness: skip`"),
        ({"gates": {"gold": {"failed_tests": 2}}}, (), "`gates` set limits"),
        ({"gates": {"gold": {"failed_tests": 2}}}, ("bronze",), "'gold', which is no layer. Layers: bronze"),
    ],
)
def test_what_needs_layers_is_refused_if_the_project_has_none(
    values: dict[str, Any], there: tuple[str, ...], said: str
) -> None:
    """Nobody wrote `layers`, and of the usual ones the project does not have all: limits would be lost."""
    with pytest.raises(SpecError) as caught:
        in_effect(Pipeline.parse({"name": "shop", **values}), there)
    assert said in str(caught.value)


def test_a_spec_without_its_usual_layers_is_else_the_same() -> None:
    """Also in what it leaves open."""
    spec = Pipeline.parse({"name": "shop", "profile": {"threads": 2}, "retries": {"delay": "10s"}})
    found = in_effect(spec, ("silver",))
    assert (list(found.layers), found.gate) == (["silver"], "layer")
    assert in_effect(spec, ()).gate == "node"
    assert found == spec.model_copy(update={"layers": {"silver": spec.layers["silver"]}})
    assert found.profile.model_fields_set == {"threads"}
