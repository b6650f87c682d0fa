"""The dbt projects and DAG files for the tests of the shared engine.

What a test wants to fail is decided in the warehouse, while a run goes on: table `lab.control` holds for each
pipeline a divisor (0 breaks the model `rates`, and the root of the wide project; with -1 it meets another
transaction, which is worth a retry, and with -2 it hangs) and a number of unknown customers
(1 makes the test `not_null_customer` of `people` fail).
"""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.integration import planted
from tests.integration.planted import PLANTED

from goldsmith.dbt.executable import dbt_executable
from goldsmith.dbt.parse import make_manifest
from goldsmith.dbt.project import find_project

WIDE = 100
"""Models below the root of the wide project, each with a test."""
# What breaks here is a division by zero, which by itself is not worth a retry.
_RETRIES = {"models": 1, "delay": "5s", "errors": "any"}
_TWO_LAYERS = {"bronze": "path:models/bronze/", "silver": "path:models/silver/"}
OTHER_DBT = "environment/bin/dbt"
"""A command in another folder, from the repository's root."""
BY_FILE = ("strict", "tolerant", "alone")
"""Pipelines that connect by a profiles.yml, in which `env_var` gives fields of an Airflow connection."""


def _by_file(name: str) -> dict[str, object]:
    return {
        "file": f"{name}_profiles.yml",
        "env": {"LAB_HOST": "warehouse.host", "LAB_USER": "warehouse.login"},
    }


