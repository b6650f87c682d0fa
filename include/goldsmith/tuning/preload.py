"""Load and warm dbt before the scheduler, or a Celery worker, forks the processes of tasks.

Named by `airflow_local_settings.py` in the local stack's AIRFLOW_HOME and in the image. Importing dbt costs a task
about 2.5 CPU seconds, and dbt's first invocation in a process another one: it builds the classes that read and check
its files. A process that is forked after both has happened pays about 0.3 for an invocation.

dbt is imported here and in `dbt/resident.py`; inside a task of the isolated engine Cosmos's runner imports it.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import tempfile
from pathlib import Path
from typing import Any

from goldsmith.dbt import process
from goldsmith.dbt.environment import environment
from goldsmith.dbt.events import READ

MODULES = (
    "dbt.adapters.postgres.impl",
    "dbt.task.freshness",
    "dbt.task.run",
    "dbt.task.seed",
    "dbt.task.snapshot",
    "dbt.task.test",
    "cosmos.operators.local",
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

# The smallest project that makes dbt read every kind of file a task's project has.
_PROJECT = {
    "dbt_project.yml": "name: warm_up\nprofile: warm_up\nflags: {send_anonymous_usage_stats: false}\n",
    "profiles.yml": (
        "warm_up: {target: t, outputs: {t: "
        "{type: postgres, host: x, port: 1, user: x, password: x, dbname: x, schema: x, threads: 1}}}\n"
    ),
    "seeds/codes.csv": "code\na\n",
    "models/one.sql": "select code from {{ ref('codes') }}",
    "models/two.sql": "select code from {{ source('raw', 'codes') }}",
    "models/all.yml": """
groups: [{name: g, owner: {name: o}}]
sources: [{name: raw, tables: [{name: codes, loaded_at_field: at, freshness: {warn_after: {count: 1, period: day}}}]}]
models: [{name: one, config: {group: g}, columns: [{name: code, data_type: text, data_tests: [unique]}]}]
snapshots: [{name: kept, relation: ref('one'), config: {unique_key: code, strategy: check, check_cols: all}}]
unit_tests: [{name: u, model: one, given: [{input: ref('codes'), rows: []}], expect: {rows: []}}]
exposures: [{name: e, type: dashboard, owner: {name: o}, depends_on: [ref('one')]}]
""",
    "tests/nothing.sql": "select 1 as fault from {{ ref('two') }} where false",
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


def write_only_what_is_read() -> None:
    """Let dbt make no line of JSON for the events that nobody reads.

    It makes twenty of level debug for each node, of which two are read, and does so with Python's lock held: a tenth
    of the time of a build whose SQL is quick (measured). The level of its log decides only afterwards what is written.
    """
    import dbt.events.logging as dbt_logging

    configure = getattr(dbt_logging, "get_stdout_config", None)
    if configure is None:  # another dbt, which writes all of them
        return

    def configured(*args: Any, **kwargs: Any) -> Any:
        config = configure(*args, **kwargs)
        shown = config.filter
        if config.line_format.name == "Json":  # text is for people, who may have asked for all of it
            config.filter = lambda event: (
                (event.info.level != "debug" or event.info.name in READ) and shown(event)
            )
        return config

    setattr(dbt_logging, configure.__name__, configured)


def _dbt(arguments: list[str]) -> int:
    """dbt's command line, in this process."""
    from dbt.cli.main import cli

    try:
        cli.main(args=arguments, prog_name="dbt")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(bool(end.code))
    return 0


with environment():  # dbt fills it from the `.env` of whatever folder the scheduler runs in
    importlib.import_module("dbt.cli.main")
    warm_up()
for _module in MODULES:
    importlib.import_module(_module)
gc.freeze()  # the garbage collector would copy the pages that forked tasks share
write_only_what_is_read()
process.loaded_dbt = _dbt
