"""The dbt project in which faults are planted: what fails, and what waits, is decided in the warehouse.

Table `faults.control` has keys: `<schema>.hold_<what>` lets a model or a hook wait until the key is gone,
`<schema>.broken_<what>` breaks it, `<schema>.failing_<model>` lets the model's test find a row, with `<schema>.hides`
only each second time that somebody looks.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from goldsmith.dbt.parse import make_manifest
from goldsmith.dbt.project import find_project

ENGINES = ("shared", "isolated")
"""Also the ids of the DAGs and their schemas."""
BATCHES = {"shared": "shared_batches", "isolated": "isolated_batches"}
"""Engine to the id of the DAG of the project with a microbatch model."""
ROWS = {"orders": 1, "lonely": 1, "shown": 1, "revenue": 1, "latest": 1}
"""Model to the rows that it has after a run."""
TESTED = ("orders", "revenue")
DAYS = 3
"""Batches of the microbatch model; one row each."""

CONTROL = """\
create schema faults;
create table faults.control (key text primary key);
create table faults.customers (id int primary key);
create table faults.visits (customer int references faults.customers deferrable initially deferred);
create sequence faults.seen_shared;
create sequence faults.seen_isolated;
create sequence faults.seen_shared_batches;
create sequence faults.seen_isolated_batches;
create function faults.has(wanted text) returns bool language sql as
  $$ select exists (select from faults.control where key = wanted) $$;
create function faults.step(schema text, what text) returns int language plpgsql volatile as $$
begin
  if faults.has(schema || '.broken_' || what) then
    raise exception '% is broken on purpose', what;
  end if;
  while faults.has(schema || '.hold_' || what) loop
    perform pg_sleep(0.1);
  end loop;
  return 1;
end $$;
create function faults.fails(schema text, what text) returns bool language plpgsql volatile as $$
declare turn bigint := nextval('faults.seen_' || schema);
begin
  return faults.has(schema || '.failing_' || what) and (not faults.has(schema || '.hides') or turn % 2 = 1);
end $$;
"""
"""SQL: what the projects expect in the warehouse. A test's turns are counted in sequences, which no rollback undoes."""

_PROJECT = """\
name: faults
version: "1.0"
profile: faults
flags: {send_anonymous_usage_stats: false}
on-run-start: "select faults.step('{{ target.schema }}', 'start_hook')"
on-run-end: "select faults.step('{{ target.schema }}', 'end_hook')"
models: {faults: {+materialized: table}}
"""
_PROFILE = """\
faults:
  target: prod
  outputs:
    prod: {type: postgres, host: localhost, port: 5432, user: nobody, password: "", dbname: warehouse, schema: faults}
"""
_TEST = """\
{% test fails(model, column_name) %}
select 'row of {{ model.name }}' as row where faults.fails('{{ model.schema }}', '{{ model.name }}')
{% endtest %}
"""
_PROPERTIES = """\
models:
  - name: orders
    columns: [{name: id, data_tests: [fails]}]
  - name: revenue
    columns: [{name: id, data_tests: [fails]}]
"""
_VISIT = "{{ config(post_hook=\"insert into faults.visits select 1 where faults.has('{{ this.schema }}.orphan')\") }}"
FILES = {
    "dbt_project.yml": _PROJECT,
    "profiles.yml": _PROFILE,
    "macros/fails.sql": _TEST,
    "models/properties.yml": _PROPERTIES,
    "models/bronze/orders.sql": "select faults.step('{{ this.schema }}', 'orders') as id",
    "models/bronze/lonely.sql": f"{_VISIT}\nselect 1 as id",
    "models/bronze/shown.sql": "{{ config(materialized='view') }}\nselect 1 as id",
    "models/silver/latest.sql": "{{ config(materialized='view') }}\nselect id from {{ ref('orders') }}",
    "models/silver/revenue.sql": "select id from {{ ref('orders') }}",
}
_BATCHED = """\
{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='day', batch_size='day',
          begin='2026-11-01', unique_key='day') }}
select day, faults.step('{{ this.schema }}', 'day_' || extract(day from day)) as id from {{ ref('days') }}
"""
_DAYS = (
    "{{ config(event_time='day') }}\n"
    "select day::timestamp as day from generate_series('2026-11-01'::date, '2026-11-03'::date, '1 day') as day"
)
BATCH_FILES = {
    "dbt_project.yml": _PROJECT,
    "profiles.yml": _PROFILE,
    "models/bronze/days.sql": _DAYS,
    "models/silver/by_day.sql": _BATCHED,
}
_DAG = '''\
"""Airflow DAG: {name}."""

import json
import os
from pathlib import Path

switches = json.loads(Path({switches!r}).read_text())
os.environ.update(switches["env"])

from goldsmith import Pipeline, build_dag

exec(switches["code"])
dag = build_dag(Pipeline.parse({spec!r}))
'''


def write_project(folder: Path, files: dict[str, str]) -> None:
    """Write a project with its manifest."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text.rstrip()}\n")
    make_manifest(find_project(folder), target="prod", env=os.environ)


def write_dag(dags: Path, dag_id: str, *, engine: str, project: Path, switches: Path) -> None:
    """Write the DAG file of a pipeline.

    Args:
        dags: The folder of DAG files.
        dag_id: Its id, and its schema.
        engine: Its engine.
        project: Its dbt project.
        switches: File with `env` and `code`, which each process that reads the DAG file, and so each task, takes over.
    """
    spec: dict[str, Any] = {
        "name": dag_id,
        "engine": engine,
        "project": str(project),
        "target": "prod",
        "layers": {"bronze": "path:models/bronze/", "silver": "path:models/silver/"},
        "report": None,
        "schedule": None,
        "max_active_runs": 2,
        "retries": {"models": 1, "delay": "1s", "max_delay": "2s", "build_delay": "1s"},
        "profile": {"schema": dag_id, "threads": 3},
    }
    text = _DAG.format(name=dag_id, switches=str(switches), spec=spec)
    (dags / f"{dag_id}.py").write_text(text)