PIPELINES: dict[str, dict[str, object]] = {
    "by_layer": {"gate": "layer"},
    "by_node": {"gate": "node"},
    "by_task_model": {"gate": "layer", "tasks": "model", "report": {"elementary": None}},
    "by_model_tests": {"gate": "node", "tasks": "model_tests"},
    "strict": {
        "profile": _by_file("strict"),
        "dbt": OTHER_DBT,
        "gate": "node",
        "select": ["+rates", "+stg_orders"],
        "retries": {"models": 1, "build_delay": "2s"},
        "node_timeout": "4s",
        "slow_after": "2s",
        "deadlines": [
            {"within": "3s"},
            {"node": "rates", "within": "3s"},
            {"by": "05:00", "timezone": "Asia/Tokyo"},
        ],
    },
    "wide": {
        "gate": "node",
        "project": "wide_project",
        "layers": _TWO_LAYERS,
    },
}
_LIMITS: dict[str, object] = {
    "bronze": {
        "failed_tests": 1,
        "failed_models": 1,
        "rows": {"people": {"min": 1, "change": 0.5}},
        "nulls": {"people": {"customer": 0.5}},
    },
    "silver": {"warned_tests": {"max": 0, "then": "warn"}},
}
_ASKS: dict[str, object] = {
    "freshness": "warn",
    "gates": {"bronze": {"on_block": "ask", "ask_timeout": "10m"}},
}
_ON_ERROR: dict[str, dict[str, object]] = {
    "goes_on": {"gates": {"bronze": {"failed_models": 2}, "silver": {"failed_models": 1}}},
    "goes_on_node": {"gate": "node", "tasks": "model"},
    "goes_on_alone": {"engine": "isolated", "gate": "node"},
}
GATED: dict[str, dict[str, object]] = {
    "tolerant": {"freshness": "skip", "gates": _LIMITS, "profile": _by_file("tolerant")},
    "alone": {
        "profile": _by_file("alone"),
        "engine": "isolated",
        "select": ["+coded", "+rates", "+greeted"],
        "layers": _TWO_LAYERS,
        "freshness": "skip",
        "gates": {"bronze": _LIMITS["bronze"]},
    },
    "asks": _ASKS,
    "asks_soon": _ASKS,
    "asks_nobody": {"gates": {"bronze": {"on_block": "ask", "ask_timeout": "5s"}}},
    **{name: {"select": ["+deeper", "+inside", "+cautious+"], **how} for name, how in _ON_ERROR.items()},
}
"""Pipelines with limits at their gates, of which some read a source that is stale, and others go on after an error."""
STEERED: dict[str, dict[str, object]] = {
    "steered": {"state_manifest": "production/manifest.json", "report": {"elementary": None}},
    "steered_node": {"gate": "node", "tasks": "model", "retries": {**_RETRIES, "build_delay": "1s"}},
}
"""Pipelines whose runs are given parameters."""
_EVERYTHING = ["model_failed", "test_failed", "test_warned", "gate_blocked", "gate_waiting", "source_stale"]
_EVERYTHING += ["task_failed", "recovered", "deadline_missed", "report_failed", "run_finished"]
_ALERTS: dict[str, object] = {
    "channels": {
        "hook": {"type": "webhook", "connection": "hook"},
        "pager": {"type": "pagerduty", "connection": "pager"},
        "away": {"type": "webhook", "connection": "away"},
    },
    "routes": [
        {"name": "all", "channels": ["hook", "log"], "events": _EVERYTHING},
        {"name": "night", "channels": "pager", "layers": "bronze", "urgent": True},
        {"name": "lost", "channels": "away", "layers": "bronze", "events": "model_failed"},
    ],
    "runbook": "https://wiki.example.com/{pipeline}/{node}",
}
ALERTED: dict[str, dict[str, object]] = {
    "alerted": {"alerts": _ALERTS, "report": {"elementary": None}},
    "alerted_rows": {"gate": "node", "select": "+people", "alerts": _ALERTS},
    "published": {
        "gate": "node",
        "select": "+rates",
        "report": {
            "elementary": None,
            "dbt_docs": True,
            "publish": [{"to": "published", "keep": 1, "url": "https://reports.example.com"}],
        },
    },
    "alerted_alone": {
        "engine": "isolated",
        "select": "+priced",
        "alerts": _ALERTS,
        "report": {"elementary": None},
    },
    "alerted_late": {
        "gate": "node",
        "select": "+rates",
        "alerts": _ALERTS,
        "deadlines": [{"node": "rates", "within": "2s"}],
    },
    "alerted_asks": {"alerts": _ALERTS, "gates": {"bronze": {"on_block": "ask", "ask_timeout": "10m"}}},
}
"""Pipelines that tell what they did."""
WATCHED: dict[str, dict[str, object]] = {
    "watched": {"gate": "node", "tasks": "model", "report": {}},
    "asked": {"gates": {"bronze": {"on_block": "ask", "ask_timeout": "10m"}}},
}
"""Pipelines that somebody watches in a browser."""
OBSERVED: dict[str, dict[str, object]] = {
    "observed": {"report": {"elementary": {"days_back": 3}}},
    "observed_alone": {"engine": "isolated", "gate": "node", "select": ["+priced"], "report": {}},
    "observed_broken": {"gate": "node", "select": "+rates", "report": {}},
}
"""Pipelines of a project with the dbt package Elementary."""
STARTED: dict[str, dict[str, object]] = {
    "leads": {"gate": "node", "select": "+rates", "schedule": None},
    "follows": {"gate": "node", "select": "+rates", "after": "goldsmith://leads/lab_bronze/rates"},
    "windowed": {"gate": "node", "select": "appended", "schedule": "@daily", "window": "1d"},
}
"""Pipelines that Airflow may start by itself."""
_REPORTED: dict[str, object] = {"report": {"elementary": None}}
DAYS = 5
MICRO: dict[str, dict[str, object]] = {
    name: {"project": "micro_project", "layers": _TWO_LAYERS, **engine}
    for name, engine in (("micro", {}), ("micro_alone", {"engine": "isolated"}))
}
"""Pipelines with a microbatch model of `DAYS` batches: of those, that of the day `bad` fails, and of the day after."""
_DUCKS_LIMITS = {
    "bronze": {
        "failed_tests": 1,
        "rows": {"people": {"min": 3, "change": 0.5}},
        "nulls": {"people": {"customer": 0.5}},
    }
}
DUCKS: dict[str, dict[str, object]] = {
    name: {"connection": "lakehouse", "layers": _TWO_LAYERS, "gates": _DUCKS_LIMITS, **engine, **_REPORTED}
    for name, engine in (("ducks", {}), ("ducks_alone", {"engine": "isolated"}))
}
"""Pipelines on DuckDB, which Goldsmith asks through dbt; both use one file."""
REFUSED = ("refused_absent", "refused_password", "refused_viewer")
"""Pipelines whose tasks have no right to mark."""

