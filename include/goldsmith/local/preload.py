"""What an isolated task needs, imported before the scheduler forks its workers.

A task then starts with dbt in memory: a third of the CPU seconds of a task that imports it itself.
Named by `airflow_local_settings.py` in the local stack's AIRFLOW_HOME; only the scheduler imports it.
"""

from __future__ import annotations

import importlib

MODULES = (
    "dbt.cli.main",
    "dbt.adapters.postgres",
    "openlineage.common.provider.dbt.local",
    "cosmos.operators.local",
)

for _module in MODULES:
    importlib.import_module(_module)
