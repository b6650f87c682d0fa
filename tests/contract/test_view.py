"""Airflow finds the plugin, it costs other processes nothing, and none of its routes is open."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points

import pytest

LOADED = """
import sys
import airflow.sdk.plugins_manager  # there in every process that loads plugins
before = set(sys.modules)
import goldsmith.view.plugin
print(sorted(set(sys.modules) - before))
"""


def test_the_plugin_is_registered_and_valid() -> None:
    """By its entry point, with tabs on task instances and runs that lead below its own prefix."""
    (point,) = entry_points(group="airflow.plugins", name="goldsmith")
    plugin = point.load()
    from airflow.plugins_manager import AirflowPlugin

    assert issubclass(plugin, AirflowPlugin) or plugin.__mro__[1].__name__ == "AirflowPlugin"  # of the SDK
    plugin.validate()
    (mounted,), (task, run, elementary, docs) = plugin.fastapi_apps, plugin.external_views
    prefix = mounted["url_prefix"].strip("/")
    assert [view["destination"] for view in plugin.external_views] == ["task_instance", *["dag_run"] * 3]
    assert docs["href"] == f"{prefix}/report/{{DAG_ID}}/{{RUN_ID}}/dbt_docs.html"
    assert elementary["href"] == f"{prefix}/report/{{DAG_ID}}/{{RUN_ID}}/elementary.html"
    assert task["href"] == f"{prefix}/task/{{DAG_ID}}/{{RUN_ID}}/{{TASK_ID}}"
    assert run["href"] == f"{prefix}/report/{{DAG_ID}}/{{RUN_ID}}/report.html"


def test_the_plugin_loads_nothing_in_processes_that_serve_no_pages() -> None:
    """Airflow imports it in the scheduler and in every task."""
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1]
    ours = ("airflow_pages", "dag", "dag.clock", "view", "view.plugin")
    assert loaded == str(["goldsmith", *(f"goldsmith.{name}" for name in ours)])


@pytest.mark.filterwarnings("ignore")  # Airflow's own, while its API is imported
def test_every_route_asks_for_a_right_on_the_dag_in_its_address() -> None:
    """To read the logs of its tasks, or to edit them; no other route exists, FastAPI's own pages neither."""
    import inspect

    from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
    from fastapi.routing import APIRoute

    from goldsmith.view.app import app

    routes = [route for route in app.routes if isinstance(route, APIRoute)]
    writing = {"/marks/{dag_id}/{run_id}", "/assets/{dag_id}/{run_id}/{task_id}"}
    assert len(app.routes) == len(routes) == len(writing) + 4
    for route in routes:
        assert "{dag_id}" in route.path
        asked = [
            inspect.getclosurevars(one.call).nonlocals for one in route.dependant.dependencies if one.call
        ]
        entity = DagAccessEntity.TASK_INSTANCE if route.path in writing else DagAccessEntity.TASK_LOGS
        right = "PUT" if route.path in writing else "GET"
        assert {"method": right, "access_entity": entity, "param_dag_id": None} in asked, route.path
        assert route.methods == ({"POST"} if route.path in writing else {"GET"})
