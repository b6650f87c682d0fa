"""The reports of a run: its page, others beside it, and where they lie; for those who may read its task logs."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.models.dagrun import DagRun
from fastapi import APIRouter, Depends, HTTPException, status
from fastapi.responses import HTMLResponse, JSONResponse
from sqlalchemy import select

from goldsmith.errors import EnvironmentProblem
from goldsmith.report.page import CONTENT_SECURITY_POLICY
from goldsmith.report.store import FILES, PAGE, ReportStore
from goldsmith.settings import settings
from goldsmith.view.guard import POLICY
from goldsmith.view.page import CONTENT_SECURITY_POLICY as OWN_POLICY
from goldsmith.view.page import failed_report, missing_report
from goldsmith.view.why_missing import why_missing

# A report of another tool is a program in the page. The browser runs it as if it came from nowhere, so that it has
# neither the login nor anything else of Airflow's page, and lets it load nothing.
_FOREIGN = (
    "sandbox allow-scripts allow-downloads; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob:; "
    "worker-src blob:; style-src 'unsafe-inline'; img-src data: blob:; font-src data:; frame-ancestors 'self'"
)
# Such a page has no storage, and a program that looks for some ends there: so it gets one that it forgets.
_STORAGE = b"""<script>
for (const name of ["localStorage", "sessionStorage"]) {
  const kept = new Map();
  Object.defineProperty(window, name, { value: {
    getItem: (key) => kept.has(String(key)) ? kept.get(String(key)) : null,
    setItem: (key, value) => { kept.set(String(key), String(value)); },
    removeItem: (key) => { kept.delete(String(key)); },
    clear: () => kept.clear(),
    key: (index) => [...kept.keys()][index] ?? null,
    get length() { return kept.size; },
  } });
}
</script>"""
_HEAD = b"<head>"

router = APIRouter(dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.TASK_LOGS))])


@router.get("/report/{dag_id}/{run_id}/{file}")
def report_file(dag_id: str, run_id: str, file: str, session: SessionDep) -> HTMLResponse:
    """Show a report of a run."""
    state = _state(dag_id, run_id, session)
    if state is None or file not in FILES:
        return _page(missing_report(dag_id, run_id, why=""), status.HTTP_404_NOT_FOUND)
    store = ReportStore(settings().results_path, dag_id)
    try:
        content = store.read(run_id, file)
    except EnvironmentProblem as error:
        return _page(failed_report(error, dag_id, run_id), status.HTTP_503_SERVICE_UNAVAILABLE)
    if content is None:
        why = why_missing(file, dag_id, run_id, session, path=store.location(run_id, file))
        return _page(missing_report(dag_id, run_id, why=why.text, said=why.said))
    if file == PAGE:
        return HTMLResponse(content, headers={POLICY: CONTENT_SECURITY_POLICY})
    return HTMLResponse(content.replace(_HEAD, _HEAD + _STORAGE, 1), headers={POLICY: _FOREIGN})


@router.get("/reports/{dag_id}/{run_id}")
def reports(dag_id: str, run_id: str, session: SessionDep) -> JSONResponse:
    """Say where the reports of a run lie, and which of them there are, for `goldsmith report`."""
    if _state(dag_id, run_id, session) is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"There is no run {run_id!r} of DAG {dag_id!r}.")
    store = ReportStore(settings().results_path, dag_id)
    try:
        found = {name: store.location(run_id, name) for name in FILES if store.read(run_id, name) is not None}
    except EnvironmentProblem as error:
        raise HTTPException(status.HTTP_503_SERVICE_UNAVAILABLE, str(error)) from error
    document: dict[str, Any] = {"path": store.location(run_id), "files": found}
    return JSONResponse(document)


def _state(dag_id: str, run_id: str, session: SessionDep) -> str | None:
    """The run's state, as Airflow's database knows it; ids that it does not know are not looked for anywhere else."""
    row = session.execute(
        select(DagRun.state).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    ).first()
    return str(getattr(row.state, "value", row.state)) if row else None


def _page(text: str, code: int = status.HTTP_200_OK) -> HTMLResponse:
    return HTMLResponse(text, code, {POLICY: OWN_POLICY})
