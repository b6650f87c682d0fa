"""Limits on what stands in the warehouse."""

from __future__ import annotations

import pytest

from goldsmith.gate_rules.base import Found, Measured
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
