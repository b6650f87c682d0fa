"""The alerts of a DAG: its last task, and what is told at the moment of a failure."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from goldsmith.engine.site import Site
from goldsmith.notify.tasks import AlertNow, AlertsTask
from goldsmith.spec.pipeline import Pipeline

ALERTS = "alerts"
_TIMEOUT = timedelta(minutes=10)


def add_alerts(spec: Pipeline, site: Site, wanted: str | None) -> None:
    """Add the task that tells what the run did, where the spec has alerts.

    Args:
        spec: The pipeline.
        site: Where its nodes are built.
        wanted: The one task that this process is to run; none for all.
    """
    if spec.alerts is None or wanted not in (None, ALERTS):
        return
    AlertsTask(
        task_id=ALERTS,
        alerts=spec.alerts,
        site=site,
        retries=1,  # for a lost worker
        retry_delay=spec.retries.build_delay,
        execution_timeout=_TIMEOUT,
        doc_md="Tells what the run did to whoever has to know. It runs whatever happened before it, and the run's "
        "state does not depend on it.",
    ).as_teardown()


def alert_now(spec: Pipeline, site: Site) -> dict[str, Any]:
    """Arguments of a task whose failure somebody wants to know of at once."""
    if spec.alerts is None or not any(route.urgent for route in spec.alerts.routes):
        return {}
    return {"on_failure_callback": AlertNow(alerts=spec.alerts, site=site)}
