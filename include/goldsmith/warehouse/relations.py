"""What relations there are in the warehouse, and of which kind."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import psycopg

from goldsmith.errors import ConfigurationError, EnvironmentProblem
from goldsmith.warehouse.session import POSTGRES, kind_of, open_session, unreachable

Relation = tuple[str, str]
"""Schema and name, without quotes."""

TABLE, VIEW, MATERIALIZED_VIEW = "table", "view", "materialized_view"

_PART = re.compile(r'"((?:[^"]|"")+)"|`((?:[^`]|``)+)`|([^\s."`]+)')
_POSTGRES = """
select wanted.schema, wanted.name, c.relkind::text
from unnest(%s::text[], %s::text[]) as wanted (schema, name)
join pg_namespace n on n.nspname = wanted.schema
join pg_class c on c.relnamespace = n.oid and c.relname = wanted.name
where c.relkind in ('r', 'p', 'f', 'v', 'm')
"""
_POSTGRES_KINDS = {"v": VIEW, "m": MATERIALIZED_VIEW}
# https://docs.databricks.com/aws/en/sql/language-manual/information-schema/tables; all others are tables.
_DATABRICKS_KINDS = {"VIEW": VIEW, "METRIC_VIEW": VIEW, "MATERIALIZED_VIEW": MATERIALIZED_VIEW}


def relation_of(quoted_name: str) -> Relation:
    """Read schema and name from a relation name as dbt writes it.

    Args:
        quoted_name: Two or three parts, each in double quotes, in backticks or bare. A bare one is lower-cased, as
            PostgreSQL and Databricks do.

    Raises:
        ConfigurationError: It is no such name.

    Example:
        >>> relation_of('"warehouse"."bronze"."stg_orders"')
        ('bronze', 'stg_orders')
    """
    parts: list[str] = []
    at = 0
    while match := _PART.match(quoted_name, at):
        double, back, bare = match.groups()
        parts.append((double or "").replace('""', '"') or (back or "").replace("``", "`") or bare.lower())
        at = match.end() + 1
        if quoted_name[match.end() : at] != ".":
            break
    if len(parts) not in (2, 3) or at <= len(quoted_name):
        raise ConfigurationError(
            f"{quoted_name!r} is not the name of a relation: a schema and a name, or a database before them.",
            hint="See relation_name in target/manifest.json; then: dbt parse",
        )
    return parts[-2], parts[-1]


def relation_kinds(conn_id: str, relations: Iterable[Relation], *, catalog: str = "") -> dict[Relation, str]:
    """Look which relations exist, with one query for all.

    Args:
        conn_id: The Airflow connection of the warehouse.
        relations: What to look for. PostgreSQL tells upper from lower case, Databricks does not.
        catalog: Databricks only: where the schemas are; the connection's own where empty.

    Returns:
        `table`, `view` or `materialized_view` of each that exists, by the name that was asked for. Partitioned,
        foreign and streaming tables are tables.

    Raises:
        EnvironmentProblem: The warehouse fails, or Airflow's provider of Databricks is not installed.
        ConfigurationError: It is neither PostgreSQL nor Databricks.
    """
    wanted = list(dict.fromkeys(relations))
    if not wanted:
        return {}
    kind = kind_of(conn_id)
    if kind == POSTGRES:
        return _in_postgres(conn_id, wanted)
    if kind == "databricks":
        return _in_databricks(conn_id, wanted, catalog)
    raise ConfigurationError(
        f"The Airflow connection {conn_id!r} is of type {kind!r}, where relations cannot be looked for.",
        hint="They can in PostgreSQL and in Databricks.",
    )


def _in_postgres(conn_id: str, wanted: list[Relation]) -> dict[Relation, str]:
    schemas, names = (list(part) for part in zip(*wanted, strict=True))
    with open_session(conn_id, name="goldsmith relations") as session:
        try:
            rows = session.execute(_POSTGRES, (schemas, names)).fetchall()
        except psycopg.Error as error:
            raise unreachable(conn_id, error) from error
    return {(schema, name): _POSTGRES_KINDS.get(kind, TABLE) for schema, name, kind in rows}


def _in_databricks(conn_id: str, wanted: list[Relation], catalog: str) -> dict[Relation, str]:
    try:
        from airflow.providers.databricks.hooks.databricks_sql import (  # type: ignore[import-not-found, unused-ignore]
            DatabricksSqlHook,
        )
    except ImportError as error:
        raise EnvironmentProblem(
            f"The relations of the Airflow connection {conn_id!r} cannot be looked for: there is no hook for it.",
            hint="pip install apache-airflow-providers-databricks",
        ) from error
    hook: Any = DatabricksSqlHook(databricks_conn_id=conn_id, catalog=catalog or None)
    schemas = ", ".join(sorted({_literal(schema.lower()) for schema, _ in wanted}))
    rows = hook.get_records(
        "select lower(table_schema), lower(table_name), table_type from information_schema.tables"  # noqa: S608
        f" where lower(table_schema) in ({schemas})"
    )
    found = {(schema, name): _DATABRICKS_KINDS.get(kind, TABLE) for schema, name, kind in rows or ()}
    return {
        (schema, name): found[schema.lower(), name.lower()]
        for schema, name in wanted
        if (schema.lower(), name.lower()) in found
    }


def _literal(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