CONTROL = """\
create schema lab;
create table lab.control (key text primary key, value int);
create function lab.rate(divisor int) returns int language plpgsql as $$
begin
  if divisor = -2 then
    perform pg_sleep(60);
  elsif divisor = -1 then
    raise exception 'could not serialize access due to concurrent update' using errcode = '40001';
  end if;
  return 100 / divisor;
end $$;
create table lab.codes as select 1 as id, now() - interval '10 days' as loaded_at;
"""
"""SQL: what the projects expect in the warehouse."""
_CONTROL = "(select value from lab.control where key = '{{ target.schema }}.%s')"
_PROJECT = """\
name: lab
version: "1.0"
profile: lab
flags: {send_anonymous_usage_stats: false}
models:
  lab:
    +materialized: table
    bronze: {+schema: bronze}
    silver: {+schema: silver}
    gold: {+schema: gold}
seeds:
  lab: {+schema: raw}
"""
_HOOKS = "".join(
    f'on-run-{when}: ["select lab.rate(coalesce({_CONTROL % when}, 1))"]\n' for when in ("start", "end")
)
"""Hooks that a divisor of 0 breaks."""
_PROFILE = """\
lab:
  target: prod
  outputs:
    prod: {type: postgres, host: localhost, port: 5432, user: nobody, password: "", dbname: warehouse, schema: lab}
"""
_SCHEMA = """\
models:
  - name: stg_orders
    config: {materialized: view}
    columns: [{name: id, data_tests: [unique, not_null]}]
  - name: rates
    columns: [{name: id, data_tests: [unique]}]
  - name: people
    columns: [{name: id, data_tests: [unique]}, {name: customer, data_tests: [not_null]}]
  - name: orders
    columns: [{name: id, data_tests: [unique]}]
  - name: customers
    columns: [{name: customer, data_tests: [unique: {config: {severity: warn}}]}]
  - name: priced
    columns: [{name: id, data_tests: [not_null]}]
unit_tests:
  - name: greets
    model: greeted
    given: [{input: ref('people'), rows: [{customer: ann}]}]
    expect: {rows: [{line: Dear ann}]}
"""
_SNAPSHOT = """\
snapshots:
  - name: orders_snapshot
    relation: ref('stg_orders')
    config: {schema: snapshots, unique_key: id, strategy: check, check_cols: [customer]}
"""
_SOURCES = """\
sources:
  - name: lake
    schema: lab
    tables:
      - name: codes
        config: {loaded_at_field: loaded_at, freshness: {error_after: {count: 1, period: day}}}
"""
_FILES = {
    "dbt_project.yml": _PROJECT,
    "profiles.yml": _PROFILE,
    "seeds/raw_orders.csv": "id,customer,amount\n1,ann,5\n2,bob,7\n3,ann,9\n",
    "snapshots/orders_snapshot.yml": _SNAPSHOT,
    "models/schema.yml": _SCHEMA,
    "models/bronze/stg_orders.sql": "select id, customer, amount from {{ ref('raw_orders') }}",
    "models/bronze/rates.sql": f"select 1 as id, lab.rate({_CONTROL % 'divisor'}) as rate",
    "models/bronze/people.sql": (
        f"select id, case when id > {_CONTROL % 'unknown'} then customer end as customer "
        "from {{ ref('raw_orders') }}"
    ),
    "models/silver/orders.sql": "select * from {{ ref('stg_orders') }}",
    "models/silver/customers.sql": "select customer from {{ ref('stg_orders') }}",
    "models/silver/priced.sql": (
        "select o.id, o.amount * r.rate as price from {{ ref('stg_orders') }} as o cross join {{ ref('rates') }} as r"
    ),
    "models/silver/greeted.sql": "select 'Dear ' || customer as line from {{ ref('people') }}",
    "models/gold/revenue.sql": (
        "select sum(p.price) as revenue from {{ ref('priced') }} as p inner join {{ ref('orders') }} as o using (id)"
    ),
    "models/gold/summary.sql": "select count(*) as orders from {{ ref('orders') }}",
}
_BEGIN = datetime.now(UTC).date() - timedelta(days=DAYS - 1)
_MICRO_FILES = {
    "dbt_project.yml": _PROJECT,
    "profiles.yml": _PROFILE,
    "models/bronze/events.sql": (
        "{{ config(event_time='at') }}\n"
        f"select n as day, '{_BEGIN}'::timestamp + n * interval '1 day' as at from generate_series(0, {DAYS - 1}) as n"
    ),
    "models/bronze/by_day.sql": (
        "{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='at', lookback=1,\n"
        f"  batch_size='day', begin='{_BEGIN}', unique_key='day') }}}}\n"
        f"select *, 1 / (case when day - {_CONTROL % 'bad'} in (0, 1) then 0 else 1 end) as n "
        "from {{ ref('events') }}"
    ),
    "models/silver/after.sql": "select count(*) as days from {{ ref('by_day') }}",
}
_BEFORE = {
    **dict.fromkeys(
        STARTED, 'os.environ["GOLDSMITH_SCHEDULE"] = "on"'
    ),  # on the local stack nothing starts by itself
    "observed_broken": 'os.environ["GOLDSMITH_EDR"] = "/nowhere/edr"',
}
"""Python that a DAG file runs first."""
_DAG_FILE = """\
\"\"\"Airflow DAG: {name}.\"\"\"

{before}
from goldsmith import Pipeline, build_dag

dag = build_dag(Pipeline.parse({spec!r}))
"""


