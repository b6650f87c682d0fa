"""A plain `dbt build` of a project, to compare runs in Airflow with."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from tests.generated.project import RAW_SCHEMA, RAW_TABLE

from goldsmith.dbt.executable import dbt_command

ARRIVALS = f"""\
create schema {RAW_SCHEMA};
create table {RAW_SCHEMA}.{RAW_TABLE} as select id, now() as loaded_at from generate_series(1, 3) as id;
"""
"""SQL: the table behind all sources."""


@dataclass(frozen=True, kw_only=True)
class PlainBuild:
    """What `dbt build` did."""

    statuses: Mapping[str, str]
    """Unique id to dbt's status."""
    tables: Mapping[str, int | str]
    """Relation, after its target schema, to its number of rows."""


def build_plainly(project: Path, conninfo: str, *, schema: str) -> PlainBuild:
    """Run `dbt build` with dbt's own profile.

    Args:
        project: The project.
        conninfo: Of the warehouse.
        schema: Target schema that nobody else writes.
    """
    warehouse = conninfo_to_dict(conninfo)
    env = {
        "GENERATED_HOST": str(warehouse["host"]),
        "GENERATED_PORT": str(warehouse["port"]),
        "GENERATED_USER": str(warehouse["user"]),
        "GENERATED_SCHEMA": schema,
    }
    done = subprocess.run(
        [*dbt_command(), "build", "--target-path", f"target_{schema}"],
        cwd=project,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    results = project / f"target_{schema}" / "run_results.json"
    assert results.is_file(), done.stdout
    statuses = {one["unique_id"]: one["status"] for one in json.loads(results.read_text())["results"]}
    return PlainBuild(statuses=statuses, tables=tables_of(conninfo, schema))


def tables_of(conninfo: str, schema: str) -> dict[str, int | str]:
    """Kind and name of each relation below a target schema to its number of rows, and each function.

    A view that cannot be read has the error in place of a number.
    """
    with psycopg.connect(conninfo, autocommit=True) as session:
        relations = session.execute(
            "select table_schema, table_name, table_type from information_schema.tables "
            "where table_schema = %(own)s or starts_with(table_schema, %(own)s || '_')",
            {"own": schema},
        ).fetchall()
        functions = session.execute(
            "select routine_name from information_schema.routines where routine_schema = %s", [schema]
        ).fetchall()
        found = {
            f"{kind} {place.removeprefix(schema)}.{name}": _rows(session, place, name)
            for place, name, kind in relations
        }
    return found | {f"FUNCTION {name}": 0 for (name,) in functions}


def _rows(session: psycopg.Connection[tuple[object, ...]], schema: str, name: str) -> int | str:
    try:
        counted = session.execute(sql.SQL("select count(*) from {}").format(sql.Identifier(schema, name)))
    except psycopg.Error as error:
        return str(error).partition("\n")[0]
    return int(str(counted.fetchone()[0]))  # type: ignore[index]


def differences(
    plain: Mapping[str, object], ours: Mapping[str, object], among: Iterable[str] = ()
) -> list[str]:
    """What differs, a line for each."""
    keys = sorted({*plain, *ours} & set(among) if among else {*plain, *ours})
    return [
        f"{key}: dbt {plain.get(key)}, here {ours.get(key)}"
        for key in keys
        if plain.get(key) != ours.get(key)
    ]
