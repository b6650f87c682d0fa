"""Load and warm dbt before the scheduler forks its workers.

Named by `airflow_local_settings.py` in the local stack's AIRFLOW_HOME; only the scheduler imports it. Importing dbt
costs a task about 2.5 CPU seconds, and dbt's first invocation in a process another one: it builds the classes that
read and check its files. A process that is forked after both has happened pays about 0.3 for an invocation.

One of the two places that import dbt (the other is Cosmos's runner inside a task).
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import tempfile
from pathlib import Path

MODULES = (
    "dbt.cli.main",
    "dbt.adapters.postgres.impl",
    "dbt.task.freshness",
    "dbt.task.run",
    "dbt.task.seed",
    "dbt.task.snapshot",
    "dbt.task.test",
    "cosmos.operators.local",
    "cosmos.profiles",
    "goldsmith.engine.isolated",
)

# The smallest project that makes dbt read every kind of file a task's project has.
_PROJECT = {
    "dbt_project.yml": "name: warm_up\nprofile: warm_up\nflags: {send_anonymous_usage_stats: false}\n",
    "profiles.yml": (
        "warm_up: {target: t, outputs: {t: "
        "{type: postgres, host: x, port: 1, user: x, password: x, dbname: x, schema: x, threads: 1}}}\n"
    ),
    "models/one.sql": "select 1 as id",
    "models/one.yml": "models: [{name: one, columns: [{name: id, data_tests: [unique]}]}]\n",
}


def warm_up() -> None:
    """Parse a tiny project twice, from its files and from dbt's own cache; no warehouse is involved."""
    from dbt.adapters.factory import reset_adapters
    from dbt.cli.main import dbtRunner

    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        for name, text in _PROJECT.items():
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        command = ["--quiet", "--no-version-check", "--log-level-file", "none", "parse"]
        for _ in range(2):
            dbtRunner().invoke([*command, "--project-dir", folder, "--profiles-dir", folder])
    reset_adapters()
    gc.collect()
    gc.freeze()  # the garbage collector would copy the pages that forked tasks share


for _module in MODULES:
    importlib.import_module(_module)
warm_up()
