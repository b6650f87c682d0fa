"""What only the warehouse knows: how many rows a model has, and how many of them have no value in a column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from goldsmith.gates.rules import PASS, UNKNOWN, RuleResult
from goldsmith.spec.gate import Gate, NullLimit, RowLimit, percent

_TIMEOUT = 300.0  # seconds for one model


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One model, as the warehouse has it."""

    rows: int
    filled: Mapping[str, int]
    """Column to the number of rows with a value in it."""


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


def rows_rule(model: str) -> str:
    """Name of the rule on a model's rows; its measured value is what a later run is compared with."""
    return f"rows of {model}"


def measure_rules(
    limits: Gate,
    measured: Mapping[str, Measured],
    before: Mapping[str, float],
    unique_ids: Mapping[str, str],
) -> list[RuleResult]:
    """Judge the limits on rows and nulls.

    Args:
        limits: The gate's.
        measured: Model to what was measured; one that was not built in this run is missing.
        before: Rule on rows to its value in the last good run.
        unique_ids: Model to dbt's unique id.
    """
    found: list[RuleResult] = []
    for model, limit in limits.rows.items():
        found += _row_rules(model, limit, measured.get(model), before, unique_ids[model])
    for model, columns in limits.nulls.items():
        for column, null in columns.items():
            found.append(_null_rule(model, column, null, measured.get(model), unique_ids[model]))
    return found


def _row_rules(
    model: str, limit: RowLimit, measured: Measured | None, before: Mapping[str, float], unique_id: str
) -> list[RuleResult]:
    rule = rows_rule(model)
    allowed = "any number" if limit.min is None else f"at least {limit.min}"
    change = f"change of {rule}"
    most = "" if limit.change is None else f"at most {percent(limit.change)}"
    if measured is None:
        return [_unknown(rule, allowed), *([_unknown(change, most)] if most else [])]
    is_few = limit.min is not None and measured.rows < limit.min
    found = [
        RuleResult(
            rule=rule,
            measured=measured.rows,
            allowed=allowed,
            outcome=limit.then if is_few else PASS,
            nodes=(unique_id,) if is_few else (),
        )
    ]
    if limit.change is None:
        return found
    last = before.get(rule)
    if not last:
        said = "no good run before" if last is None else "no rows in the last good run"
        return [*found, _unknown(change, most, note=said)]
    share = abs(measured.rows - last) / last
    is_much = share > limit.change
    return [
        *found,
        RuleResult(
            rule=change,
            measured=share,
            allowed=most,
            outcome=limit.then if is_much else PASS,
            nodes=(unique_id,) if is_much else (),
            is_share=True,
            note=f"{int(last)} before",
        ),
    ]


def _null_rule(
    model: str, column: str, limit: NullLimit, measured: Measured | None, unique_id: str
) -> RuleResult:
    rule, allowed = f"nulls in {model}.{column}", f"at most {percent(limit.share)}"
    if measured is None:
        return _unknown(rule, allowed)
    share = 1 - measured.filled[column] / measured.rows if measured.rows else 0.0
    is_much = share > limit.share
    return RuleResult(
        rule=rule,
        measured=share,
        allowed=allowed,
        outcome=limit.then if is_much else PASS,
        nodes=(unique_id,) if is_much else (),
        is_share=True,
    )


def _unknown(rule: str, allowed: str, *, note: str = "not built in this run") -> RuleResult:
    return RuleResult(rule=rule, measured=None, allowed=allowed, outcome=UNKNOWN, note=note)
