"""The Airflow plugin: a tab on each task instance, and the pages behind it.

Airflow loads plugins in every one of its processes, tasks too. So this module imports nothing that is not there
already: the pages are imported in the API server, at the first request for one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.sdk.plugins_manager import AirflowPlugin

from goldsmith.airflow_pages import REPORT_TAB, RESULT_TAB
from goldsmith.dag.clock import TimeOfDay

PREFIX = "/goldsmith"
_Message = MutableMapping[str, Any]


async def application(
    scope: _Message,
    receive: Callable[[], Awaitable[_Message]],
    send: Callable[[_Message], Awaitable[None]],
) -> None:
    """Answer a request: an ASGI application, which is what Airflow mounts."""
    from goldsmith.view.app import guarded

    await guarded(scope, receive, send)


class GoldsmithPlugin(AirflowPlugin):
    """Registers the pages, the tab that shows them, and times of day as deadlines."""

    name = "goldsmith"
    deadline_references = [TimeOfDay]  # noqa: RUF012
    fastapi_apps = [{"name": "goldsmith", "app": application, "url_prefix": PREFIX}]  # noqa: RUF012 - so it is declared
    external_views = [  # noqa: RUF012
        {
            "name": "dbt",
            # Without a slash in front: the browser puts the path before it under which Airflow is served.
            "href": f"{PREFIX.lstrip('/')}/task/{{DAG_ID}}/{{RUN_ID}}/{{TASK_ID}}",
            "destination": "task_instance",
            "url_route": RESULT_TAB,
        },
        {
            "name": "report",
            "href": f"{PREFIX.lstrip('/')}/report/{{DAG_ID}}/{{RUN_ID}}/report.html",
            "destination": "dag_run",
            "url_route": REPORT_TAB,
        },
        {
            "name": "Elementary",
            "href": f"{PREFIX.lstrip('/')}/report/{{DAG_ID}}/{{RUN_ID}}/elementary.html",
            "destination": "dag_run",
            "url_route": "elementary-report",
        },
        {
            "name": "dbt docs",
            "href": f"{PREFIX.lstrip('/')}/report/{{DAG_ID}}/{{RUN_ID}}/dbt_docs.html",
            "destination": "dag_run",
            "url_route": "dbt-docs",
        },
    ]
