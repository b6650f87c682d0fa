"""dbt's JSON log lines as records.

The lines are those of `dbt --log-format json --log-level debug` (dbt-core, `core_types.proto`): an `info` with name,
level, message and invocation id, and `data`, which for events about a node holds `node_info`. `NodeFinished` carries
the result.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_SHOWN = {"info", "warn", "error"}
_KEPT = 40  # lines per node
_MAIN = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """What dbt said about a node when it was done with it."""

    unique_id: str
    status: str
    message: str
    invocation_id: str
    started: str
    ended: str
    seconds: float
    rows: int | None
    failures: int | None
    relation: str
    materialized: str
    path: str
    """dbt's own path of the node, from the folder that holds its kind."""
    lines: tuple[str, ...]


class EventReader:
    """Reads a dbt invocation's lines, one after the other."""

    def __init__(self) -> None:
        self.invocation_id = ""
        self.said: list[str] = []
        """Lines that are about no node: what dbt found, or why it could not start."""
        self.errors: list[str] = []
        """Those of them that are errors."""
        self.running: dict[str, float] = {}
        """Unique id to when dbt started the node, on the monotonic clock, of those that it is at."""
        self._lines: dict[str, list[str]] = defaultdict(list)

    def read(self, line: str) -> Finished | None:
        """Take in a line; give the result where the line says that a node is finished."""
        try:
            event: Any = json.loads(line)
            info, data = event["info"], event["data"]
        except (ValueError, TypeError, KeyError):
            if line.strip():  # a Python warning or a crash, in plain words
                self.said.append(line)
                self.errors.append(line)
            return None
        self.invocation_id = info.get("invocation_id") or self.invocation_id
        node = data.get("node_info") or {}
        unique_id = str(node.get("unique_id") or _MAIN)
        if info["name"] == "NodeStart":
            self.running[unique_id] = time.monotonic()
        if info["name"] == "NodeFinished":
            self.running.pop(unique_id, None)
            return self._finished(info, data, node)
        text = str(info.get("msg") or "").strip("\n")
        if info["level"] in _SHOWN and text.strip():
            self._keep(unique_id, text, is_error=info["level"] == "error")
        return None

    def _keep(self, unique_id: str, text: str, *, is_error: bool) -> None:
        if unique_id == _MAIN:
            self.said.append(text)
            if is_error:
                self.errors.append(text)
        elif len(self._lines[unique_id]) < _KEPT:
            self._lines[unique_id].append(text)

    def _finished(
        self, info: Mapping[str, Any], data: Mapping[str, Any], node: Mapping[str, Any]
    ) -> Finished:
        result = data.get("run_result") or {}
        relation = node.get("node_relation") or {}
        rows = (result.get("adapter_response") or {}).get("rows_affected")
        unique_id = str(node["unique_id"])
        is_test = node.get("resource_type") in ("test", "unit_test")
        return Finished(
            unique_id=unique_id,
            status=str(result.get("status") or "").lower(),
            message=str(result.get("message") or ""),
            invocation_id=str(info.get("invocation_id") or ""),
            started=_utc(node.get("node_started_at")),
            ended=_utc(node.get("node_finished_at")),
            seconds=float(result.get("execution_time") or 0.0),
            rows=int(rows) if rows is not None and not is_test else None,
            failures=int(result.get("num_failures") or 0) if is_test else None,
            relation=str(relation.get("relation_name") or ""),
            materialized=str(node.get("materialized") or ""),
            path=str(node.get("node_path") or ""),
            lines=tuple(self._lines.pop(unique_id, ())),
        )


def _utc(time: Any) -> str:
    """dbt leaves out that its times are UTC."""
    return f"{time}+00:00" if time and "+" not in str(time) else str(time or "")
