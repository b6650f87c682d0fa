"""dbt's JSON log lines as records.

The lines are those of `dbt --log-format json --log-level debug` (dbt-core, `core_types.proto`): an `info` with name,
level, message and invocation id, and `data`, which for events about a node holds `node_info`. `NodeFinished` carries
the result. A microbatch model has one for each of its batches, under the model's own id, and at last one of its own.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from goldsmith.dbt.batch_events import BatchReader, rows_of
from goldsmith.dbt.pace import Pace
from goldsmith.kinds import TEST_KINDS
from goldsmith.results.microbatch import Microbatches

_SHOWN = {"info", "warn", "error"}
_KEPT = 40  # lines per node, and as many errors more
READ = frozenset({"NodeStart", "NodeFinished", "LogStartBatch", "LogBatchResult"})
"""Names of the events that are read here whatever their level; dbt need not write others of level debug."""
_MAIN = ""
_HOOK = "operation."  # start of the unique ids of hooks, which have no end that is a node's
_CANCELLED = "dbt cancelled it, because another node had failed or dbt was stopped."


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
    batches: Microbatches | None = None
    """Its batches, if some of them are not built."""


class EventReader:
    """Reads a dbt invocation's lines, one after the other.

    Args:
        retried: Unique id to batches, of the models of which dbt builds the missing batches only.
    """

    def __init__(self, retried: Mapping[str, Microbatches] | None = None) -> None:
        self.invocation_id = ""
        self.said: list[tuple[str, str]] = []
        """Level and text of what is about no node: what dbt found, its hooks, or why it could not start."""
        self.failed_hooks: dict[str, str] = {}
        """Unique id to what dbt said about a hook that failed."""
        self.has_hooks = False
        """Whether the project, or one of its packages, has hooks."""
        self.running: dict[str, float] = {}
        """Unique id to when dbt started the node, on the monotonic clock, of those that it is at."""
        self.pace = Pace()
        """Where its seconds go."""
        self.batches = BatchReader(retried or {})
        """Of the microbatch models that dbt is at."""
        self._lines: dict[str, list[str]] = defaultdict(list)
        self._cancelled: set[str] = set()

    @property
    def errors(self) -> list[str]:
        """The errors that are about no node."""
        return [text for level, text in self.said if level == "error"]

    def read(self, line: str) -> Finished | None:
        """Take in a line; give the result where the line says that a node is finished."""
        try:
            info, data = _event(line)
        except (ValueError, TypeError, KeyError):
            if line.strip():  # a Python warning or a crash, in plain words, or JSON of somebody else
                self.said.append(("error", line.rstrip("\n")))
            return None
        self.invocation_id = info.get("invocation_id") or self.invocation_id
        self.pace.note(info)
        node = data.get("node_info") or {}
        unique_id = str(node.get("unique_id") or _MAIN)
        if info["name"] == "NodeStart":
            self.running.setdefault(unique_id, time.monotonic())
        if self.batches.read(info, data, unique_id):
            return None
        if info["name"] == "NodeFinished":
            self.running.pop(unique_id, None)
            return self._finished(info, data, node)
        if info["name"] == "FoundStats":
            self.has_hooks = " operation" in str(data.get("stat_line") or info.get("msg"))
        if info["name"] == "LogCancelLine":
            self._cancelled.add(str(data.get("conn_name") or ""))
        text = str(info.get("msg") or "").strip("\n")
        if unique_id.startswith(_HOOK):
            self._read_hook(unique_id, info["name"], str(data.get("status") or "").lower(), text)
        if info["level"] in _SHOWN and text.strip():
            self._keep(unique_id, info["level"], text)
        return None

    def _read_hook(self, unique_id: str, name: str, status: str, text: str) -> None:
        """Note that a hook failed; dbt gives the reason later, in its summary."""
        if (name == "LogHookEndLine" and status == "error") or (name == "RunResultError" and text):
            self.failed_hooks[unique_id] = text.strip()

    def _keep(self, unique_id: str, level: str, text: str) -> None:
        if unique_id == _MAIN or unique_id.startswith(_HOOK):
            self.said.append((level, text))
        elif len(self._lines[unique_id]) < _KEPT * (1 + (level == "error")):
            self._lines[unique_id].append(text)

    def _finished(
        self, info: Mapping[str, Any], data: Mapping[str, Any], node: Mapping[str, Any]
    ) -> Finished:
        result = data.get("run_result") or {}
        relation = node.get("node_relation") or {}
        unique_id = str(node["unique_id"])
        batches = self.batches.ended(unique_id)
        rows = rows_of(result.get("adapter_response")) if batches is None else batches.rows
        is_test = node.get("resource_type") in TEST_KINDS
        message = str(result.get("message") or "") + (batches.said if batches else "")
        finished = Finished(
            unique_id=unique_id,
            status=str(result.get("status") or "").lower(),
            message=message,
            invocation_id=str(info.get("invocation_id") or ""),
            started=_utc(node.get("node_started_at")),
            ended=_utc(node.get("node_finished_at")),
            seconds=float(result.get("execution_time") or 0.0),
            rows=None if is_test else rows,
            failures=int(result.get("num_failures") or 0) if is_test else None,
            relation=str(relation.get("relation_name") or ""),
            materialized=str(node.get("materialized") or ""),
            path=str(node.get("node_path") or ""),
            lines=tuple(self._lines.pop(unique_id, ())),
            batches=batches.left if batches else None,
        )
        return self.settled(finished)

    def settled(self, finished: Finished) -> Finished:
        """What dbt said of a node, or that it cancelled it.

        dbt calls that an error of the node; its summary says that it was skipped. The word that it cancels a node may
        come after the node's end.
        """
        is_cancelled = finished.unique_id in self._cancelled and finished.status == "error"
        return replace(finished, status="skipped", message=_CANCELLED) if is_cancelled else finished


def _event(line: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The two parts of an event; ValueError, TypeError or KeyError if the line is none."""
    event: Any = json.loads(line)
    info, data = event["info"], event["data"]
    if not (isinstance(info, dict) and isinstance(data, dict) and {"name", "level"} <= info.keys()):
        raise ValueError("JSON, but no event of dbt's")
    return info, data


def _utc(time: Any) -> str:
    """dbt leaves out that its times are UTC."""
    return f"{time}+00:00" if time and "+" not in str(time) else str(time or "")
