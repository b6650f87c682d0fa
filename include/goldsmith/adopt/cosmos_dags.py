"""DAGs of Cosmos, read from their files without running them: what of their settings a pipeline's spec takes over."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goldsmith.adopt.literals import Made, NotLiteral, Values
from goldsmith.errors import SpecError
from goldsmith.spec.pipeline import Pipeline

_KINDS = ("DbtDag", "DbtTaskGroup")
_CONFIGS = ("project_config", "profile_config", "render_config", "execution_config")
_SILENT = frozenset(
    (
        *(
            "group_id",
            "project_name",
            "partial_parse",
            "load_method",
            "invocation_mode",
            "dag",
            "task_group",
        ),
        *(
            "dbt_ls_path",
            "group_nodes_by_folder",
            "normalize_task_id",
            "doc_md",
            "manifest_path",
            "profile_name",
        ),
        *(
            "models_relative_path",
            "seeds_relative_path",
            "snapshots_relative_path",
            "emit_datasets",
            "source_pruning",
        ),
        *("install_dbt_deps", "dbt_deps", "copy_dbt_packages", "install_deps", "enable_mock_profile"),
        *(
            "ephemeral_models_as_empty_operator",
            "enable_owner_inheritance",
            "should_detach_multiple_parents_tests",
        ),
        "template_searchpath",
    )
)
"""What Goldsmith does by itself, or needs no word for."""
_SAME = {
    **{key: key for key in ("catchup", "max_active_runs", "tags", "description", "select")},
    "target_name": "target",
    "dbt_vars": "vars",
}
"""Settings that are keys of a spec."""
_TAKEN = {
    "dag_id": "_take_id",
    "dbt_project_path": "_take_project",
    "start_date": "_take_start",
    "schedule": "_take_schedule",
    "schedule_interval": "_take_schedule",
    "default_args": "_take_defaults",
    "profile_mapping": "_take_mapping",
    "profiles_yml_filepath": "_take_profiles",
    "selector": "_take_selector",
    "exclude": "_take_exclude",
    "execution_mode": "_take_mode",
    "test_behavior": "_take_tests",
    "operator_args": "_take_arguments",
}
"""Settings that become something else, to the method that says what."""
_ADAPTERS = {
    **{
        name.capitalize(): name
        for name in ("postgres", "redshift", "snowflake", "databricks", "trino", "spark")
    },
    "GoogleCloud": "bigquery",
    "DuckDB": "duckdb",
    "StandardSQLServer": "sqlserver",
}
"""Start of the name of Cosmos's profile mapping to the type of the dbt adapter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CosmosDag:
    """One DbtDag or DbtTaskGroup."""

    file: Path
    line: int
    kind: str
    dag_id: str
    """Empty if it is computed."""
    project: Path | None
    """The dbt project; None if it is computed or not there."""
    keys: Mapping[str, Any] = field(default_factory=dict)
    """Of a pipeline's spec, as they follow; `connection` among them."""
    adapter: str = ""
    """Type of the dbt adapter that the profile mapping is for; empty if there is none."""
    not_taken: tuple[str, ...] = ()
    """Settings that a person has to look at."""
    not_literal: tuple[str, ...] = ()
    """Settings whose values are computed, each with its line."""


def read_cosmos_dags(folder: Path) -> tuple[CosmosDag, ...]:
    """The DAGs of Cosmos in a folder; a file that cannot be read has none.

    Args:
        folder: Of DAG files.
    """
    found: list[CosmosDag] = []
    for file in sorted(folder.rglob("*.py")):
        try:
            text = file.read_text(encoding="utf-8")
            tree = ast.parse(text) if "cosmos" in text else None
        except (OSError, UnicodeDecodeError, SyntaxError, ValueError, RecursionError):
            continue
        if tree:
            values = Values(tree, file.resolve())
            found += [
                _Reading(call, values, _outer(call, tree, values)).dag(file, kind)
                for call, kind in _calls(tree, values)
            ]
    return tuple(found)


def _calls(tree: ast.Module, values: Values) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = values.name_of(node.func)
            if name.partition(".")[0] == "cosmos" and name.rpartition(".")[2] in _KINDS:
                yield node, name.rpartition(".")[2]


def _outer(call: ast.Call, tree: ast.Module, values: Values) -> list[ast.keyword]:
    """The arguments of the DAG around a task group: of `with DAG(...)`, or of `@dag(...)`."""
    for node in ast.walk(tree):
        own: list[ast.keyword] = []
        made: list[ast.expr] = []
        if isinstance(node, ast.With):
            made = [one.context_expr for one in node.items]
        elif isinstance(node, ast.FunctionDef):
            made = list(node.decorator_list)
            own = [ast.keyword(arg="dag_id", value=ast.Constant(node.name))]
        for one in made:
            is_dag = isinstance(one, ast.Call) and values.name_of(one.func).rpartition(".")[2] in (
                "DAG",
                "dag",
            )
            if is_dag and isinstance(one, ast.Call) and any(inner is call for inner in ast.walk(node)):
                first = [ast.keyword(arg="dag_id", value=place) for place in one.args[:1]]
                return [*own, *first, *one.keywords]
    return []


