"""What warehouses share that take statements of our own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from goldsmith.gate_rules.base import Measured
from goldsmith.warehouse.base import Value, Warehouse

_TIMEOUT = 300.0  # seconds for one relation
_NAME = "goldsmith gate"  # of the session


class SqlWarehouse(Warehouse):
    """A warehouse that runs statements of our own."""

    quote: ClassVar[str] = '"'

    def quoted(self, name: str) -> str:
        """A name as one part of an SQL statement.

        Example:
            >>> PostgresWarehouse("warehouse", "postgres").quoted("customer id")
            '"customer id"'
        """
        return (self.quote + name.replace(self.quote, self.quote * 2) + self.quote).replace("%", "%%")

    @abstractmethod
    def run(
        self, statement: str, values: Sequence[Value] = (), *, name: str, timeout: float = 30.0
    ) -> list[tuple[Any, ...]]:
        """Run one statement."""

    def measure(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, Measured]:
        """Count rows, and those with a value in a column, with one query for each relation."""
        return {relation: self._measured(relation, columns) for relation, columns in wanted.items()}

    def _measured(self, relation: str, columns: Sequence[str]) -> Measured:
        counts = ["count(*)", *(f"count({self.quoted(column)})" for column in columns)]
        statement = f"select {', '.join(counts)} from {relation.replace('%', '%%')}"  # noqa: S608 - quoted names
        [row] = self.run(statement, name=_NAME, timeout=_TIMEOUT)
        return Measured(
            rows=int(row[0]), filled={column: int(n) for column, n in zip(columns, row[1:], strict=True)}
        )
