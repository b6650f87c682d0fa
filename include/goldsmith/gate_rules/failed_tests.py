"""How many tests of a layer may fail."""

from __future__ import annotations

from goldsmith.gate_rules.counts import TEST_COUNTS, CountRule
from goldsmith.kinds import TEST_KINDS


class FailedTests(CountRule):
    """How many tests may fail."""

    key = "failed_tests"
    field = (TEST_COUNTS, ())
    kinds = TEST_KINDS
