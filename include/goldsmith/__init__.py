"""Goldsmith runs a dbt project on Apache Airflow: every model and every test its own task.

The public names; each is imported on first use, so that `import goldsmith` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goldsmith.errors import GoldsmithError
    from goldsmith.pipeline import build_dag
    from goldsmith.pipeline_folder import build_dags
    from goldsmith.spec.ingest import Ingest
    from goldsmith.spec.pipeline import Pipeline
    from goldsmith.spec.profile import Profile
    from goldsmith.spec.retries import Retries

__all__ = ["GoldsmithError", "Ingest", "Pipeline", "Profile", "Retries", "build_dag", "build_dags"]

_HOMES = {
    "GoldsmithError": "goldsmith.errors",
    "Ingest": "goldsmith.spec.ingest",
    "Pipeline": "goldsmith.spec.pipeline",
    "Profile": "goldsmith.spec.profile",
    "Retries": "goldsmith.spec.retries",
    "build_dag": "goldsmith.pipeline",
    "build_dags": "goldsmith.pipeline_folder",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'goldsmith' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
