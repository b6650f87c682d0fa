"""Single statements of our own, on any warehouse that Goldsmith knows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import psycopg

from goldsmith.errors import ConfigurationError, EnvironmentProblem, NoSuchTable
from goldsmith.warehouse.session import POSTGRES, kind_of, open_session, unreachable

DATABRICKS = "databricks"
Value = str | float | None


def run_statement(
    conn_id: str, statement: str, values: Sequence[Value] = (), *, name: str, timeout: float = 30.0
) -> list[tuple[Any, ...]]:
    """Run one statement, as a transaction of its own.

    Args:
        conn_id: The Airflow connection of the warehouse.
        statement: SQL with `%s` for each value, and `%%` for a percent sign.
        values: Numbers, text or nothing.
        name: Of the session in PostgreSQL.
        timeout: Seconds that it may take, in PostgreSQL.

    Returns:
        The rows; none where it gives none.

    Raises:
        NoSuchTable: A table or schema is not there.
        EnvironmentProblem: The warehouse fails.
        ConfigurationError: It is neither PostgreSQL nor Databricks.
    """
    kind = kind_of(conn_id)
    if kind == POSTGRES:
        return _in_postgres(conn_id, statement, values, name=name, timeout=timeout)
    if kind == DATABRICKS:
        return _in_databricks(conn_id, statement, values)
    raise ConfigurationError(
        f"The Airflow connection {conn_id!r} is of type {kind!r}, where gates cannot measure or keep anything.",
        hint="They can in PostgreSQL and in Databricks.",
    )


def quoted_name(conn_id: str, name: str) -> str:
    """A name as one part of an SQL statement.

    Example:
        >>> quoted_name("warehouse", "customer id")
        '"customer id"'
    """
    mark = "`" if kind_of(conn_id) == DATABRICKS else '"'
    return (mark + name.replace(mark, mark * 2) + mark).replace("%", "%%")


def _in_postgres(
    conn_id: str, statement: str, values: Sequence[Value], *, name: str, timeout: float
) -> list[tuple[Any, ...]]:
    with open_session(conn_id, name=name) as session:
        try:
            session.execute("select set_config('statement_timeout', %s, false)", (str(int(timeout * 1000)),))
            cursor = session.execute(statement.encode(), values)
            return cursor.fetchall() if cursor.description else []
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
            raise NoSuchTable(str(error).strip()) from error
        except psycopg.Error as error:
            raise unreachable(conn_id, error) from error


def _in_databricks(conn_id: str, statement: str, values: Sequence[Value]) -> list[tuple[Any, ...]]:
    try:
        from airflow.providers.databricks.hooks.databricks_sql import (  # type: ignore[import-not-found, unused-ignore]
            DatabricksSqlHook,
        )
    except ImportError as error:
        raise EnvironmentProblem(
            f"The warehouse of the Airflow connection {conn_id!r} cannot be asked: there is no hook for it.",
            hint="pip install apache-airflow-providers-databricks",
        ) from error
    hook: Any = DatabricksSqlHook(databricks_conn_id=conn_id)
    try:
        rows = hook.get_records(_filled(statement, values))
    except Exception as error:
        if "_NOT_FOUND" in str(error):  # TABLE_OR_VIEW_NOT_FOUND, SCHEMA_NOT_FOUND
            raise NoSuchTable(str(error)) from error
        raise EnvironmentProblem(
            f"The warehouse of the Airflow connection {conn_id!r} failed: {error}"
        ) from error
    return [tuple(row) for row in rows or ()]


def _filled(statement: str, values: Sequence[Value]) -> str:
    """The statement with its values: each kind of Databricks cursor wants its own marks for them."""
    left = iter(values)
    return re.sub(r"%[s%]", lambda match: "%" if match[0] == "%%" else _literal(next(left)), statement)


def _literal(value: Value) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return repr(value)