def make_projects(root: Path) -> None:
    """Write both projects with their manifests, in the folders where a repository has them."""
    _make(root / "dbt_project", _FILES)
    models = [f"child_{number:03d}" for number in range(WIDE)]
    tested = "".join(
        f"  - {{name: {name}, columns: [{{name: id, data_tests: [not_null]}}]}}\n" for name in models
    )
    _make(
        root / "wide_project",
        {
            "dbt_project.yml": _PROJECT.replace("+materialized: table", "+materialized: view"),
            "profiles.yml": _PROFILE,
            "models/bronze/root.sql": "{{ config(materialized='table') }}\n"
            + _FILES["models/bronze/rates.sql"],
            "models/schema.yml": f"models:\n{tested}",
            **{f"models/silver/{name}.sql": "select id from {{ ref('root') }}" for name in models},
        },
    )


def make_planted_project(root: Path) -> None:
    """Write a project whose model renders secrets."""
    _make(root / "planted_project", {"dbt_project.yml": _PROJECT, "profiles.yml": _PROFILE, **planted.FILES})


def make_gated_project(root: Path) -> None:
    """Write the first project with a source that is stale, and models below it.

    And with a function, and a model whose hook makes another kind of relation of it.
    """
    files = {
        "functions/greeting.sql": "select 'Dear ' || name",
        "functions/greeting.yml": (
            "functions: [{name: greeting, arguments: [{name: name, data_type: text}], returns: {data_type: text}}]"
        ),
        "models/silver/greeted.sql": "select {{ function('greeting') }}(customer) as line from {{ ref('people') }}",
        "models/silver/shown.sql": (
            "{{ config(meta={'goldsmith': {'expect': 'view'}},\n"
            "          post_hook=['drop table {{ this }}', 'create view {{ this }} as select 1 as id']) }}\n"
            "select 1 as id"
        ),
        # What reads `loose` is built also if that fails: `inside` cannot be, then. dbt skips what is below `rates`.
        "models/bronze/loose.sql": (
            f"{{{{ config(on_error='continue') }}}} select 1 as id, lab.rate({_CONTROL % 'loose'}) as rate"
        ),
        "models/silver/beside.sql": "-- depends_on: {{ ref('loose') }}\nselect 1 as id",
        "models/silver/inside.sql": "select rate from {{ ref('loose') }}",
        "models/gold/deeper.sql": "select id from {{ ref('beside') }}",
        "models/silver/cautious.sql": "{{ config(on_error='continue') }} select rate from {{ ref('rates') }}",
        "models/gold/behind.sql": "-- depends_on: {{ ref('cautious') }}\nselect 1 as id",
        "models/sources.yml": _SOURCES,
        "models/bronze/codes.sql": "select id from {{ source('lake', 'codes') }}",
        "models/silver/coded.sql": "select id from {{ ref('codes') }}",
    }
    _make(root / "dbt_project", {**_FILES, **files})


def make_steered_project(root: Path) -> None:
    """Write the first project with a model that keeps what it has, and one with a microbatch model."""
    appended = (
        "{{ config(materialized='incremental', tags=['loud']) }} select {{ var('number', 1) }} as number"
    )
    files = {"dbt_project.yml": _PROJECT + _HOOKS, "models/bronze/appended.sql": appended}
    _make(root / "dbt_project", {**_FILES, **files})
    _make(root / "micro_project", _MICRO_FILES)


