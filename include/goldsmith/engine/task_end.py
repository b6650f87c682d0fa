"""What a node's task writes into its own log, and how it ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from goldsmith.engine.build_state import MISSING
from goldsmith.errors import GoldsmithError
from goldsmith.kinds import RELATIONS
from goldsmith.plan.model import PlannedNode
from goldsmith.results.record import GOOD, SKIPPED, NodeResult
from goldsmith.wording import some

_NAMED = 20  # failed nodes in the message of one task


class Log(Protocol):
    """A task's log."""

    def info(self, event: str, *args: object) -> object:
        """Write a line."""


RETRIED_AS_MODELS = (*RELATIONS, "function")
"""Kinds of nodes whose failure a retry may mend."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failed:
    """A node that failed."""

    node: PlannedNode
    status: str
    """dbt's."""
    message: str
    """What dbt said."""
    own_retries: int | None
    """The number of retries that its task has in the dbt project; a test in a model's task has the spec's."""

    @property
    def is_model(self) -> bool:
        """Whether a retry may mend it, whatever the error: not so a test."""
        return self.node.kind in RETRIED_AS_MODELS


class NodeFailed(GoldsmithError):  # noqa: N818 - it names what happened to the node
    """dbt says that nodes of a task failed.

    Args:
        message: What dbt said about each.
        hint: How to run them by hand.
        failed: The nodes.
    """

    def __init__(self, message: str, *, hint: str = "", failed: Sequence[Failed] = ()) -> None:
        super().__init__(message, hint=hint)
        self.failed = tuple(failed)


def failure_of(nodes: Sequence[PlannedNode], node: PlannedNode, *, status: str, message: str) -> Failed:
    """How a node failed.

    Args:
        nodes: The nodes of its task, the one that the task is named after first.
        node: The node.
        status: dbt's.
        message: What dbt said.
    """
    is_its_own = node.kind in RETRIED_AS_MODELS or nodes[0].kind not in RETRIED_AS_MODELS
    own = nodes[0].operator_kwargs.get("retries") if is_its_own else None
    return Failed(node=node, status=status, message=message, own_retries=None if own is None else int(own))


def report(
    nodes: Sequence[PlannedNode], statuses: Mapping[str, str], lasts: Mapping[str, NodeResult], log: Log
) -> str:
    """Write what dbt said about a task's nodes into the log.

    Args:
        nodes: The nodes.
        statuses: Unique id to dbt's status, of those that have one to report.
        lasts: Unique id to the details, where they can be read.
        log: The task's log.

    Returns:
        The status; how often which, where there are several.

    Raises:
        NodeFailed: A status says so.
    """
    known = [node for node in nodes if node.unique_id in statuses]
    for node in known:
        if len(nodes) > 1:
            log.info("%s: %s", node.unique_id, statuses[node.unique_id])
        if node.unique_id in lasts:
            _write(lasts[node.unique_id], log)
    if failed := failed_of(known, statuses):
        said = [_failure(node, statuses[node.unique_id], lasts.get(node.unique_id)) for node in failed]
        raise NodeFailed(
            some((text for text, _ in said), _NAMED, between="\n"),
            hint="\n".join(dict.fromkeys(hint for _, hint in said[:_NAMED])),
            failed=[
                failure_of(
                    nodes, node, status=statuses[node.unique_id], message=_message(lasts.get(node.unique_id))
                )
                for node in failed
            ],
        )
    if len(nodes) == 1:
        return statuses[nodes[0].unique_id]
    counts = Counter(statuses.values())
    return ", ".join(f"{number} {status}" for status, number in sorted(counts.items()))


def failed_of(nodes: Iterable[PlannedNode], statuses: Mapping[str, str]) -> list[PlannedNode]:
    """The nodes that failed; where none did, those that were held back without a reason among them."""
    bad = [node for node in nodes if statuses[node.unique_id] not in GOOD]
    return [node for node in bad if statuses[node.unique_id] != SKIPPED] or bad


def _failure(node: PlannedNode, status: str, result: NodeResult | None) -> tuple[str, str]:
    """What happened to a node, and what to do."""
    if status == MISSING:
        return (
            f"dbt built nothing for {node.unique_id}: the project, as dbt reads it now, does not have it.",
            "Was it removed or renamed since the manifest was made? goldsmith manifest",
        )
    said = result.message if result is not None and result.message else f"dbt ended it with status {status}"
    return f"{node.unique_id}: {status}\n{said}", f"Run it again by hand: {_command(node, result)}"


def _message(result: NodeResult | None) -> str:
    return result.message if result is not None else ""


def _command(node: PlannedNode, result: NodeResult | None) -> str:
    return result.command if result is not None else node.command("build")


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
        log.info("Failing rows, the first %d:\n%s", len(result.failing_rows.rows), result.failing_rows.text)
