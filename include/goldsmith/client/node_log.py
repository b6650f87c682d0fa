"""`goldsmith logs NODE`: what dbt said about a node, or the log of its task."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from goldsmith.client.airflow import Airflow
from goldsmith.client.details import detail_lines
from goldsmith.client.find_run import find_run
from goldsmith.errors import ApiRefused, SelectionError
from goldsmith.plan.model import Plan
from goldsmith.rest import TaskInstance
from goldsmith.results.history import by_node
from goldsmith.results.record import NodeResult
from goldsmith.stack.logs import NAMES
from goldsmith.wording import did_you_mean

NODE_TASKS = ("run", "seed", "snapshot", "function", "freshness")
KINDS = ("model", "seed", "snapshot", "function", "source")


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeLog:
    """What there is to read about a node's task in a run."""

    dag_id: str
    run_id: str
    task_id: str
    state: str
    """Airflow's; empty while it has none."""
    path: str = ""
    """Where the records lie, or would."""
    records: tuple[NodeResult, ...] = ()
    note: str = ""
    """Why there are none."""
    task_log: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The text that a person reads."""
        if not self.records:
            return list(self.task_log)
        head = f"Task {self.task_id} in run {self.run_id}: {self.state or 'no state yet'}"
        return [head, *(line for node in by_node(self.records) for line in ("", *detail_lines(node)))]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        shown = {key: getattr(self, key) for key in ("dag_id", "run_id", "task_id", "state", "path", "note")}
        records = [record.to_dict() for record in self.records]
        return {**shown, "records": records, "task_log": list(self.task_log)}


def node_log(
    airflow: Airflow, plan: Plan | None, dag_id: str, name: str, *, run_id: str | None, only_task_log: bool
) -> NodeLog:
    """What dbt said about a node; where nothing is kept of it, the log of its task's latest try.

    Args:
        airflow: The Airflow to ask.
        plan: Tells a node's task from its unique id and name; without one, the ids of the tasks have to do.
        dag_id: The pipeline.
        name: A node's name or unique id, or a task id.
        run_id: The run; None: the latest.
        only_task_log: Ask for the task's log in any case.

    Raises:
        SelectionError: The run has no such task.
        ConfigurationError: The pipeline has not run yet.
    """
    chosen = find_run(airflow.api, dag_id, run_id).run_id
    found = _meant(airflow.api.task_instances(dag_id, chosen), name, plan)
    _check_is_one(found, name)
    log = NodeLog(dag_id=dag_id, run_id=chosen, task_id=found[0].task_id, state=found[0].state or "")
    if not only_task_log:
        log = _with_details(airflow, log, of=_nodes_named(name, log.task_id, plan))
    if log.records:
        return log
    lines = _task_log(airflow, log, found)
    return replace(log, task_log=lines, note=log.note if lines else f"{log.note} It is empty.".strip())


def _nodes_named(name: str, task_id: str, plan: Plan | None) -> set[str]:
    """Unique ids of the nodes that a name means, of a task that has others too; none: all of them."""
    if plan is None or name == task_id:
        return set()
    return {
        node.unique_id
        for node in plan.nodes
        if node.task_id == task_id and name in {node.unique_id, node.name}
    }


def _with_details(airflow: Airflow, log: NodeLog, *, of: set[str]) -> NodeLog:
    try:
        kept = airflow.api.node_results(log.dag_id, log.run_id, log.task_id)
    except ApiRefused as error:
        return replace(log, note=f"{error}\nWhat follows is the task's log.")
    try:
        all_records = tuple(map(NodeResult.from_dict, kept["records"]))
    except (KeyError, TypeError):
        return replace(
            log, note="This Airflow has another version of Goldsmith. What follows is the task's log."
        )
    records = tuple(one for one in all_records if not of or one.unique_id in of)
    path = str(kept["path"])
    note = "" if records else f"Nothing is kept of what dbt said, at {path}; what follows is the task's log."
    return replace(log, path=path, records=records, note=note)


def _task_log(airflow: Airflow, log: NodeLog, tasks: list[TaskInstance]) -> tuple[str, ...]:
    shown: list[str] = []
    for one in tasks:
        shown += [f"--- {one.task_id}[{one.map_index}] ---"] if one.map_index >= 0 else []
        for line in airflow.api.logs(log.dag_id, log.run_id, one):
            time = f"{line.time:%H:%M:%S} " if line.time else ""
            shown += [f"{time}{line.text}", *([line.error] if line.error else [])]
    return tuple(shown)


def _meant(tasks: list[TaskInstance], name: str, plan: Plan | None) -> list[TaskInstance]:
    """The task of an id; else, by the name of a node, the node's own task, or what its group holds."""
    if exact := [task for task in tasks if task.task_id == name]:
        return exact
    planned = {node.task_id for node in plan.nodes if name in {node.unique_id, node.name}} if plan else set()
    if found := [task for task in tasks if task.task_id in planned]:
        return found
    bare = name.split(".", 2)[2] if name.count(".") >= 2 and name.split(".", maxsplit=1)[0] in KINDS else name
    in_group = [task for task in tasks if f".{bare}." in f".{task.task_id}."]
    own = [
        task for task in in_group if task.task_id.endswith(tuple(f".{bare}.{verb}" for verb in NODE_TASKS))
    ]
    if own or in_group:
        return own or in_group
    raise SelectionError(
        f"No node and no task of the run is called {name!r}, and no part of the stack."
        f"{_nearest(name, tasks, plan)}",
        hint=f"Parts of the stack, which come first: {', '.join(NAMES)}. Tasks: goldsmith plan",
    )


def _nearest(name: str, tasks: list[TaskInstance], plan: Plan | None) -> str:
    names = [node.name for node in plan.nodes] if plan else []
    known = {*NAMES, *names, *(task.task_id for task in tasks)}
    return f" {did_you_mean(name, known, '')}".rstrip()


def _check_is_one(found: list[TaskInstance], name: str) -> None:
    """A person who means several has to choose; the copies of a mapped task are one."""
    ids = sorted({one.task_id for one in found})
    if len(ids) > 1:
        raise SelectionError(f"{name!r} means {len(ids)} tasks.", hint=f"Name one: {', '.join(ids[:8])}")
