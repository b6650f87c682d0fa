"""What dbt's own runner, inside a task's process, says about the node that it ran.

dbt is not imported here: what comes are its objects, `dbtRunnerResult` and its events.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from goldsmith.dbt.batch_events import rows_of
from goldsmith.dbt.error_class import CANCELLED
from goldsmith.kinds import TEST_KINDS
from goldsmith.plan.model import PlannedNode
from goldsmith.results.record import NodeResult

_SHOWN = {"info", "warn", "error"}
_KEPT = 40  # lines, and as many errors more


class Listener:
    """Takes in the events of one dbt command that runs one node.

    Args:
        unique_id: dbt's unique id of the node.
    """

    def __init__(self, unique_id: str) -> None:
        self.unique_id = unique_id
        self.invocation_id = ""
        self.began = datetime.now(UTC)
        self.lines: list[str] = []
        """dbt's own lines about the node."""

    def __call__(self, event: Any) -> None:
        """Take in an event (dbt's `EventMsg`); it may come from any of dbt's threads."""
        info = event.info
        self.invocation_id = info.invocation_id or self.invocation_id
        if info.level not in _SHOWN or len(self.lines) >= _KEPT * (1 + (info.level == "error")):
            return
        about = getattr(getattr(event.data, "node_info", None), "unique_id", "")
        text = str(info.msg or "").strip("\n")
        if about == self.unique_id and text.strip():
            self.lines.append(text)


def result_of(
    outcome: Any, said: Listener, *, node: PlannedNode, task_id: str, command: str
) -> NodeResult | None:
    """The details of a node; None where dbt did not get to it.

    Args:
        outcome: dbt's `dbtRunnerResult`.
        said: What dbt said meanwhile.
        node: The node.
        task_id: The task that ran it.
        command: The dbt command line that runs it again by hand.
    """
    results = getattr(getattr(outcome, "result", None), "results", None) or ()
    one = next((one for one in results if one.node.unique_id == node.unique_id), None)
    if one is None:
        return None
    is_test = node.kind in TEST_KINDS
    times = [time for part in one.timing for time in (part.started_at, part.completed_at) if time]
    return NodeResult(
        unique_id=node.unique_id,
        task_id=task_id,
        kind=node.kind,
        status=str(getattr(one.status, "value", one.status)).lower(),
        message=str(one.message or ""),
        invocation_id=said.invocation_id,
        command=command,
        built_by=task_id,
        started=_utc(min(times)) if times else "",
        ended=_utc(max(times)) if times else "",
        seconds=float(one.execution_time or 0.0),
        rows=None if is_test else rows_of(one.adapter_response),
        failures=int(one.failures or 0) if is_test else None,
        relation="" if is_test else str(getattr(one.node, "relation_name", None) or ""),
        materialized=str(getattr(one.node.config, "materialized", "") or ""),
        lines=tuple(said.lines),
        compiled_sql=str(getattr(one.node, "compiled_code", None) or "").strip(),
    )


def failed_beside(outcome: Any, unique_id: str) -> str:
    """What failed beside a node, hooks that is; empty if nothing did.

    Args:
        outcome: dbt's `dbtRunnerResult`.
        unique_id: dbt's unique id of the node.
    """
    results = getattr(getattr(outcome, "result", None), "results", None) or ()
    failed = [
        one
        for one in results
        if one.node.unique_id != unique_id and str(getattr(one.status, "value", one.status)) == "error"
    ]
    return "\n".join(f"{one.node.unique_id}: {one.message}" for one in failed)


def result_at_limit(
    said: Listener, *, limit: timedelta, node: PlannedNode, task_id: str, command: str
) -> NodeResult:
    """The details of a node that dbt was at when its task's time was over.

    Args:
        said: What dbt said until then.
        limit: The task's time limit.
        node: The node.
        task_id: The task that ran it.
        command: The dbt command line that runs it again by hand.
    """
    ended = datetime.now(UTC)
    return NodeResult(
        unique_id=node.unique_id,
        task_id=task_id,
        kind=node.kind,
        status="error",
        message=f"Its task's time limit of {timedelta(seconds=round(limit.total_seconds()))} was over: {CANCELLED}",
        invocation_id=said.invocation_id,
        command=command,
        built_by=task_id,
        started=said.began.isoformat(),
        ended=ended.isoformat(),
        seconds=(ended - said.began).total_seconds(),
        rows=None,
        failures=None,
        relation="",
        materialized="",
        lines=tuple(said.lines),
        compiled_sql="",
    )


def _utc(time: datetime) -> str:
    """dbt's times are UTC, and older ones do not say so."""
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat()
