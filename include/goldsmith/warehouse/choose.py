"""The warehouse behind an Airflow connection."""

from __future__ import annotations

import functools

from goldsmith.profile_file import airflow_connection
from goldsmith.warehouse.base import Capability, Warehouse
from goldsmith.warehouse.databricks import DatabricksWarehouse
from goldsmith.warehouse.other import Ask, OtherWarehouse
from goldsmith.warehouse.postgres.warehouse import PostgresWarehouse

_CLASSES: dict[str, type[Warehouse]] = {"postgres": PostgresWarehouse, "databricks": DatabricksWarehouse}


@functools.cache
def kind_of(conn_id: str) -> str:
    """What an Airflow connection is for, in dbt's words.

    Returns:
        The connection's type, or `redshift` if a connection of type postgres says so.
    """
    connection = airflow_connection(conn_id)
    extra = connection.extra_dejson
    if extra.get("redshift") or extra.get("redshift-serverless"):
        return "redshift"
    return str(connection.conn_type)


def class_of(kind: str) -> type[Warehouse]:
    """The class for a kind of warehouse: a connection's type, or the type of a dbt adapter."""
    return _CLASSES.get(kind, OtherWarehouse)


def missing(kind: str) -> list[Capability]:
    """What Goldsmith cannot do in a kind of warehouse."""
    able = class_of(kind).capabilities()
    return [one for one in Capability if one not in able]


def warehouse_of(conn_id: str, ask: Ask | None = None) -> Warehouse:
    """The warehouse behind an Airflow connection.

    Args:
        conn_id: The connection.
        ask: Asks a warehouse through dbt, if it is one that Goldsmith has no statements for; without it such a
            warehouse answers nothing.
    """
    found = class_of(kind := kind_of(conn_id))
    if found is OtherWarehouse:
        return OtherWarehouse(conn_id, kind, ask)
    return found(conn_id, kind)
