"""Secrets of every kind that pipelines have, each with the same mark in it, and where a mark is looked for.

Not looked at is what docs/secrets.md says to hold them: dbt's own cache of what it parsed, the tables that a model
makes, and the files in which a user has written them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import yaml

from goldsmith.engine.packed import unpack

MARK = "pl4nt3d"
_OF_DBT = {"partial_parse.msgpack"}
_TOKEN = f"{MARK}-variable"
_ALERTS = {
    "channels": {
        "hook": {"type": "webhook", "connection": "hook"},
        "echo": {"type": "webhook", "connection": "echo"},
        "pager": {"type": "pagerduty", "connection": "echo_pager"},
    },
    "routes": [
        {
            "name": "all",
            "channels": ["hook", "echo", "log"],
            "events": ["model_failed", "test_warned", "gate_blocked", "run_finished"],
        },
        {"name": "night", "channels": ["pager", "echo"], "layers": "bronze", "urgent": True},
    ],
}


def _spec(name: str, **engine: object) -> dict[str, object]:
    return {
        "project": "planted_project",
        "layers": {"bronze": "path:models/bronze/", "silver": "path:models/silver/"},
        "profile": {
            "file": f"{name}_profiles.yml",
            "env": {
                "LAB_HOST": "warehouse.host",
                "LAB_USER": "warehouse.login",
                "LAB_PASSWORD": "vault.password",
                "LAB_APPLICATION": "vault.api_key",
            },
        },
        "vars": {"api_token": _TOKEN},
        "retries": {"models": 0},
        "report": {"elementary": None},
        "alerts": _ALERTS,
        **engine,
    }


PLANTED = {"planted": _spec("planted"), "planted_alone": _spec("planted_alone", engine="isolated")}
"""Pipelines of both engines whose model renders secrets, and fails with them if the divisor is 0."""
FILES = {
    "models/bronze/leaks.sql": (
        '{%- set control = "select min(value) from lab.control where key = \'" ~ target.schema ~ ".divisor\'" %}\n'
        "{%- set secrets = env_var('PLANTED_KEY', 'none') ~ ' ' ~ var('api_token', 'none') %}\n"
        "{%- if execute %}{{ log('with ' ~ secrets, info=true) }}{% endif %}\n"
        "select 1 as id, '{{ secrets }}' as secret\n"
        "{%- if execute and run_query(control).columns[0].values()[0] == 0 %}, '{{ secrets }}'::int as n{% endif %}"
    ),
    "models/silver/after.sql": "select * from {{ ref('leaks') }}",
    "models/leaks.yml": (
        "models:\n  - name: leaks\n    columns:\n      - name: secret\n"
        "        data_tests: [{accepted_values: {arguments: {values: [x]}, config: {severity: warn}}}]\n"
    ),
}
"""The dbt project, beside what all projects of the lab have."""


def environment(receiver: str) -> dict[str, str]:
    """The environment of all components: connections, and variables with secrets.

    Args:
        receiver: Address of a web service that refuses what comes under `/echo`, and repeats it.
    """
    headers = {"X-Api-Key": f"{MARK}-header", "Authorization": f"Custom {MARK}-authorization"}
    echo = {
        "conn_type": "http",
        "host": f"{receiver}/echo/{MARK}-path?code={MARK}-query",
        "password": f"{MARK}-token",
        "extra": {"headers": headers, "more": [f"{MARK}-extra"]},
    }
    vault = {
        "conn_type": "generic",
        "password": f"{MARK}-password",
        "extra": {"api_key": f"{MARK}-key", "other": f"{MARK}-other"},
    }
    pager = {"conn_type": "http", "host": f"{receiver}/echo", "password": f"{MARK}-routing"}
    return {
        "AIRFLOW_CONN_ECHO": json.dumps(echo),
        "AIRFLOW_CONN_VAULT": json.dumps(vault),
        "AIRFLOW_CONN_ECHO_PAGER": json.dumps(pager),
        "GOLDSMITH_SECRET_ENV": "PLANTED_*",
        "PLANTED_KEY": f"{MARK}-environment",
        "DBT_ENV_SECRET_PLANTED": f"{MARK}-dbt",
    }


def write_pipeline(root: Path, name: str, spec: dict[str, object]) -> None:
    """Write a pipeline's spec as YAML, because Airflow keeps and shows the code of DAG files, and its profiles.yml."""
    (root / "dags" / f"{name}.yml").write_text(yaml.safe_dump(spec))
    (root / "dags" / f"{name}.py").write_text(
        f'"""Airflow DAG: {name}."""\n\nfrom goldsmith import build_dag\n\ndag = build_dag("{name}.yml")\n'
    )
    output = {
        "type": "postgres",
        "host": "{{ env_var('LAB_HOST') }}",
        "user": "{{ env_var('LAB_USER') }}",
        "password": "{{ env_var('LAB_PASSWORD') }}",
        "application_name": "{{ env_var('LAB_APPLICATION') }}",
        "port": 5432,
        "dbname": "warehouse",
        "schema": name,
        "threads": 4,
    }
    profiles = {"lab": {"outputs": {"prod": output}}}
    (root / f"{name}_profiles.yml").write_text(yaml.safe_dump(profiles))


def in_files(*folders: Path) -> list[str]:
    """The files that hold a mark."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert files
    return [str(path) for path in files if path.name not in _OF_DBT and _holds(path.read_bytes())]


def in_database(conninfo: str, mark: str = MARK) -> list[str]:
    """The values in Airflow's tables that hold a mark, also packed, compressed or as bytes."""
    found = []
    with psycopg.connect(conninfo) as session:
        tables = session.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
        for (table,) in tables:
            for row in session.execute(f'select * from "{table}"'.encode()):
                found += [f"{table}: {value!r:.300}" for value in row if _holds(value, mark)]
    return found


def in_output(root: Path, *commands: str) -> list[str]:
    """What commands print, if it holds a mark."""
    found = []
    for command in commands:
        done = subprocess.run(
            [sys.executable, "-m", "goldsmith.cli", *command.split()],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), (command, done.stderr)
        assert done.stdout, command
        found += [f"{command}: {text}" for text in (done.stdout, done.stderr) if MARK in text]
    return found


@contextmanager
def command_lines() -> Iterator[set[str]]:
    """The command lines with a mark, of all processes that there are meanwhile."""
    found: set[str] = set()
    is_over = threading.Event()

    def look() -> None:
        while not is_over.is_set():
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    line = file.read_bytes()
                except OSError:  # it has ended
                    continue
                if MARK.encode() in line:
                    found.add(line.replace(b"\0", b" ").decode(errors="replace"))
            time.sleep(0.05)

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    try:
        yield found
    finally:
        is_over.set()
        looking.join()


def _holds(value: Any, mark: str = MARK) -> bool:
    """Whether there is a mark in a value, however it is kept."""
    if isinstance(value, dict):
        return any(_holds(one, mark) for one in [*value, *value.values()])
    if isinstance(value, list | tuple):
        return any(_holds(one, mark) for one in value)
    if isinstance(value, str):
        return mark in value or _is_in_packed(value, mark)
    if isinstance(value, bytes | memoryview):
        raw = bytes(value)
        with suppress(zlib.error):
            raw += zlib.decompress(raw)
        return mark.encode() in raw
    return False


def _is_in_packed(text: str, mark: str) -> bool:
    try:
        return mark in json.dumps(unpack(text.strip('"')))
    except ValueError:
        return False