class _Reading:
    """Reads the settings of one call.

    Args:
        call: Of DbtDag or DbtTaskGroup.
        values: Of its file.
        outer: Arguments of the DAG around it.
    """

    def __init__(self, call: ast.Call, values: Values, outer: list[ast.keyword]) -> None:
        self._call, self._values, self._outer = call, values, outer
        self._keys: dict[str, Any] = {}
        self._not_taken: list[str] = []
        self._not_literal: list[str] = []
        self._project: Any = None
        self._dag_id = self._adapter = ""

    def dag(self, file: Path, kind: str) -> CosmosDag:
        """The DAG with everything that was read."""
        for one in (*self._outer, *self._call.keywords):
            if one.arg is None:
                self._not_literal.append(f"**{ast.unparse(one.value)} (line {self._call.lineno})")
            elif one.arg in _CONFIGS:
                self._config(one.arg, one.value)
            else:
                self._setting(one.arg, one.value)
        return CosmosDag(
            file=file,
            line=self._call.lineno,
            kind=kind,
            dag_id=self._dag_id,
            project=self._found(self._project),
            keys=self._valid(),
            adapter=self._adapter,
            not_taken=tuple(dict.fromkeys(self._not_taken)),
            not_literal=tuple(dict.fromkeys(self._not_literal)),
        )

    def _valid(self) -> dict[str, Any]:
        """The keys that a spec takes; what it does not is said."""
        found: dict[str, Any] = {}
        for key, value in self._keys.items():
            try:
                Pipeline.parse({"name": "x", key: value})
                found[key] = value
            except SpecError as error:
                self._not_taken.append(f"{key}: {error.message.splitlines()[-1].strip()}")
        return found

    @staticmethod
    def _found(path: Any) -> Path | None:
        return Path(path).resolve() if isinstance(path, str | Path) and Path(path).is_dir() else None

    def _config(self, name: str, node: ast.expr) -> None:
        try:
            made = self._values.of(node)
        except NotLiteral:
            made = None
        if not isinstance(made, Made):
            self._not_literal.append(f"{name} (line {node.lineno})")
            return
        if made.places and name == "project_config":
            self._setting("dbt_project_path", made.places[0])
        for argument, value in made.arguments.items():
            self._setting(argument, value)

    def _setting(self, name: str, node: ast.expr) -> None:
        try:
            value = self._values.of(node)
            if name in _SAME:
                self._key(_SAME[name], value)
            elif name in _TAKEN:
                getattr(self, _TAKEN[name])(value)
            elif name not in _SILENT and value not in (None, False, {}, []):
                self._not_taken.append(f"{name}: docs/from-cosmos.md says what becomes of it")
        except NotLiteral:
            if name not in _SILENT:
                line = getattr(node, "lineno", self._call.lineno)
                self._not_literal.append(f"{name} (line {line})")

    def _key(self, key: str, value: Any) -> None:
        if not _is_plain(value):
            raise NotLiteral
        if value is not None:
            self._keys[key] = value

    def _take_id(self, value: Any) -> None:
        if not isinstance(value, str):
            raise NotLiteral
        self._dag_id = value

    def _take_project(self, value: Any) -> None:
        self._project = value

    def _take_schedule(self, value: Any) -> None:
        if isinstance(value, str | None):
            self._keys["schedule"] = None if value == "None" else value
        else:
            self._not_taken.append("schedule: write `schedule`, or `after` for assets, into the spec")

    def _take_start(self, value: Any) -> None:
        numbers = [self._values.of(one) for one in value.places] if isinstance(value, Made) else []
        if len(numbers) >= 3 and all(isinstance(one, int) for one in numbers[:3]):
            self._keys["start_date"] = "{:04}-{:02}-{:02}".format(*numbers[:3])
        else:
            raise NotLiteral

    def _take_defaults(self, value: Any) -> None:
        if not isinstance(value, Mapping):
            raise NotLiteral
        self._key("owner", value.get("owner"))
        if isinstance(value.get("retries"), int):
            self._keys["retries"] = {"models": value["retries"]}
        left = sorted(str(key) for key in value if key not in ("owner", "retries", "depends_on_past"))
        if left:
            self._not_taken.append(f"default_args: {', '.join(left)}")

    def _take_mapping(self, value: Any) -> None:
        if not isinstance(value, Made):
            raise NotLiteral
        self._key("connection", self._values.of(value.arguments.get("conn_id")))
        kind = value.name.rpartition(".")[2]
        self._adapter = next((adapter for start, adapter in _ADAPTERS.items() if kind.startswith(start)), "")
        args = self._values.of(value.arguments.get("profile_args")) or {}
        plain = {key: args[key] for key in ("schema", "threads") if key in args}
        extra = {key: one for key, one in args.items() if key not in plain}
        if plain or extra:
            self._keys["profile"] = {**plain, **({"extra": extra} if extra else {})}

    def _take_profiles(self, value: Any) -> None:
        self._not_taken.append(f"profiles_yml_filepath: {value}; see `profile` in the spec")

    def _take_selector(self, value: Any) -> None:
        self._key("select", f"selector:{value}" if value else None)

    def _take_exclude(self, value: Any) -> None:
        if value:
            self._keys["exclude"] = ["package:elementary", *([value] if isinstance(value, str) else value)]

    def _take_mode(self, value: Any) -> None:
        mode = value.name.rpartition(".")[2] if isinstance(value, Made) else str(value)
        if mode.lower() not in ("local", "watcher"):
            self._not_taken.append(
                f"execution_mode {mode}: dbt runs in Airflow's tasks, see docs/from-cosmos.md"
            )

    def _take_tests(self, value: Any) -> None:
        if (value.name if isinstance(value, Made) else str(value)).rpartition(".")[2].lower() == "none":
            self._keys["exclude_resource_types"] = ["test", "unit_test"]

    def _take_arguments(self, value: Any) -> None:
        if not isinstance(value, Mapping):
            raise NotLiteral
        self._key("vars", value.get("vars"))
        for key in value:
            if key not in ("vars", "install_deps", "dbt_executable_path"):
                self._not_taken.append(f"operator_args: {key}")


def _is_plain(value: Any) -> bool:
    """Whether YAML can hold a value: what a call makes it cannot."""
    if isinstance(value, dict):
        return all(_is_plain(one) for pair in value.items() for one in pair)
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, str | int | float)
