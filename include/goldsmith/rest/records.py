"""What Airflow's REST API answers, as typed records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

FINISHED_RUNS = frozenset({"success", "failed"})
ASKING = frozenset({"awaiting_input", "deferred"})
"""States of a task that has asked a person and waits for the answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Dag:
    """A DAG as the dag-processor last saw it."""

    dag_id: str
    is_paused: bool
    is_stale: bool
    has_import_errors: bool
    last_parsed: datetime | None
    file_token: str
    file: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A run of a DAG."""

    dag_id: str
    run_id: str
    state: str
    run_type: str
    started: datetime | None
    ended: datetime | None
    note: str = ""
    is_dry: bool = False
    """Whether it was to build nothing."""

    @property
    def is_finished(self) -> bool:
        """Whether it ended, well or not."""
        return self.state in FINISHED_RUNS


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskInstance:
    """A task in a run; mapped tasks have one per index."""

    task_id: str
    name: str
    map_index: int
    state: str | None
    try_number: int
    started: datetime | None
    ended: datetime | None

    @property
    def is_asking(self) -> bool:
        """Whether it may wait for a person; a task that polls is deferred too."""
        return self.state in ASKING

    @property
    def key(self) -> tuple[str, int]:
        """What identifies it within its run."""
        return self.task_id, self.map_index


@dataclass(frozen=True, kw_only=True, slots=True)
class OthersMarks:
    """Who set the state of tasks, by task and by task group."""

    tasks: Mapping[str, str]
    groups: Mapping[str, str]

    def of(self, task_id: str, groups: Iterable[str]) -> str:
        """Who marked a task, alone or with one of its groups; empty for nobody."""
        who = (self.tasks.get(task_id, ""), *(self.groups.get(group, "") for group in groups))
        return next(filter(None, who), "")


@dataclass(frozen=True, kw_only=True, slots=True)
class LogLine:
    """A line of a task's log; `error` is the exception that goes with it."""

    time: datetime | None
    level: str
    text: str
    error: str
    reason: str = ""
    """Why the task skipped itself, in the line that says so."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportFailure:
    """A DAG file that Airflow cannot import."""

    file: str
    stack_trace: str
    time: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ComponentHealth:
    """What Airflow says about one of its components."""

    is_healthy: bool
    last_heartbeat: datetime | None


def read_time(text: str | None) -> datetime | None:
    """A point in time, where there is one."""
    return datetime.fromisoformat(text) if text else None


def read_dag(found: dict[str, Any]) -> Dag:
    """A DAG from the API's JSON."""
    return Dag(
        dag_id=found["dag_id"],
        is_paused=found["is_paused"],
        is_stale=found.get("is_stale", False),
        has_import_errors=found.get("has_import_errors", False),
        last_parsed=read_time(found.get("last_parsed_time")),
        file_token=found["file_token"],
        file=found["fileloc"],
    )


def read_run(found: dict[str, Any]) -> Run:
    """A run from the API's JSON."""
    return Run(
        dag_id=found["dag_id"],
        run_id=found["dag_run_id"],
        state=found["state"],
        run_type=found["run_type"],
        started=read_time(found.get("start_date")),
        ended=read_time(found.get("end_date")),
        note=found.get("note") or "",
        is_dry=bool((found.get("conf") or {}).get("dry_run")),
    )


def read_task_instance(found: dict[str, Any]) -> TaskInstance:
    """A task instance from the API's JSON."""
    return TaskInstance(
        task_id=found["task_id"],
        name=found.get("task_display_name") or found["task_id"],
        map_index=found.get("map_index", -1),
        state=found.get("state"),
        try_number=found.get("try_number") or 0,
        started=read_time(found.get("start_date")),
        ended=read_time(found.get("end_date")),
    )


def read_log_line(found: Any) -> LogLine:
    """A line of a log from the API's JSON."""
    if not isinstance(found, dict):  # plain lines, where Airflow could not read the log's structure
        return LogLine(time=None, level="", text=str(found), error="")
    details = found.get("error_detail") or []
    return LogLine(
        time=read_time(found.get("timestamp")),
        level=str(found.get("level") or ""),
        text=str(found.get("event", "")),
        error="\n".join(f"{one.get('exc_type', '')}: {one.get('exc_value', '')}" for one in details),
        reason=str(found.get("reason") or ""),
    )
