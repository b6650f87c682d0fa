"""The limits of gates: one file each. The order of this list is that of verdicts and docs."""

from __future__ import annotations

from typing import Any

from goldsmith.rules.base import Rule
from goldsmith.rules.failed_models import FailedModels
from goldsmith.rules.failed_tests import FailedTests
from goldsmith.rules.nulls import Nulls
from goldsmith.rules.rows import Rows
from goldsmith.rules.stale_sources import StaleSources
from goldsmith.rules.warned_tests import WarnedTests

RULES: tuple[Rule[Any], ...] = (
    FailedTests(),
    WarnedTests(),
    FailedModels(),
    StaleSources(),
    Rows(),
    Nulls(),
)
