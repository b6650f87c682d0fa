"""The pages: one for people, one for programs; both for those who may read the DAG's task logs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from fastapi import APIRouter, Depends, FastAPI, HTTPException, status
from fastapi.responses import HTMLResponse, JSONResponse
from sqlalchemy import select

from goldsmith.errors import GoldsmithError
from goldsmith.results.store import ResultStore
from goldsmith.settings import settings
from goldsmith.view import assets, marks, reports
from goldsmith.view.guard import POLICY, Guarded
from goldsmith.view.page import CONTENT_SECURITY_POLICY, Shown, failed_page, missing_page, result_page

_HEADERS = {POLICY: CONTENT_SECURITY_POLICY}
_EARLIER_RUNS = 10

router = APIRouter(dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.TASK_LOGS))])


@router.get("/task/{dag_id}/{run_id}/{task_id}")
def task_page(dag_id: str, run_id: str, task_id: str, session: SessionDep) -> HTMLResponse:
    """Show what dbt said about a task's node."""
    found = _task(dag_id, run_id, task_id, session)
    if found is None:
        return HTMLResponse(missing_page(dag_id, run_id, task_id), status.HTTP_404_NOT_FOUND, _HEADERS)
    try:
        shown = _with_earlier_runs(_shown(found), session)
    except GoldsmithError as error:
        return HTMLResponse(failed_page(error, found), status.HTTP_503_SERVICE_UNAVAILABLE, _HEADERS)
    return HTMLResponse(result_page(shown), headers=_HEADERS)


@router.get("/results/{dag_id}/{run_id}/{task_id}")
def task_results(dag_id: str, run_id: str, task_id: str, session: SessionDep) -> JSONResponse:
    """Give the same as JSON, for `goldsmith logs`."""
    found = _task(dag_id, run_id, task_id, session)
    if found is None:
        said = f"There is no task {task_id!r} in run {run_id!r} of DAG {dag_id!r}."
        raise HTTPException(status.HTTP_404_NOT_FOUND, said)
    try:
        shown = _shown(found)
    except GoldsmithError as error:
        raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, str(error)) from error
    document: dict[str, Any] = {
        "dag_id": dag_id,
        "run_id": run_id,
        "task_id": task_id,
        "state": shown.state,
        "path": shown.path,
        "records": [record.to_dict() for record in shown.records],
    }
    return JSONResponse(document)


app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)  # its own pages would be open to everybody
app.include_router(router)
app.include_router(reports.router)
app.include_router(marks.router)
app.include_router(assets.router)
guarded = Guarded(app)


def _task(dag_id: str, run_id: str, task_id: str, session: SessionDep) -> Shown | None:
    """The task as Airflow's database knows it; ids that it does not know are not looked for anywhere else."""
    known = (
        TaskInstance.dag_id == dag_id,
        TaskInstance.run_id == run_id,
        TaskInstance.task_id == task_id,
    )
    row = session.execute(select(TaskInstance.state).where(*known).limit(1)).first()
    if row is None:
        return None
    return Shown(dag_id=dag_id, run_id=run_id, task_id=task_id, state=row.state or "")


def _shown(task: Shown) -> Shown:
    """Add what is kept of it."""
    store = ResultStore(settings().results_path)
    ids = task.dag_id, task.run_id, task.task_id
    return replace(task, path=store.location(*ids), records=store.read(*ids))


def _with_earlier_runs(shown: Shown, session: SessionDep) -> Shown:
    """Add what is kept of the task in the runs before."""
    mine = (DagRun.dag_id == shown.dag_id, DagRun.run_id == shown.run_id)
    this = select(DagRun.run_after).where(*mine).scalar_subquery()
    before = select(DagRun.run_id).where(DagRun.dag_id == shown.dag_id, DagRun.run_after < this)
    runs = session.scalars(before.order_by(DagRun.run_after.desc()).limit(_EARLIER_RUNS)).all()
    store = ResultStore(settings().results_path)
    kept = store.read_many(shown.dag_id, [(run_id, shown.task_id) for run_id in runs])
    return replace(shown, before=tuple(zip(runs, kept, strict=True)))
