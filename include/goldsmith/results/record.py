"""The record of one node: what dbt was asked, what it did and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from goldsmith.results.microbatch import Microbatches

GOOD = frozenset({"success", "pass", "warn"})
"""dbt's statuses of a node that is done."""
WARN = "warn"
"""dbt's status of a test that warns."""
SKIPPED = "skipped"
"""dbt's status of a node that another one holds back."""
FAILED = frozenset({"error", "fail", "runtime error", "partial success"})
"""dbt's statuses of what did not go well, or found rows; of a microbatch model also if one of its batches failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FailingRows:
    """A sample of the rows that made a test fail, as text."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def text(self) -> str:
        """The columns side by side."""
        lines = [self.columns, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.columns))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeResult:
    """What dbt said about a node, once."""

    unique_id: str
    task_id: str
    kind: str
    """dbt's resource type; `source` stands for its freshness check."""
    status: str
    """dbt's: success, pass, warn, fail, error, skipped, `runtime error`, `partial success`."""
    message: str
    invocation_id: str
    """dbt's id of the invocation that says so."""
    command: str
    """The dbt command line, to run it again by hand."""
    built_by: str
    """Id of the Airflow task that ran dbt: a build, or the node's own."""
    started: str
    """ISO 8601 in UTC; empty where dbt did not start it."""
    ended: str
    seconds: float
    rows: int | None
    """Rows that dbt's adapter reported, where it did."""
    failures: int | None
    """Tests only: rows that failed."""
    relation: str
    """Quoted name in the warehouse; empty for tests."""
    materialized: str
    lines: tuple[str, ...]
    """dbt's own lines about the node."""
    compiled_sql: str
    failing_rows: FailingRows | None = None
    is_news: bool = False
    """Whether the node's task has still to report it: another task built the node while this one waited."""
    batches: Microbatches | None = None
    """The batches of a microbatch model, if some of them are not built."""

    @property
    def is_good(self) -> bool:
        """Whether the node is done: built, passed, or passed with a warning."""
        return self.status in GOOD

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {**asdict(self), "batches": self.batches and self.batches.pack()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> NodeResult:
        """Make a record of what `to_dict` gave, after a way through JSON."""
        rows = values.get("failing_rows")
        sample = rows and FailingRows(
            columns=tuple(rows["columns"]), rows=tuple(tuple(row) for row in rows["rows"])
        )
        batches = values.get("batches")
        changed = {
            "lines": tuple(values["lines"]),
            "failing_rows": sample or None,
            "batches": Microbatches.unpack(batches) if batches else None,
        }
        return cls(**{**values, **changed})
