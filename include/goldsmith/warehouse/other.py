"""Any other warehouse, asked through dbt: whatever its adapter knows, Goldsmith knows.

Questions are Jinja that `dbt show --inline` renders with the adapter: `adapter.get_relation`, `run_query`. Many of them
go into one command, because starting dbt takes longer than the warehouse's answers.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar

from goldsmith.errors import EnvironmentProblem
from goldsmith.gate_rules.base import Measured
from goldsmith.results.record import FailingRows
from goldsmith.warehouse.base import MATERIALIZED_VIEW, TABLE, VIEW, Warehouse
from goldsmith.warehouse.names import parts_of
from goldsmith.warehouse.samples import LONGEST_VALUE, MOST_COLUMNS, shown

log = logging.getLogger(__name__)

Ask = Callable[[Sequence[str]], list[Any]]
"""Takes expressions and statements of Jinja, each of which sets `answer`; gives the answers, as JSON has them.

Raises an `EnvironmentProblem` if dbt cannot be asked.
"""

_KINDS = {VIEW: VIEW, MATERIALIZED_VIEW: MATERIALIZED_VIEW}
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Values become text in dbt's process: JSON has no dates and no decimals.
_TEXT = "(none if value is none else (value | string)[:{most}])"


class OtherWarehouse(Warehouse):
    """A warehouse that only dbt knows.

    Args:
        conn_id: The Airflow connection.
        kind: Its type.
        ask: Asks dbt; None where nobody can.
    """

    # dbt would be started while dbt runs: slow, and DuckDB's file belongs to one process.
    answers_beside_dbt: ClassVar[bool] = False

    def __init__(self, conn_id: str, kind: str, ask: Ask | None = None) -> None:
        super().__init__(conn_id, kind)
        self._ask = ask

    def relation_kinds(self, relations: Collection[str]) -> dict[str, str]:
        """Let dbt's adapter look for each of them; it lists each schema once."""
        wanted = list(dict.fromkeys(relations))
        found = self._answers([_relation_question(relation) for relation in wanted])
        return {
            relation: _KINDS.get(kind, TABLE) for relation, kind in zip(wanted, found, strict=True) if kind
        }

    def measure(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, Measured]:
        """Count with one query for each relation.

        A column is named as it is written if it is a plain word, as in dbt's own tests: quoted, a name in small
        letters would be another one in Snowflake.
        """
        questions = []
        for relation, columns in wanted.items():
            counts = ["count(*)", *(f"count({_column(column)})" for column in columns)]
            query = " ~ ".join(_parts(f"select {', '.join(counts)} from {relation}"))  # noqa: S608 - dbt's own name
            questions.append(
                f"{{% set answer = run_query({query}).rows[0].values() | map('string') | list %}}"
            )
        found = self._answers(questions)
        return {
            relation: Measured(
                rows=_number(row[0]),
                filled={column: _number(n) for column, n in zip(columns, row[1:], strict=True)},
            )
            for (relation, columns), row in zip(wanted.items(), found, strict=True)
        }

    def sample_rows(
        self,
        queries: Sequence[str],
        *,
        limit: int,
        timeout: float,  # noqa: ARG002 - an adapter cannot be told
    ) -> list[FailingRows | None]:
        """Read with the adapter's own words for a limit."""
        try:
            found = self._answers([_sample_question(query, limit) for query in queries])
        except EnvironmentProblem as error:
            log.warning("No sample of failing rows: %s", error)
            return [None] * len(queries)
        return [
            FailingRows(columns=tuple(columns), rows=tuple(tuple(map(shown, row)) for row in rows))
            for columns, rows in found
        ]

    def _answers(self, questions: Sequence[str]) -> list[Any]:
        if not questions:
            return []
        if self._ask is None:
            raise EnvironmentProblem(f"{self.kind} can be asked only by a task that has dbt.")
        return self._ask(questions)


def jinja_text(text: str) -> str:
    """A text as Jinja's literal, all of it ASCII: nothing in it is Jinja, whatever it looks like."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(one: str) -> str:
    if one in '"\\':
        return "\\" + one
    if " " <= one <= "~":
        return one
    return f"\\u{ord(one):04x}" if ord(one) < 0x10000 else f"\\U{ord(one):08x}"


def _relation_question(relation: str) -> str:
    named = [part for part, _ in parts_of(relation)]
    # Without a database in its names, an adapter has none, or one for all.
    database = jinja_text(named[0]) if len(named) == 3 else "target.database"
    return (
        f"{{% set found = adapter.get_relation(database={database}, schema={jinja_text(named[-2])}, "
        f"identifier={jinja_text(named[-1])}) %}}"
        "{% set answer = (found.type or 'table') | string if found else '' %}"
    )


def _sample_question(query: str, limit: int) -> str:
    text = _TEXT.format(most=LONGEST_VALUE + 1)
    return (
        # On a line of its own: the SQL may end in a comment.
        f"{{% set table = run_query(get_limit_subquery_sql({jinja_text(query + chr(10))}, {limit})) %}}"
        "{% set rows = [] %}{% for row in table.rows %}{% set shown = [] %}"
        f"{{% for value in row.values()[:{MOST_COLUMNS}] %}}{{% do shown.append({text}) %}}{{% endfor %}}"
        "{% do rows.append(shown) %}{% endfor %}"
        f"{{% set answer = [table.column_names[:{MOST_COLUMNS}] | list, rows] %}}"
    )


def _column(name: str) -> str:
    """A column's name in a query, or the mark where dbt's adapter puts the quoted one."""
    return name if _PLAIN.fullmatch(name) else f"\0{name}\0"


def _parts(query: str) -> list[str]:
    """The query as pieces of Jinja: texts, and names that the adapter quotes."""
    return [
        f"adapter.quote({jinja_text(piece)})" if number % 2 else jinja_text(piece)
        for number, piece in enumerate(query.split("\0"))
    ]


def _number(text: str) -> int:
    return int(Decimal(text))
