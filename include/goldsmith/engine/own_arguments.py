"""What a dbt project says for the Airflow task of a node."""

from __future__ import annotations

import inspect
from functools import cache
from typing import Any

from airflow.sdk import BaseOperator

from goldsmith.plan.model import PlannedNode


def own_arguments(node: PlannedNode) -> dict[str, Any]:
    """Airflow's arguments in `meta.cosmos.operator_kwargs` of a node; those of Cosmos's operators do not count."""
    return {key: value for key, value in node.operator_kwargs.items() if key in _of_airflow()}


@cache
def _of_airflow() -> frozenset[str]:
    return frozenset(inspect.signature(BaseOperator.__init__).parameters)
