"""In which warehouse Goldsmith can do what, and how that is known; docs/warehouses.md shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from goldsmith.warehouse.base import Capability
from goldsmith.warehouse.choose import class_of

RUN, CONTRACT, PARSED = "run", "contract", "parsed"
_DBT = (Capability.COMPARE, Capability.MEASURE, Capability.SAMPLE)


@dataclass(frozen=True, kw_only=True)
class Known:
    """A kind of warehouse.

    Args:
        name: As people call it.
        kind: The type of its dbt adapter.
        connection: An Airflow connection of it.
        profile: What the spec adds to it (`profile: {extra: ...}`).
        proven: How each capability is known that is not known by a contract test.
        parsed: How it is known that dbt takes the profile that Goldsmith makes.
    """

    name: str
    kind: str
    connection: Mapping[str, Any]
    profile: Mapping[str, str] = field(default_factory=dict)
    proven: Mapping[Capability, str] = field(default_factory=dict)
    parsed: str = PARSED


_SERVER = {"host": "db.example.com", "login": "ann", "password": "secret-of-the-warehouse"}
WAREHOUSES = (
    Known(
        name="PostgreSQL",
        kind="postgres",
        connection={**_SERVER, "conn_type": "postgres", "schema": "shop", "port": 5432},
        proven=dict.fromkeys(Capability, RUN),
        parsed=RUN,
    ),
    Known(
        name="Databricks",
        kind="databricks",
        connection={
            **_SERVER,
            "conn_type": "databricks",
            "extra": {"http_path": "/sql/1.0/warehouses/1", "catalog": "shop"},
        },
    ),
    Known(
        name="DuckDB",
        kind="duckdb",
        connection={"conn_type": "duckdb", "host": "/data/shop.duckdb"},
        proven=dict.fromkeys(_DBT, RUN),
        parsed=RUN,
    ),
    Known(
        name="Snowflake",
        kind="snowflake",
        connection={
            **_SERVER,
            "conn_type": "snowflake",
            "schema": "analytics",
            "extra": {"account": "one", "database": "shop", "warehouse": "small", "role": "dbt"},
        },
    ),
    Known(
        name="BigQuery",
        kind="bigquery",
        connection={
            "conn_type": "google_cloud_platform",
            "extra": {"project": "shop", "dataset": "analytics", "key_path": "/keys/dbt.json"},
        },
    ),
    Known(
        name="Redshift",
        kind="redshift",
        connection={**_SERVER, "conn_type": "redshift", "schema": "shop", "port": 5439},
    ),
    Known(
        name="SQL Server",
        kind="sqlserver",
        connection={
            **_SERVER,
            "conn_type": "generic",
            "schema": "shop",
            "port": 1433,
        },
        profile={"database": "shop", "driver": "ODBC Driver 18 for SQL Server"},
    ),
    Known(
        name="Trino",
        kind="trino",
        connection={**_SERVER, "conn_type": "trino", "port": 8080},
        profile={"database": "lake"},
    ),
)


def table() -> str:
    """The table as docs/warehouses.md has it."""
    heads = [one.name for one in WAREHOUSES]
    lines = ["| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    lines.append("| build with dbt | " + " | ".join(one.parsed for one in WAREHOUSES) + " |")
    for capability in Capability:
        cells = [
            one.proven.get(capability, CONTRACT) if capability in class_of(one.kind).capabilities() else "no"
            for one in WAREHOUSES
        ]
        lines.append(f"| {capability.text} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def without() -> str:
    """What a run is like without each capability."""
    return "\n".join(
        ["| without | a run |", "|---|---|", *(f"| {one.text} | {one.without} |" for one in Capability)]
    )
