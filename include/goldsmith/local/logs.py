"""`goldsmith logs`: the end of a component's log, or the log of a task."""

from __future__ import annotations

from collections import deque
from pathlib import Path

from goldsmith.errors import ConfigurationError, SelectionError
from goldsmith.local.airflow import Airflow
from goldsmith.local.component import COMPONENTS
from goldsmith.local.stack import Stack
from goldsmith.rest import TaskInstance

OTHERS = ("postgres", "supervisor", "migrate")
NODE_TASKS = ("run", "seed", "snapshot", "freshness")
NAMES = (*COMPONENTS, *OTHERS)


def log_files(stack: Stack) -> dict[str, Path]:
    """The log of each part of the stack that has one."""
    files = {name: stack.state.logs / f"{name}.log" for name in NAMES}
    files["postgres"] = stack.server.log_file
    return {name: file for name, file in files.items() if file.is_file()}


def component_log(stack: Stack, name: str, *, lines: int) -> list[str]:
    """The last lines of a part's log.

    Raises:
        ConfigurationError: It has none yet.
    """
    file = log_files(stack).get(name)
    if file is None:
        raise ConfigurationError(f"{name} has no log yet in {stack.state.logs}.", hint="goldsmith up")
    with file.open(encoding="utf-8", errors="replace") as stream:
        return [line.rstrip("\n") for line in deque(stream, maxlen=lines)]


def task_log(airflow: Airflow, dag_id: str, task: str, *, run_id: str | None) -> list[str]:
    """The log of a task's latest try, in the latest run unless one is named.

    Raises:
        SelectionError: The run has no such task.
        ConfigurationError: The pipeline has not run yet.
    """
    runs = airflow.api.runs(dag_id, limit=1)
    chosen = run_id or (runs[0].run_id if runs else None)
    if chosen is None:
        raise ConfigurationError(f"{dag_id} has not run yet.", hint=f"goldsmith run {dag_id}")
    found = _meant(airflow.api.task_instances(dag_id, chosen), task)
    if not found:
        raise SelectionError(
            f"Run {chosen} has no task {task!r}, and no part of the stack is called so.",
            hint=f"Parts: {', '.join(NAMES)}. Tasks: goldsmith plan {dag_id}",
        )
    if len(found) > 1 and len({one.task_id for one in found}) > 1:
        raise SelectionError(
            f"{task!r} means {len(found)} tasks.",
            hint=f"Name one: {', '.join(one.task_id for one in found[:8])}",
        )
    shown: list[str] = []
    for one in found:
        shown += [f"--- {one.task_id}[{one.map_index}] ---"] if one.map_index >= 0 else []
        for line in airflow.api.logs(dag_id, chosen, one):
            time = f"{line.time:%H:%M:%S} " if line.time else ""
            shown += [f"{time}{line.text}", *([line.error] if line.error else [])]
    return shown


def _meant(tasks: list[TaskInstance], name: str) -> list[TaskInstance]:
    """The task of an id; else, by the name of a node, the node's own task, or what its group holds."""
    exact = [task for task in tasks if task.task_id == name]
    in_group = [task for task in tasks if f".{name}." in f".{task.task_id}."]
    own = [
        task for task in in_group if task.task_id.endswith(tuple(f".{name}.{verb}" for verb in NODE_TASKS))
    ]
    return exact or own or in_group
