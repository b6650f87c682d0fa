"""Any other warehouse, asked through dbt: whatever its adapter knows, Goldsmith knows.

Questions are Jinja that `dbt show --inline` renders with the adapter: `adapter.get_relation`, `run_query`. Many of them
go into one command, because starting dbt takes longer than the warehouse's answers.
"""

from __future__ import annotations

import logging
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

Ask = Callable[[Sequence[str], float], list[Any]]
"""Takes pieces of Jinja, each of which sets `answer`, and the seconds that all may take; gives the answers, as JSON has
them, one for each.

Raises an `EnvironmentProblem` if dbt cannot be asked, or does not answer in time.
"""

_KINDS = {VIEW: VIEW, MATERIALIZED_VIEW: MATERIALIZED_VIEW}
_START, _LONGEST = 120.0, 300.0  # seconds for dbt to start and parse, and for one relation
_ALONE = 5  # queries that are asked for alone if all of them together failed
# Values become text in dbt's process: JSON has no dates and no decimals.
_TEXT = "(none if value is none else (value | string)[:{most}])"


class OtherWarehouse(Warehouse):
    """A warehouse that only dbt knows.

    Args:
        conn_id: The Airflow connection.
        kind: Its type.
        ask: Asks dbt; None if nobody can.
    """

    # dbt would be started while dbt runs: slow, and DuckDB's file belongs to one process.
    answers_beside_dbt: ClassVar[bool] = False

    def __init__(self, conn_id: str, kind: str, ask: Ask | None = None) -> None:
        super().__init__(conn_id, kind)
        self._ask = ask

    def relation_kinds(self, relations: Collection[str]) -> dict[str, str]:
        """Let dbt's adapter look for each of them; it lists each schema once."""
        wanted = list(dict.fromkeys(relations))
        found = self._answers([_relation_question(relation) for relation in wanted], _START + _LONGEST)
        return {
            relation: _KINDS.get(kind, TABLE) for relation, kind in zip(wanted, found, strict=True) if kind
        }

    def measure(self, wanted: Mapping[str, Sequence[str]]) -> dict[str, Measured]:
        """Count with one query for each relation.

        A column is looked for by its name in any case, and quoted as the adapter does it: in Snowflake a name that was
        made in small letters is in capitals.
        """
        questions = [_count_question(relation, columns) for relation, columns in wanted.items()]
        found = self._answers(questions, _START + _LONGEST * len(questions))
        return {
            relation: Measured(
                rows=_number(row[0]),
                filled={column: _number(n) for column, n in zip(columns, row[1:], strict=True)},
            )
            for (relation, columns), row in zip(wanted.items(), found, strict=True)
        }

    def sample_rows(self, queries: Sequence[str], *, limit: int, timeout: float) -> list[FailingRows | None]:
        """Read with the adapter's own words for a limit; if one query fails, a few are asked for alone."""
        questions = [_sample_question(query, limit) for query in queries]
        try:
            found = self._answers(questions, _START + timeout * len(questions))
        except Exception as error:  # noqa: BLE001 - a sample is never the reason for a failure
            log.warning("No sample of failing rows: %s", error)
            if len(queries) == 1:
                return [None]
            alone = [self.sample_rows([query], limit=limit, timeout=timeout)[0] for query in queries[:_ALONE]]
            return [*alone, *[None] * (len(queries) - len(alone))]
        return [
            FailingRows(columns=tuple(columns), rows=tuple(tuple(map(shown, row)) for row in rows))
            for columns, rows in found
        ]

    def _answers(self, questions: Sequence[str], timeout: float) -> list[Any]:
        if not questions:
            return []
        if self._ask is None:
            raise EnvironmentProblem(f"{self.kind} can be asked only by a task that has dbt.")
        return self._ask(questions, timeout)


def jinja_text(text: str) -> str:
    """A text as Jinja's literal, all of it ASCII: nothing in it is Jinja, whatever it looks like."""
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(one: str) -> str:
    if one in '"\\':
        return "\\" + one
    if " " <= one <= "~":
        return one
    return f"\\u{ord(one):04x}" if ord(one) < 0x10000 else f"\\U{ord(one):08x}"


def _found(relation: str) -> str:
    named = [part for part, _ in parts_of(relation)]
    # Without a database in its names, an adapter has none, or one for all.
    database = jinja_text(named[0]) if len(named) == 3 else "target.database"
    return (
        f"{{% set found = adapter.get_relation(database={database}, schema={jinja_text(named[-2])}, "
        f"identifier={jinja_text(named[-1])}) %}}"
    )


def _relation_question(relation: str) -> str:
    return _found(relation) + "{% set answer = (found.type or 'table') | string if found else '' %}"


def _count_question(relation: str, columns: Sequence[str]) -> str:
    names = ", ".join(map(jinja_text, columns))
    known = (
        "{% set columns = adapter.get_columns_in_relation(found) if found else [] %}{% set known = {} %}"
        "{% for one in columns %}{% do known.update({one.name | lower: one.quoted}) %}{% endfor %}"
        # The very name wins over the same one in other letters.
        "{% for one in columns %}{% do known.update({one.name: one.quoted}) %}{% endfor %}"
    )
    return (
        f"{_found(relation)}{known if columns else ''}"  # noqa: S608 - dbt's own name, and columns that it quotes
        '{% set counts = ["count(*)"] %}'
        f"{{% for name in [{names}] %}}"
        '{% do counts.append("count(" ~ known.get(name, known.get(name | lower, adapter.quote(name))) ~ ")") %}'
        "{% endfor %}"
        f'{{% set answer = run_query("select " ~ counts | join(", ") ~ " from " ~ {jinja_text(relation)})'
        ".rows[0].values() | map('string') | list %}"
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


def _number(text: str) -> int:
    return int(Decimal(text))
