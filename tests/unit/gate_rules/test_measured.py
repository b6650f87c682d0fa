"""Limits on what stands in the warehouse."""

from __future__ import annotations

import pytest

from goldsmith.gate_rules.base import Found, Measured, RuleResult
from goldsmith.spec.gate import Gate

GATE = Gate.model_validate(
    {
        "rows": {"orders": {"min": 10, "change": 0.5}},
        "nulls": {"orders": {"customer": {"share": 0.1, "then": "warn"}}},
    }
)
RULES = ("rows of orders", "change of rows of orders", "nulls in orders.customer")


def outcomes(rows: int | None, filled: int = 0, before: float | None = None) -> tuple[str, ...]:
    """The outcomes of the three rules, in their order."""
    measured = {} if rows is None else {"orders": Measured(rows=rows, filled={"customer": filled})}
    last = {} if before is None else {"rows of orders": before}
    ids = {"orders": "model.shop.orders"}
    found = GATE.judge(Found(measured=measured, before=last, unique_ids=ids))
    about = [rule for rule in found if rule.rule in RULES]
    assert tuple(rule.rule for rule in about) == RULES
    return tuple(rule.outcome for rule in about)


@pytest.mark.parametrize(
    ("rows", "filled", "before", "expected"),
    [
        (10, 9, 20, ("pass", "pass", "pass")),
        (9, 9, 18, ("block", "pass", "pass")),
        (10, 8, 21, ("pass", "block", "warn")),
        (30, 30, 20, ("pass", "pass", "pass")),
        (31, 31, 20, ("pass", "block", "pass")),
        (10, 10, None, ("pass", "not measured", "pass")),
        (10, 10, 0, ("pass", "not measured", "pass")),
        (0, 0, 20, ("block", "block", "pass")),
        (None, 0, 20, ("not measured", "not measured", "not measured")),
    ],
)
def test_rows_changes_and_nulls_have_limits(
    rows: int | None, filled: int, before: float | None, expected: tuple[str, ...]
) -> None:
    """Exactly the limit is still fine; what was not built or has no past is not judged."""
    assert outcomes(rows, filled, before) == expected


def test_what_was_not_measured_says_why() -> None:
    """Not built, without a past, or with an empty one; with a past the value stands beside it."""
    found = {one.rule: one.shown for one in GATE.judge(Found())}
    assert found == {
        "failed_tests": "0",
        "failed_models": "0",
        "stale_sources": "0",
        **dict.fromkeys(RULES, "not built in this run"),
    }
    measured = {"orders": Measured(rows=10, filled={"customer": 10})}
    ids = {"orders": "model.shop.orders"}
    for before, shown in (
        ({}, "no good run before"),
        ({RULES[0]: 0.0}, "no rows in the last good run"),
        ({RULES[0]: 8.0}, "25 % (8 before)"),
    ):
        found = {
            one.rule: one.shown for one in GATE.judge(Found(measured=measured, before=before, unique_ids=ids))
        }
        assert (found[RULES[0]], found[RULES[1]], found[RULES[2]]) == ("10", shown, "0 %")


def test_what_has_to_be_known_before_is_named() -> None:
    """The models with their columns, and the rules that are compared with the last good run."""
    assert GATE.measured == {"orders": ("customer",)}
    assert GATE.compared == ["rows of orders"]
    assert not GATE.asks_dbt
    assert RuleResult(rule="x", measured=None, allowed="", outcome="not measured").shown == "not measured"
