"""What Goldsmith makes of dbt's events: of each that can be an error, and of each that ends a node.

The tables are facts about dbt 1.12; `test_dbt_events.py` compares them with the dbt that is installed and lets the
reader and the judge of a dbt command read such events.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

RESULT = "result"
"""The node has ended with this status: the only event that decides about a node."""
LINE = "line"
"""One of the node's own lines: in its details, in `goldsmith logs NODE` and in the message of its task."""
BATCH = "batch"
"""One of the node's own lines, and the next `NodeFinished` is that of a batch, not of the microbatch model."""
HOOK = "hook"
"""The hook has failed: the task that ran dbt fails and names it."""
ERROR = "error"
"""About no node: in the task's log as an error. The task fails with it if no node explains dbt's exit code."""
SAID = "said"
"""About no node: in the task's log. It decides nothing."""
NOTHING = "nothing"
"""Of level debug: not shown. Another event says the same."""

NODE = {
    "unique_id": "model.shop.orders",
    "resource_type": "model",
    "node_name": "orders",
    "node_path": "orders.sql",
    "materialized": "table",
    "node_started_at": "2026-11-20T13:00:00",
    "node_finished_at": "2026-11-20T13:00:01",
}
HOOK_NODE = {
    "unique_id": "operation.shop.shop-on-run-end-0",
    "resource_type": "operation",
    "node_name": "shop-on-run-end-0",
}
_OF_NODE: dict[str, Any] = {"node_info": NODE}
_NUMBERED: dict[str, Any] = {"node_info": NODE, "index": 1, "total": 2, "execution_time": 0.5}
_ENDED: dict[str, Any] = {**_NUMBERED, "description": "sql table model orders", "status": "error"}
_NAMED: dict[str, Any] = {"resource_type": "model", "node_name": "orders", "path": "orders.sql"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """An event, and what is made of it."""

    name: str
    """Of the event's class."""
    made: str
    """One of the words above."""
    level: str = "error"
    fields: Mapping[str, Any] = field(default_factory=dict)


EVENTS = (
    # What ends a node. Only `NodeFinished` counts: dbt sends it for each node that it came to, skipped ones too. The
    # lines beside it are for people, and one kind of node has no line at all.
    Row(
        name="NodeFinished",
        made=RESULT,
        level="debug",
        fields={**_OF_NODE, "run_result": {"status": "error", "message": "relation is gone"}},
    ),
    Row(name="LogModelResult", made=LINE, fields=_ENDED),
    Row(
        name="LogSeedResult",
        made=LINE,
        fields={**_NUMBERED, "status": "error", "schema": "raw", "relation": "orders"},
    ),
    Row(name="LogSnapshotResult", made=LINE, fields=_ENDED),
    Row(
        name="LogTestResult",
        made=LINE,
        fields={
            "node_info": NODE,
            "name": "unique_id",
            "status": "fail",
            "index": 1,
            "num_models": 2,
            "num_failures": 3,
        },
    ),
    Row(
        name="LogFreshnessResult",
        made=LINE,
        fields={**_NUMBERED, "status": "error", "source_name": "lake", "table_name": "orders"},
    ),
    Row(name="LogFunctionResult", made=LINE, fields=_ENDED),
    Row(
        name="LogOverloadResult",
        made=LINE,
        fields={
            "node_info": NODE,
            "description": "function f",
            "status": "error",
            "overload_index": 1,
            "total_overloads": 2,
        },
    ),
    Row(
        name="LogBatchResult",
        made=BATCH,
        fields={
            "node_info": NODE,
            "description": "batch 2026-11-20 of orders",
            "status": "error",
            "batch_index": 2,
            "total_batches": 3,
        },
    ),
    Row(name="LogNodeResult", made=LINE, fields={**_ENDED, "msg": "ERROR orders"}),
    Row(name="LogNodeNoOpResult", made=LINE, level="info", fields={**_ENDED, "status": "no-op"}),
    Row(
        name="SkippingDetails",
        made=LINE,
        level="info",
        fields={
            "node_info": NODE,
            **{key: _NAMED[key] for key in ("resource_type", "node_name")},
            "index": 1,
        },
    ),
    Row(
        name="LogSkipBecauseError",
        made=ERROR,
        fields={"schema": "silver", "relation": "orders", "index": 1, "total": 2, "status": "error"},
    ),
    Row(
        name="MarkSkippedChildren",
        made=NOTHING,
        level="debug",
        fields={
            "unique_id": "model.shop.orders",
            "status": "error",
            "run_result": {"status": "error", "message": "relation is gone"},
        },
    ),
    Row(
        name="LogHookEndLine",
        made=HOOK,
        level="info",
        fields={"node_info": HOOK_NODE, "statement": "hook", "status": "ERROR", "index": 1, "total": 1},
    ),
    # Errors of a node, beside those above.
    Row(
        name="GenericExceptionOnRun",
        made=LINE,
        fields={**_OF_NODE, "unique_id": NODE["unique_id"], "exc": "out of memory"},
    ),
    Row(
        name="AdapterEventError",
        made=LINE,
        fields={**_OF_NODE, "name": "postgres", "base_msg": "connection lost", "exc_info": ""},
    ),
    Row(name="ParseInlineNodeError", made=LINE, fields={**_OF_NODE, "exc": "not a query"}),
    Row(name="RunResultFailure", made=LINE, fields={**_OF_NODE, **_NAMED}),
    Row(name="RunResultError", made=LINE, fields={**_OF_NODE, "msg": "relation is gone"}),
    Row(name="RunResultErrorNoMessage", made=LINE, fields={**_OF_NODE, "status": "error"}),
    # Errors of no node.
    Row(name="MainEncounteredError", made=ERROR, fields={"exc": "Compilation Error"}),
    Row(name="MainStackTrace", made=ERROR, fields={"stack_trace": "Traceback: orders"}),
    Row(name="LogCancelLine", made=ERROR, fields={"conn_name": "model.shop.orders"}),
    Row(name="LogDbtProfileError", made=ERROR, fields={"exc": "no profile", "profiles": ["shop"]}),
    Row(name="LogDbtProjectError", made=ERROR, fields={"exc": "no project"}),
    Row(name="InvalidOptionYAML", made=ERROR, fields={"option_name": "vars"}),
    Row(name="EnsureGitInstalled", made=ERROR),
    Row(name="RunningOperationCaughtError", made=ERROR, fields={"exc": "macro failed"}),
    Row(name="RunningOperationUncaughtError", made=ERROR, fields={"exc": "macro crashed"}),
    Row(name="ArtifactUploadError", made=ERROR, fields={"msg": "upload failed"}),
    Row(name="WriteCatalogFailure", made=ERROR, fields={"num_exceptions": 2}),
    # Events that are an error only as dbt raises them in some places.
    Row(name="Note", made=ERROR, fields={"msg": "a macro failed"}),
    Row(name="SemanticValidationFailure", made=ERROR, fields={"msg": "no metric"}),
    Row(
        name="SpacesInResourceNameDeprecation",
        made=ERROR,
        fields={"unique_id": "model.shop.my orders", "level": "error"},
    ),
    Row(name="V2ParserEnd", made=ERROR, fields={"status": "error", "error_class": "Panic", "exit_code": 101}),
    Row(
        name="AdapterRegistered",
        made=ERROR,
        fields={"adapter_name": "postgres", "adapter_version": "1.11.0"},
    ),
)

GREEN, RED, HELD = "green", "red", "held back"
STATUSES = {
    "success": GREEN,
    "pass": GREEN,
    "warn": GREEN,
    "error": RED,
    "fail": RED,
    "runtime error": RED,
    "partial success": RED,  # a microbatch model some of whose batches failed
    "no-op": RED,  # dbt sends it for nodes that Goldsmith does not run; a task never ends green with it
    "reused": RED,  # likewise: dbt State, which Goldsmith does not use
    "skipped": HELD,
}
"""dbt's status of a finished node to what its task becomes."""
