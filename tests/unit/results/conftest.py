from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from goldsmith.results.record import NodeResult


@pytest.fixture(scope="session")
def result() -> Callable[..., NodeResult]:
    """Make a record of a model; what is named differs."""

    def make(**differing: Any) -> NodeResult:
        values: dict[str, Any] = {
            "unique_id": "model.shop.orders",
            "task_id": "silver.orders.run",
            "kind": "model",
            "status": "success",
            "message": "SELECT 7",
            "invocation_id": "i-1",
            "command": "dbt build --select orders",
            "built_by": "silver.build",
            "started": "2026-11-20T13:00:00Z",
            "ended": "2026-11-20T13:00:02Z",
            "seconds": 2.0,
            "rows": 7,
            "failures": None,
            "relation": '"warehouse"."silver"."orders"',
            "materialized": "table",
            "lines": ("1 of 1 START", "1 of 1 OK"),
            "compiled_sql": "select 1 as id",
        }
        return NodeResult(**{**values, **differing})

    return make
