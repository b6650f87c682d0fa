"""What only the warehouse knows: how many rows a model has, and how many of them have no value in a column."""

from __future__ import annotations

from goldsmith.gate_rules.base import Measured

_TIMEOUT = 300.0  # seconds for one model


def measure(conn_id: str, relation: str, columns: tuple[str, ...]) -> Measured:
    """Count a model's rows, and those with a value in each column, with one query.

    Args:
        conn_id: The Airflow connection of the warehouse.
        relation: The model's quoted name, as dbt gives it.
        columns: The columns.

    Raises:
        EnvironmentProblem: The warehouse fails, or has no such table.
    """
    from goldsmith.warehouse.statements import quoted_name, run_statement

    counts = ["count(*)", *(f"count({quoted_name(conn_id, column)})" for column in columns)]
    statement = f"select {', '.join(counts)} from {relation.replace('%', '%%')}"  # noqa: S608 - quoted names
    [row] = run_statement(conn_id, statement, name="goldsmith gate", timeout=_TIMEOUT)
    return Measured(
        rows=int(row[0]), filled={column: int(n) for column, n in zip(columns, row[1:], strict=True)}
    )
