"""The files of a generated project: trivial SQL that PostgreSQL can run, and YAML."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from tests.generated.project import (
    IN_FILE,
    IN_YAML,
    NAME,
    RAW_SCHEMA,
    RAW_TABLE,
    RETIRED,
    SIDE,
    Exposure,
    Function,
    GenericTest,
    Model,
    Shape,
    SingularTest,
    Snapshot,
    Table,
)

_PROFILES = json.dumps(
    {
        NAME: {
            "target": "prod",
            "outputs": {
                "prod": {
                    "type": "postgres",
                    "host": "{{ env_var('GENERATED_HOST', 'localhost') }}",
                    "port": "{{ env_var('GENERATED_PORT', '5432') | int }}",
                    "user": "{{ env_var('GENERATED_USER', 'nobody') }}",
                    "password": "",
                    "dbname": "warehouse",
                    "schema": "{{ env_var('GENERATED_SCHEMA', 'generated') }}",
                    "threads": 2,
                }
            },
        }
    }
)


def _yaml(value: object) -> str:
    """JSON is YAML, and quotes every name."""
    return json.dumps(value, ensure_ascii=False, indent=1)


def _enabled(is_enabled: bool) -> dict[str, Any]:  # noqa: FBT001 - of the node that is described
    return {} if is_enabled else {"config": {"enabled": False}}


def _columns(tests: Iterable[GenericTest]) -> dict[str, Any]:
    entries = [test.entry() for test in tests]
    return {"columns": [{"name": "id", "data_tests": entries}]} if entries else {}


def _model_files(model: Model) -> Iterator[tuple[str, str]]:
    folder = PurePosixPath("models", model.folder)
    if model.package == SIDE:
        folder = PurePosixPath("packages", SIDE) / folder
    names = [model.name]
    if model.versions:
        names = [f"{model.name}_v{version}" for version in range(1, model.versions + 1)]
    for name in names:
        yield str(folder / f"{name}.sql"), "" if model.is_empty else _model_sql(model)


def _model_sql(model: Model) -> str:
    config = {"materialized": model.materialized}
    if model.materialized == "incremental":
        config["unique_key"] = "id"
    if model.goes_on:
        config["on_error"] = "continue"
    if model.alias and not model.versions:
        config["alias"] = model.alias
    arguments = ", ".join(f"{key}='{value}'" for key, value in config.items())
    if model.disabled == IN_FILE:
        arguments += ", enabled=false"
    call = f"{{{{ function('{model.calls}') }}}}" if model.calls else ""
    parts = [
        f"select {call}(id + {place}) as id from {{{{ {read} }}}}" for place, read in enumerate(model.reads)
    ]
    if not parts:
        parts = [f"select {call}(1) as id"]
    if model.is_broken:
        parts.append("select 1 / (count(*) - count(*))::int as id from pg_class")
    return f"{{{{ config({arguments}) }}}}\n" + "\nunion\n".join(parts) + "\n"


def _model_entry(model: Model) -> dict[str, Any]:
    config: dict[str, Any] = {"group": model.group} if model.group else {}
    if model.disabled == IN_YAML:
        config["enabled"] = False
    entry = {"name": model.name, **({"config": config} if config else {}), **_columns(model.tests)}
    if model.versions:
        entry["latest_version"] = model.versions
        entry["versions"] = [
            {"v": number, **({"config": {"alias": f"{model.alias}_v{number}"}} if model.alias else {})}
            for number in range(1, model.versions + 1)
        ]
    return entry


def _unit_tests(model: Model) -> list[dict[str, Any]]:
    """Each input has the one row 1, so that the model gives 1, 2 and so on."""
    return [
        {
            "name": test.name,
            "model": model.name,
            "given": [
                {"input": read, "format": "sql", "rows": "select 1 as id"}
                for read in dict.fromkeys(model.reads)
            ],
            "expect": {
                "format": "sql",
                "rows": " union ".join(
                    f"select {1 + place if test.is_right else -1} as id"
                    for place in range(max(1, len(model.reads)))
                ),
            },
            **({"versions": {"include": [test.only_version]}} if test.only_version else {}),
        }
        for test in model.unit_tests
    ]


def _snapshot_entry(snapshot: Snapshot) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": snapshot.name, **_columns(snapshot.tests)}
    config: dict[str, Any] = {} if snapshot.is_enabled else {"enabled": False}
    if not snapshot.is_block:
        entry["relation"] = snapshot.reads
        config |= {"unique_key": "id", "strategy": "check", "check_cols": ["id"]}
    return {**entry, **({"config": config} if config else {})}


def _snapshot_block(snapshot: Snapshot) -> str:
    return (
        f"{{% snapshot {snapshot.name} %}}\n"
        "{{ config(unique_key='id', strategy='check', check_cols=['id'], target_schema=target.schema) }}\n"
        f"select id from {{{{ {snapshot.reads} }}}}\n"
        "{% endsnapshot %}\n"
    )


def _singular(test: SingularTest) -> str:
    if test.is_empty:
        return ""
    arguments = [f"severity='{test.severity}'", *([] if test.is_enabled else ["enabled=false"])]
    selects = [f"select id from {{{{ {read} }}}} where id < 0" for read in test.reads]
    selects.append(f"select 1 as id where {'false' if test.is_right else 'true'}")
    return f"{{{{ config({', '.join(arguments)}) }}}}\n" + "\nunion all\n".join(selects) + "\n"


def _function_entry(function: Function) -> dict[str, Any]:
    return {
        "name": function.name,
        "arguments": [{"name": "n", "data_type": "integer"}],
        "returns": {"data_type": "integer"},
        **_enabled(function.is_enabled),
    }


def _exposure_entry(exposure: Exposure) -> dict[str, Any]:
    return {
        "name": exposure.name,
        "type": "dashboard",
        "owner": {"name": "Ann"},
        "depends_on": list(exposure.reads),
        **_enabled(exposure.is_enabled),
    }


def _sources(tables: Iterable[Table]) -> list[dict[str, Any]]:
    by_source: dict[str, list[Table]] = defaultdict(list)
    for table in tables:
        by_source[table.source].append(table)
    return [
        {"name": source, "schema": RAW_SCHEMA, "tables": [_table(table) for table in members]}
        for source, members in by_source.items()
    ]


def _table(table: Table) -> dict[str, Any]:
    config: dict[str, Any] = {} if table.is_enabled else {"enabled": False}
    if table.has_freshness:
        config |= {
            "loaded_at_field": "loaded_at",
            "freshness": {"error_after": {"count": 9, "period": "day"}},
        }
    return {
        "name": table.name,
        "identifier": RAW_TABLE,
        **({"config": config} if config else {}),
        **_columns(table.tests),
    }


def write(shape: Shape, folder: Path) -> None:
    """Write the files of a project into a folder that does not exist yet."""
    for name, text in files_of(shape).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if _has_package(shape):
        (folder / "dbt_packages").mkdir()
        (folder / "dbt_packages" / SIDE).symlink_to(f"../packages/{SIDE}")


def files_of(shape: Shape) -> dict[str, str]:
    """The files of a project: path to text."""
    properties: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    files = {"dbt_project.yml": _project(), "profiles.yml": _PROFILES}
    if _has_package(shape):
        files["packages.yml"] = _yaml({"packages": [{"local": f"packages/{SIDE}"}]})
        files[f"packages/{SIDE}/dbt_project.yml"] = _yaml({"name": SIDE})
    for model in shape.models:
        files |= dict(_model_files(model))
        described = properties[_yaml_of(shape, model)]
        described["models"].append(_model_entry(model))
        described["unit_tests"] += _unit_tests(model)
    files |= _others(shape, properties)
    return files | {
        path: _yaml({key: entries for key, entries in found.items() if entries})
        for path, found in properties.items()
    }


def _others(shape: Shape, properties: Mapping[str, dict[str, list[dict[str, Any]]]]) -> dict[str, str]:
    files = {}
    for seed in shape.seeds:
        files[f"seeds/{seed.name}.csv"] = "id\n" + "".join(f"{row}\n" for row in range(1, seed.rows + 1))
        properties["seeds/seeds.yml"]["seeds"].append(
            {"name": seed.name, **_enabled(seed.is_enabled), **_columns(seed.tests)}
        )
    for snapshot in shape.snapshots:
        if snapshot.is_block:
            files[f"snapshots/{snapshot.name}.sql"] = _snapshot_block(snapshot)
        properties["snapshots/snapshots.yml"]["snapshots"].append(_snapshot_entry(snapshot))
    for test in shape.singular_tests:
        files[str(PurePosixPath("tests", test.folder, f"{test.name}.sql"))] = _singular(test)
    for function in shape.functions:
        inner = f"{{{{ function('{function.calls}') }}}}(n)" if function.calls else "n"
        files[f"functions/{function.name}.sql"] = f"select {inner} + 1"
        properties["functions/functions.yml"]["functions"].append(_function_entry(function))
    for exposure in shape.exposures:
        properties["models/exposures.yml"]["exposures"].append(_exposure_entry(exposure))
    if shape.tables:
        properties["models/sources.yml"]["sources"] += _sources(shape.tables)
    if any(model.group for model in shape.models):
        properties["models/groups.yml"]["groups"] += [
            {"name": "finance", "owner": {"name": "Fi Nance", "email": "fi@example.com"}}
        ]
    return files


def _has_package(shape: Shape) -> bool:
    return any(model.package == SIDE for model in shape.models)


def _yaml_of(shape: Shape, model: Model) -> str:
    if model.package == SIDE:
        return f"packages/{SIDE}/models/schema.yml"
    folder = "" if shape.has_one_yaml else model.folder
    return str(PurePosixPath("models", folder, "schema.yml"))


def _project() -> str:
    return _yaml(
        {
            "name": NAME,
            "version": "1.0",
            "profile": NAME,
            "models": {NAME: {RETIRED: {"+enabled": False}}, SIDE: {"+schema": SIDE}},
            "on-run-start": ["select 1"],
            "flags": {
                "send_anonymous_usage_stats": False,
                # Blanks in names are as dbt took them up to 1.9.
                "require_resource_names_without_spaces": False,
            },
        }
    )
