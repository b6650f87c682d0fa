"""The limits of gates: one file each. The order of this list is that of verdicts and docs."""

from __future__ import annotations

from typing import Any

from goldsmith.gate_rules.base import Rule
from goldsmith.gate_rules.failed_models import FailedModels
from goldsmith.gate_rules.failed_tests import FailedTests
from goldsmith.gate_rules.nulls import Nulls
from goldsmith.gate_rules.rows import Rows
from goldsmith.gate_rules.stale_sources import StaleSources
from goldsmith.gate_rules.warned_tests import WarnedTests

RULES: tuple[Rule[Any], ...] = (
    FailedTests(),
    WarnedTests(),
    FailedModels(),
    StaleSources(),
    Rows(),
    Nulls(),
)
