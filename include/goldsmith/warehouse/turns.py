"""Warehouses whose database belongs to one process at a time."""

from __future__ import annotations

_ONE_PROCESS = frozenset({"duckdb"})
ONE_SLOT_POOL = "duckdb"
"""The Airflow pool of one slot that the local stack makes for them."""


def is_one_process(kind: str) -> bool:
    """Whether a database of a kind belongs to one process at a time, so that no two tasks may use it at once.

    Args:
        kind: Type of the dbt adapter.
    """
    return kind in _ONE_PROCESS
