"""How often and how soon a failed task is tried again."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from goldsmith.spec.base import Duration, SpecModel
from goldsmith.spec.node import RetriedErrors


class Retries(SpecModel):
    """How often and how soon a failed task is tried again."""

    models: int = Field(2, ge=0)
    """Retries of models, seeds and snapshots; the delay doubles each time."""
    tests: int = Field(0, ge=0)
    """Retries of tests and freshness checks: a red test stays red."""
    delay: Duration = timedelta(minutes=5)
    max_delay: Duration = timedelta(minutes=30)
    build_delay: Duration = timedelta(seconds=15)
    """Until a build that was lost or that dbt could not begin is tried again, and a node whose error was transient."""
    errors: RetriedErrors = "transient"
    """Which errors are worth a retry: all that are not known to be permanent, or any."""
