"""What happens when a deadline passes: called by Airflow's triggerer, whether or not a worker is free."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from goldsmith.airflow_pages import run_url, task_url
from goldsmith.alerts.dispatch import Dispatch
from goldsmith.alerts.event import Event
from goldsmith.alerts.ledger import Ledger
from goldsmith.errors import GoldsmithError
from goldsmith.rest.records import TaskInstance
from goldsmith.settings import airflow_url, settings
from goldsmith.spec.alerts import DEADLINE_MISSED, Alerts
from goldsmith.wording import some

log = logging.getLogger(__name__)

_DONE = frozenset({"success", "skipped"})
_AHEAD = (None, "scheduled", "queued", "none")
_NAMED = 5


async def missed(
    *,
    deadline: str,
    task_id: str,
    context: Mapping[str, Any],
    node: Mapping[str, Any] | None = None,
    alerts: Mapping[str, Any] | None = None,
    environment: str = "",
) -> str:
    """Say that a run is late, in the triggerer's log and as a note on the run, with what it is at.

    Args:
        deadline: What was to be done by when.
        task_id: Of the node that it is about; empty for the whole run.
        node: Its name, and what routes go by: layer, owner, group and tags.
        context: Airflow's for deadlines: `dag_run`, as its REST API has it, and `deadline`.
        alerts: The spec's, as plain values; none where nobody else is told.
        environment: What the environment is called.

    Returns:
        What was said; empty where the node is done, or nobody knows whether it is.
    """
    run = context["dag_run"]
    # Connections and the REST API are asked in a thread: the triggerer's loop is for everybody.
    dag_id, run_id = str(run["dag_id"]), str(run["dag_run_id"])
    said = await asyncio.to_thread(_say, deadline, task_id, dag_id, run_id)
    if said and alerts is not None:
        about, spec = dict(node or {}), Alerts.model_validate(alerts)
        event = missed_event(
            spec,
            deadline,
            dag_id=dag_id,
            run_id=run_id,
            name=str(about.pop("name", "")),
            task_id=task_id,
            environment=environment,
            message=said,
            **{**about, "tags": tuple(about.get("tags") or ())},
        )
        await asyncio.to_thread(tell_missed, spec, event, settings().results_path)
    return said


def missed_event(
    alerts: Alerts, deadline: str, *, dag_id: str, run_id: str, name: str, task_id: str, **about: Any
) -> Event:
    """That a deadline was missed, for alerts.

    Args:
        alerts: The spec's.
        deadline: What was to be done by when.
        dag_id: The pipeline.
        run_id: Its run.
        name: Of the node; empty for the whole run.
        task_id: Its task.
        about: More of the event.
    """
    links = {}
    if url := airflow_url():
        links["run"] = run_url(url, dag_id, run_id)
        if task_id:
            links["task"] = task_url(url, dag_id, run_id, task_id)
    if runbook := alerts.runbook_of(node=name, owner=about.get("owner", ""), pipeline=dag_id):
        links["runbook"] = runbook
    return Event(
        kind=DEADLINE_MISSED,
        subject=f"deadline {deadline}",
        title=f"deadline missed: {deadline}",
        pipeline=dag_id,
        run_id=run_id,
        task_id=task_id,
        links=links,
        **about,
    )


def tell_missed(alerts: Alerts, event: Event, results_path: str) -> None:
    """Tell whoever has to know of a missed deadline; never an error."""
    try:
        ledger = Ledger(results_path, event.pipeline)
        Dispatch(alerts=alerts, ledger=ledger, now=datetime.now(UTC)).tell_missed(event)
    except GoldsmithError as error:
        log.warning("That %s could not be told: %s", event.title, error)


def _say(deadline: str, task_id: str, dag_id: str, run_id: str) -> str:
    from goldsmith.engine.access import airflow_api

    try:
        with airflow_api() as api:
            tasks = api.task_instances(dag_id, run_id)
            states = [task.state for task in tasks if task.task_id == task_id]
            if states and all(state in _DONE for state in states):
                return ""
            text = f"Deadline missed: {deadline}. {whereabouts(tasks)}"
            log.warning("%s, run %s: %s", dag_id, run_id, text)
            api.note_on_run(dag_id, run_id, text)
    except GoldsmithError as error:
        text = f"Deadline passed: {deadline}. How far the run is cannot be told: {error.message}"
        log.warning("%s, run %s: %s", dag_id, run_id, text)
        if task_id:  # it may well be done
            return ""
    return text


def whereabouts(tasks: Iterable[TaskInstance]) -> str:
    """What a run is at, and what is left of it, in a sentence or two."""
    states: dict[str | None, list[str]] = {}
    for task in tasks:
        states.setdefault(task.state, []).append(task.task_id)
    ahead = sum(len(states.get(state, ())) for state in _AHEAD)
    parts = [
        f"{words}: {some(sorted(states[state]), _NAMED)}."
        for state, words in (
            ("running", "Running"),
            ("up_for_retry", "Waiting for a retry"),
            ("awaiting_input", "Waiting for a person"),
            ("failed", "Failed"),
        )
        if states.get(state)
    ]
    return " ".join([*parts, f"{ahead} tasks have not started."])
