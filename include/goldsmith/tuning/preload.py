"""Load before the scheduler, or a Celery worker, forks the processes of tasks what they need, and start a host for dbt.

Named by `airflow_local_settings.py` in the local stack's AIRFLOW_HOME and in the image. A task would import all of it
again otherwise. dbt itself is loaded in a process of its own, in its own environment, which forks for each command
(`goldsmith.dbt.hosts`).
"""

from __future__ import annotations

import gc
import importlib

from goldsmith.dbt.executable import named_dbt
from goldsmith.dbt.hosts import start_first_host
from goldsmith.settings import settings

MODULES = (
    "cosmos.profiles",
    "goldsmith.dag.build",
    "goldsmith.dbt.profile",
    "goldsmith.engine.isolated.engine",
    "goldsmith.engine.shared.marks",
    "goldsmith.ingest.task_group",
    "goldsmith.pipeline",
    "goldsmith.warehouse.postgres.cancel",
    "goldsmith.warehouse.postgres.relations",
    "goldsmith.warehouse.postgres.rows",
    "goldsmith.warehouse.postgres.statements",
    "goldsmith.warehouse.postgres.warehouse",
    "goldsmith.warehouse.postgres.watch",
    "goldsmith.warehouse.postgres.writer",
)

_here = settings()
start_first_host(named_dbt(_here.dbt, _here.root))  # first: it loads dbt meanwhile
for _module in MODULES:
    importlib.import_module(_module)
gc.freeze()  # the garbage collector would copy the pages that forked tasks share
