"""The table `goldsmith_gates` in the warehouse: one row for each rule of each verdict, in dbt's target schema.

It tells later runs how many rows a model had in the last good one, and everybody what a gate has let pass and who
overrode it. It is made when the first verdict is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from goldsmith.errors import NoSuchTable
from goldsmith.gate_rules.base import VERDICT_BLOCK
from goldsmith.gates.verdict import Verdict
from goldsmith.warehouse.base import Capability, Warehouse

TABLE = "goldsmith_gates"
_COLUMNS = {
    "pipeline": "text",
    "run_id": "text",
    "layer": "text",
    "judged_at": "time",
    "rule": "text",
    "measured": "number",
    "allowed": "text",
    "outcome": "text",
    "nodes": "number",
    "verdict": "text",
    "decision": "text",
    "decided_by": "text",
    "decided_at": "text",
    "reason": "text",
}
_NAME = "goldsmith gate"  # of the session


@dataclass(frozen=True, kw_only=True, slots=True)
class GateTable:
    """The table of one pipeline's verdicts; of a warehouse that cannot keep them, nothing.

    Every method raises an `EnvironmentProblem` if the warehouse fails or does not let this login in.

    Args:
        warehouse: The warehouse.
        schema: dbt's target schema.
        pipeline: The pipeline.
    """

    warehouse: Warehouse
    schema: str
    pipeline: str

    def write(self, run_id: str, verdict: Verdict) -> None:
        """Add a verdict, with one statement; make the table where it is missing."""
        if not self._is_kept:
            return
        rows = self._rows(run_id, verdict)
        marks = ", ".join(f"cast(%s as {self._types[kind]})" for kind in _COLUMNS.values())
        statement = f"insert into {self._table} values {', '.join([f'({marks})'] * len(rows))}"  # noqa: S608
        values = [value for row in rows for value in row]
        try:
            self._run(statement, values)
        except NoSuchTable:
            self._make()
            self._run(statement, values)

    def last_good(self, run_id: str, layer: str, rules: Iterable[str]) -> dict[str, float]:
        """Rule to what was measured in the last other run whose gate let the layer pass.

        Args:
            run_id: The run that is not to be looked at.
            layer: The layer.
            rules: The rules.
        """
        wanted = list(rules)
        if not wanted or not self._is_kept:
            return {}
        marks = ", ".join(["%s"] * len(wanted))
        statement = (
            "select rule, measured from (select rule, measured,"  # noqa: S608 - a quoted name, and marks
            f" row_number() over (partition by rule order by judged_at desc) as place from {self._table}"
            " where pipeline = %s and run_id <> %s and layer = %s and verdict <> %s and measured is not null"
            f" and rule in ({marks})) as ranked where place = 1"
        )
        try:
            rows = self._run(statement, [self.pipeline, run_id, layer, VERDICT_BLOCK, *wanted])
        except NoSuchTable:
            return {}
        return {str(rule): float(measured) for rule, measured in rows}

    def _make(self) -> None:
        """Make the schema first, where that is what is missing: dbt makes only those that its models stand in."""
        columns = ", ".join(f"{name} {self._types[kind]}" for name, kind in _COLUMNS.items())
        make_table = f"create table if not exists {self._table} ({columns})"
        try:
            self._run(make_table)
        except NoSuchTable:
            self._run(f"create schema if not exists {self.warehouse.quoted(self.schema)}")
            self._run(make_table)

    def _rows(self, run_id: str, verdict: Verdict) -> list[tuple[str | float | None, ...]]:
        now = datetime.now(UTC).isoformat()
        who = verdict.override
        decided = (who.decision, who.by, who.at, who.reason) if who else (None,) * 4
        return [
            (
                *(self.pipeline, run_id, verdict.layer, now),
                *(rule.rule, rule.measured, rule.allowed, rule.outcome, float(len(rule.nodes))),
                verdict.verdict,
                *decided,
            )
            for rule in verdict.rules
        ]

    @property
    def _table(self) -> str:
        return f"{self.warehouse.quoted(self.schema)}.{TABLE}"

    @property
    def _types(self) -> Mapping[str, str]:
        return self.warehouse.types

    @property
    def _is_kept(self) -> bool:
        return self.warehouse.can(Capability.VERDICTS)

    def _run(self, statement: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
        return self.warehouse.run(statement, values or [], name=_NAME)
