"""How many tests of a layer may warn."""

from __future__ import annotations

from goldsmith.gate_rules.base import OUTCOME_WARNED
from goldsmith.gate_rules.counts import TEST_COUNTS, CountRule
from goldsmith.kinds import TEST_KINDS


class WarnedTests(CountRule):
    """How many tests may warn: their tasks are green."""

    key = "warned_tests"
    field = (TEST_COUNTS, ())
    kinds = TEST_KINDS
    outcome = OUTCOME_WARNED
    asks_dbt = True
