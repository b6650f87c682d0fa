"""Events for the tests of alerts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from goldsmith.alerts.event import Event
from goldsmith.results.record import FailingRows


@pytest.fixture(scope="session")
def event() -> Callable[..., Event]:
    """Make the event of a failed model; what is named differs."""

    def make(**differing: Any) -> Event:
        values: dict[str, Any] = {
            "kind": "model_failed",
            "subject": "model.shop.orders",
            "title": "model orders failed",
            "pipeline": "shop",
            "run_id": "manual__1",
            "environment": "prod",
            "name": "orders",
            "task_id": "silver.orders.run",
            "layer": "silver",
            "owner": "finance",
            "group": "money",
            "tags": ("daily", "pii"),
            "message": "division by zero <at> line 3 & more",
            "blocks": ("revenue", "fct_orders"),
            "links": {"task": "http://airflow/task", "run": "http://airflow/run"},
            "command": "dbt build --select orders",
        }
        return Event(**{**values, **differing})

    return make


@pytest.fixture(scope="session")
def rows() -> FailingRows:
    """Two rows of a failing test."""
    return FailingRows(columns=("id", "customer"), rows=(("1", ""), ("22", "ann")))
