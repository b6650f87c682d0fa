"""Airflow's REST API v2, typed; knows nothing of who started Airflow."""

from goldsmith.rest.client import COMPONENTS, RestClient
from goldsmith.rest.records import (
    ComponentHealth,
    Dag,
    ImportFailure,
    LogLine,
    Run,
    TaskInstance,
)
from goldsmith.rest.transport import Login

__all__ = [
    "COMPONENTS",
    "ComponentHealth",
    "Dag",
    "ImportFailure",
    "LogLine",
    "Login",
    "RestClient",
    "Run",
    "TaskInstance",
]