def make_duck_project(root: Path) -> None:
    """Write a project of five models for DuckDB; what fails is decided by a file, `control.csv`."""
    control = f"(select max(value) from read_csv('{root}/control.csv') where key = '%s')"
    profile = f"lab:\n  target: prod\n  outputs:\n    prod: {{type: duckdb, path: {root}/lake.duckdb, schema: lab}}\n"
    files = {
        "dbt_project.yml": _PROJECT,
        "profiles.yml": profile,
        "models/schema.yml": (
            "models:\n"
            "  - name: people\n"
            "    columns: [{name: id, data_tests: [unique]}, {name: customer, data_tests: [not_null]}]\n"
            "  - {name: summary, columns: [{name: people, data_tests: [not_null]}]}\n"
        ),
        "models/bronze/people.sql": (
            f"select id, case when id > {control % 'unknown'} then 'it''s ' || id end as customer from range(3) t(id)"
        ),
        "models/bronze/rates.sql": (
            f"select case when {control % 'broken'} = 1 then error('rates is broken ' || id) else id end as rate\n"
            "from range(2) t(id)"
        ),
        "models/bronze/days.sql": "{{ config(materialized='view') }} select date '2026-01-01' as day",
        "models/silver/priced.sql": "select p.id, r.rate from {{ ref('people') }} p, {{ ref('rates') }} r",
        "models/silver/summary.sql": "select count(*) as people from {{ ref('people') }}",
    }
    _make(root / "dbt_project", files)


def make_observed_project(root: Path, packages: Path) -> None:
    """Write the first project with the dbt package Elementary, set up as docs/report.md says."""
    folder = root / "dbt_project"
    shutil.copytree(packages, folder / "dbt_packages")
    names = ("elementary-data/elementary", "dbt-labs/dbt_utils")
    listed = "packages:\n" + "".join(f"  - {{package: {name}, version: 0.25.1}}\n" for name in names)
    observed = _PROJECT.replace("seeds:", "  elementary: {+schema: elementary}\nseeds:")
    observed += "vars: {disable_dbt_artifacts_autoupload: true}\n"
    macros = Path(__file__).parents[2] / "dbt_project" / "macros"
    files = {
        "dbt_project.yml": observed,
        "packages.yml": listed,
        **{
            f"macros/{name}.sql": (macros / f"{name}.sql").read_text()
            for name in ("test_materialization", "elementary_insert_rows")
        },
    }
    _make(folder, {**_FILES, **files})


def _make(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text.rstrip()}\n")
    make_manifest(find_project(folder), target="prod", env=os.environ)


def spec_of(name: str) -> dict[str, object]:
    """The spec of a pipeline; its schemas start with its name."""
    common = {
        "name": name,
        "report": None,
        "retries": _RETRIES,
        "profile": {"schema": name},
    }
    return {
        **common,
        **{
            **PIPELINES,
            **GATED,
            **STEERED,
            **STARTED,
            **OBSERVED,
            **ALERTED,
            **PLANTED,
            **WATCHED,
            **MICRO,
            **DUCKS,
        }.get(name, {"gate": "node", "select": "+priced"}),
    }


def write_profile(root: Path, name: str) -> None:
    """Write the profiles.yml of a pipeline that connects by one."""
    connection = "type: postgres, host: \"{{ env_var('LAB_HOST') }}\", user: \"{{ env_var('LAB_USER') }}\""
    server = f"{connection}, password: '', port: 5432, dbname: warehouse, schema: {name}, threads: 4"
    (root / f"{name}_profiles.yml").write_text(f"lab:\n  outputs:\n    prod: {{{server}}}\n")


def write_other_dbt(root: Path) -> None:
    """Write the dbt command of the pipeline that names one: it is ours, in another place."""
    place = root / OTHER_DBT
    place.parent.mkdir(parents=True)
    shutil.copy(dbt_executable(), place)


def write_dag(dags: Path, name: str, before: str = "") -> None:
    """Write the DAG file of a pipeline.

    Args:
        dags: The folder of DAG files.
        name: The pipeline.
        before: Python that runs first, in the process of each of its tasks too.
    """
    before = before or (f"import os\n\n{_BEFORE[name]}\n" if name in _BEFORE else "")
    (dags / f"{name}.py").write_text(_DAG_FILE.format(name=name, before=before, spec=spec_of(name)))
