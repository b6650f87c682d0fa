"""What a node's task writes into its own log, and how it ends."""

from __future__ import annotations

from typing import Protocol

from goldsmith.engine.batch import MISSING
from goldsmith.errors import GoldsmithError
from goldsmith.plan.model import PlannedNode
from goldsmith.results.record import GOOD, FailingRows, NodeResult


class Log(Protocol):
    """A task's log."""

    def info(self, event: str, *args: object) -> object:
        """Write a line."""


class NodeFailed(GoldsmithError):  # noqa: N818 - it names what happened to the node
    """dbt says that a node failed."""


def report(node: PlannedNode, status: str, result: NodeResult | None, log: Log) -> str:
    """Write what dbt said into the log.

    Args:
        node: The node.
        status: dbt's status of it.
        result: The details, where they can be read.
        log: The task's log.

    Returns:
        The status.

    Raises:
        NodeFailed: The status says so.
    """
    if result is not None:
        _write(result, log)
    if status in GOOD:
        return status
    if status == MISSING:
        raise NodeFailed(
            f"dbt built nothing for {node.unique_id}: the project, as dbt reads it now, does not have it.",
            hint="Was it removed or renamed since the manifest was made? goldsmith manifest",
        )
    said = result.message if result is not None and result.message else f"dbt ended it with status {status}"
    raise NodeFailed(
        f"{node.unique_id}: {status}\n{said}", hint=f"Run it again by hand: {_command(node, result)}"
    )


def _command(node: PlannedNode, result: NodeResult | None) -> str:
    return result.command if result is not None else f"dbt build --select {node.select}"


def _write(result: NodeResult, log: Log) -> None:
    log.info(
        "%s (invocation %s, %s, %.2f s)",
        result.command,
        result.invocation_id,
        result.built_by,
        result.seconds,
    )
    for line in result.lines:
        log.info("%s", line)
    if result.compiled_sql:
        log.info("Compiled SQL:\n%s", result.compiled_sql)
    if result.failing_rows is not None:
        log.info(
            "Failing rows, the first %d:\n%s", len(result.failing_rows.rows), _table(result.failing_rows)
        )


def _table(rows: FailingRows) -> str:
    """Columns side by side."""
    lines = [rows.columns, *rows.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(rows.columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
