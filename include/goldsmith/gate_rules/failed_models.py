"""How many models of a layer may fail."""

from __future__ import annotations

from goldsmith.gate_rules.counts import CountRule
from goldsmith.kinds import RELATIONS


class FailedModels(CountRule):
    """How many models, seeds, snapshots and functions may fail."""

    key = "failed_models"
    kinds = (*RELATIONS, "function")
