"""Why a report of a run is not there: asked of Airflow's database, so that the page says the one true reason."""

from __future__ import annotations

from dataclasses import dataclass

from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from goldsmith.engine.build_state import REASON_KEY
from goldsmith.report.store import DOCS, ELEMENTARY, PAGE

_MAKERS = {PAGE: ("report", "run_report"), ELEMENTARY: ("elementary_report",), DOCS: ("dbt_docs",)}
"""File to the ids that the task may have which makes it."""
_NOT_ASKED = {
    PAGE: "The DAG is none of Goldsmith's, or its pipeline has `report: null`.",
    ELEMENTARY: "The pipeline has no Elementary report: its spec has `elementary: null` below `report`.",
    DOCS: "The pipeline makes no documentation. To have it, write `dbt_docs: true` below `report` into its spec.",
}
_UNFINISHED = "The task {task} makes it, and has not ended yet: its state is {state}."
_SKIPPED = "The task {task} was skipped."
_FAILED = "The task {task} failed, which makes it: see its log."
_GONE = (
    "The task {task} has made it, and it is not at {path} any more. Either it was deleted (`report.keep` says how many "
    "runs keep theirs), or the machine that made it does not share this path with the API server: then "
    "GOLDSMITH_RESULTS_PATH has to name the same folder or object storage on all machines."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Why:
    """Why a report is not there."""

    text: str
    said: str = ""
    """The same in the words of the task that makes it; empty if it said nothing."""


def why_missing(file: str, dag_id: str, run_id: str, session: Session, *, path: str) -> Why:
    """The reason.

    Args:
        file: Name of the report's file.
        dag_id: The DAG.
        run_id: Its run.
        session: Of Airflow's database.
        path: Where the file would lie.
    """
    of_run = (TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id)
    row = session.execute(
        select(TaskInstance.task_id, TaskInstance.state).where(
            *of_run, TaskInstance.task_id.in_(_MAKERS[file])
        )
    ).first()
    if row is None:
        return Why(text=_NOT_ASKED[file])
    state = str(getattr(row.state, "value", row.state) or "none")
    text = {"success": _GONE, "skipped": _SKIPPED, "failed": _FAILED, "upstream_failed": _FAILED}.get(
        state, _UNFINISHED
    )
    said = _said(dag_id, run_id, row.task_id, session) if state in ("skipped", "failed") else ""
    return Why(text=text.format(task=row.task_id, state=state, path=path), said=said)


def _said(dag_id: str, run_id: str, task_id: str, session: Session) -> str:
    row = session.execute(
        select(XComModel.value).where(
            XComModel.dag_id == dag_id,
            XComModel.run_id == run_id,
            XComModel.task_id == task_id,
            XComModel.key == REASON_KEY,
        )
    ).first()
    return str(XComModel.deserialize_value(row)) if row else ""
