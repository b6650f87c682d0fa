"""DAGs of Cosmos in a folder of DAG files: what they are set to, read and never executed."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from goldsmith.adopt.literals import Literals, Named, below
from goldsmith.adopt.python_files import Computed, Found, PythonFiles, Scope, meaning, origin

SECRET = re.compile(
    r"pass$|password|passwd|passphrase|secret|token|private_key|api_?key|keyfile_json", re.IGNORECASE
)
"""In names of what may be a secret."""
HIDDEN = "***"
"""Stands for the value of a setting that may be a secret."""
_KINDS = ("DbtDag", "DbtTaskGroup")
_LOOPS = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_FIRST = {
    "DAG": ("dag_id", "description", "schedule"),
    "DbtDag": ("dag_id",),
    "DbtTaskGroup": ("group_id",),
    "ProjectConfig": ("dbt_project_path",),
    "ProfileConfig": ("profile_name", "target_name", "profiles_yml_filepath", "profile_mapping"),
    "profile_mapping": ("conn_id", "profile_args"),
}
_CONFIGS = {
    "project_config": "ProjectConfig",
    "profile_config": "ProfileConfig",
    "render_config": "RenderConfig",
    "execution_config": "ExecutionConfig",
    "profile_mapping": "profile_mapping",
}
_DICTS = {"operator_args": "operator_args", "default_args": "default_args", "profile_args": "profile_args"}
_GROUP_ONLY = ("group_id", "tooltip", "prefix_group_id", "parent_group", "ui_color", "ui_fgcolor")
_ELSEWHERE = ("DAG.dag", "DAG.task_group")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a setting is written."""

    file: Path
    line: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CosmosDag:
    """A `DbtDag`, or a `DbtTaskGroup` with the DAG around it."""

    file: Path
    line: int
    kind: str
    """`DbtDag` or `DbtTaskGroup`."""
    settings: Mapping[str, Any]
    """Setting to its value: `ProjectConfig.dbt_project_path`, `DAG.schedule`, `default_args.retries` and so on."""
    not_literal: Mapping[str, Place]
    """Setting whose value only running the file gives, to where it is written."""
    variables: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Environment variable that values depend on, to the default that was taken."""

    @property
    def dag_id(self) -> str:
        """Id of the Airflow DAG; empty if it is computed."""
        found = self.settings.get("DAG.dag_id")
        return found if isinstance(found, str) else ""

    @property
    def name(self) -> str:
        """What messages call it."""
        return self.dag_id or self.file.stem

    @property
    def project(self) -> Path | None:
        """Folder of the dbt project as it is written, which may be a path in an image; none if it is not known."""
        for config in ("ProjectConfig", "ExecutionConfig", "RenderConfig"):
            found = self.settings.get(f"{config}.dbt_project_path")
            if isinstance(found, str | Path):
                return Path(found)
        return None

    def runs(self, project: Path, root: Path) -> bool:
        """Whether it runs a dbt project.

        Args:
            project: Folder of the project.
            root: The repository, in which the DAG may name a path of Airflow's image.
        """
        if self.project is None:
            return False
        written = (self.project, self.file.parent / self.project, *below(self.project, root))
        return any(Path(os.path.normpath(path)) == project for path in written)


def read_cosmos_dags(folder: Path) -> tuple[CosmosDag, ...]:
    """Find the DAGs of Cosmos in a folder; a file that is no Python is passed over.

    Args:
        folder: The folder of DAG files. They may import from it and from the folder that holds it.
    """
    files = PythonFiles(roots=(folder.resolve(), folder.resolve().parent))
    return tuple(dag for path in _python_files(folder) for dag in _of_file(path, files))


def _python_files(folder: Path) -> Iterator[Path]:
    for place, names, files in os.walk(folder):
        names[:] = sorted(name for name in names if not name.startswith((".", "__")))
        yield from (Path(place, name) for name in sorted(files) if name.endswith(".py"))


def _of_file(path: Path, files: PythonFiles) -> Iterator[CosmosDag]:
    try:
        if b"cosmos" not in path.read_bytes().lower() or (module := files.module(path)) is None:
            return
    except OSError:
        return
    for call, scope, around in _calls(module.tree.body, module.scope, ()):
        kind = _kind(call, scope)
        if kind:
            yield _Reading(files).read(call, scope, kind, around)


def _kind(call: ast.Call, scope: Scope) -> str:
    name = origin(call.func, scope)
    last = name.rpartition(".")[2]
    return last if last in _KINDS and name.startswith("cosmos.") else ""


Around = tuple[tuple[ast.AST, Scope], ...]
"""What stands around a call, the outermost first, and where its names are to be looked up."""


def _calls(body: Any, scope: Scope, around: Around) -> Iterator[tuple[ast.Call, Scope, Around]]:
    """All calls, each in its scope."""
    for node in body:
        if isinstance(node, ast.Call):
            yield node, scope, around
        is_own = isinstance(node, (*_FUNCTIONS, ast.ClassDef, ast.Lambda))
        inner = scope.inner(node) if is_own else scope
        yield from _calls(ast.iter_child_nodes(node), inner, (*around, (node, scope)))


class _Reading:
    """Collects the settings of one DAG."""

    def __init__(self, files: PythonFiles) -> None:
        self.files = files
        self.literals = Literals()
        self.settings: dict[str, Any] = {}
        self.not_literal: dict[str, Place] = {}

    def read(self, call: ast.Call, scope: Scope, kind: str, around: Around) -> CosmosDag:
        """All settings of a `DbtDag` or `DbtTaskGroup`."""
        if kind == "DbtTaskGroup":
            self._read_dag_around(call, scope, around)
        self._arguments(call, scope, kind)
        if any(isinstance(node, _LOOPS) for node, _ in around):
            self.not_literal[f"{kind} (in a loop)"] = Place(scope.module.path, call.lineno)
        for setting in _ELSEWHERE:
            self.settings.pop(setting, None)
            self.not_literal.pop(setting, None)
        return CosmosDag(
            file=scope.module.path,
            line=call.lineno,
            kind=kind,
            settings=MappingProxyType(self.settings),
            not_literal=MappingProxyType(self.not_literal),
            variables=MappingProxyType(self.literals.variables),
        )

    def _read_dag_around(self, call: ast.Call, scope: Scope, around: Around) -> None:
        for dag, where, name in (*_by_argument(call, scope), *_dags_around(around)):
            if name:
                self.settings["DAG.dag_id"] = name
            if isinstance(dag, ast.Call):
                self._arguments(dag, where, "DAG")
            return
        self.not_literal["DAG (around the group)"] = Place(scope.module.path, call.lineno)

    def _arguments(self, call: ast.Call, scope: Scope, kind: str) -> None:
        """The arguments of a call; `kind` is what its settings are called by."""
        first = _FIRST.get(kind, ())
        for number, node in enumerate(call.args):
            if number < len(first) and not isinstance(node, ast.Starred):
                self._setting(kind, first[number], node, scope)
            else:
                self.not_literal[f"{kind} (argument {number + 1})"] = Place(scope.module.path, node.lineno)
        for keyword in call.keywords:
            if keyword.arg is None:
                self._splat(kind, keyword.value, scope)
            else:
                self._setting(kind, keyword.arg, keyword.value, scope)

    def _setting(self, kind: str, name: str, node: ast.expr, scope: Scope) -> None:
        if name in _CONFIGS:
            self._config(name, node, scope)
        elif name in _DICTS:
            self._dict(_DICTS[name], node, scope)
        else:
            self._value(_called(kind, name), node, scope)

    def _config(self, name: str, node: ast.expr, scope: Scope) -> None:
        """A config object, or a profile mapping."""
        try:
            found = meaning(Found(node=node, scope=scope))
        except Computed:
            found = ""
        call = None if isinstance(found, str) else _call_of(found)
        if isinstance(found, str) or call is None:
            self.not_literal[_CONFIGS[name]] = Place(scope.module.path, node.lineno)
            return
        if name == "profile_mapping":
            self.settings[name] = origin(call.func, found.scope).rpartition(".")[2]
        self._arguments(call, found.scope, _CONFIGS[name])

    def _dict(self, name: str, node: ast.expr, scope: Scope) -> None:
        """A dict, key by key: one that is computed does not hide the others."""
        try:
            found = meaning(Found(node=node, scope=scope))
        except Computed:
            found = ""
        if isinstance(found, Found) and isinstance(found.node, ast.Dict):
            for key, value in zip(found.node.keys, found.node.values, strict=True):
                if isinstance(key, ast.Constant):
                    self._value(f"{name}.{key.value!s}", value, found.scope)
                else:
                    self._splat(name, value, found.scope)
        elif isinstance(found, Found) and _is_dict_call(found):
            self._arguments(found.node, found.scope, name)  # type: ignore[arg-type]  # it is a call
        elif not (isinstance(node, ast.Constant) and node.value is None):
            self.not_literal[name] = Place(scope.module.path, node.lineno)

    def _splat(self, kind: str, node: ast.expr, scope: Scope) -> None:
        """`**arguments`."""
        try:
            found = meaning(Found(node=node, scope=scope))
        except Computed:
            found = ""
        if isinstance(found, Found) and isinstance(found.node, ast.Dict):
            for key, value in zip(found.node.keys, found.node.values, strict=True):
                if isinstance(key, ast.Constant):
                    self._setting(kind, str(key.value), value, found.scope)
                else:
                    self._splat(kind, value, found.scope)
        else:
            self.not_literal[f"{kind} (**)"] = Place(scope.module.path, node.lineno)

    def _value(self, setting: str, node: ast.expr, scope: Scope) -> None:
        self.not_literal.pop(setting, None)
        try:
            value = self.literals.value(node, scope)
            if isinstance(value, Named) and not value.name.startswith("cosmos."):
                raise Computed  # of a file that is not there
            self.settings[setting] = HIDDEN if SECRET.search(setting) else value
        except Computed:
            self.settings.pop(setting, None)
            self.not_literal[setting] = Place(scope.module.path, node.lineno)


def _called(kind: str, name: str) -> str:
    """The name of a setting: arguments of a DAG have the same, whoever makes the DAG."""
    if name == "on_warning_callback":
        return name
    if name == "schedule_interval":
        return "DAG.schedule"
    if kind == "DbtTaskGroup":
        return f"DbtTaskGroup.{name}" if name in _GROUP_ONLY else f"DAG.{name}"
    return f"{'DAG' if kind == 'DbtDag' else kind}.{name}"


def _call_of(found: Found) -> ast.Call | None:
    """The call of a class of Cosmos; none for what anybody else makes."""
    node = found.node
    is_cosmos = isinstance(node, ast.Call) and origin(node.func, found.scope).startswith("cosmos.")
    return node if is_cosmos and isinstance(node, ast.Call) else None


def _is_dict_call(found: Found) -> bool:
    node = found.node
    return isinstance(node, ast.Call) and not node.args and origin(node.func, found.scope) == "dict"


def _by_argument(call: ast.Call, scope: Scope) -> Iterator[tuple[ast.expr, Scope, str]]:
    """The DAG that `dag=` names."""
    for keyword in call.keywords:
        if keyword.arg == "dag":
            yield from _dag_of(keyword.value, scope)


def _dags_around(around: Around) -> Iterator[tuple[ast.expr, Scope, str]]:
    """`with DAG(...)`, `with dag`, `@dag` and `@dag(...)`, the innermost first; with the id that a function gives."""
    for node, scope in reversed(around):
        if isinstance(node, ast.With | ast.AsyncWith):
            for item in node.items:
                yield from _dag_of(item.context_expr, scope)
        elif isinstance(node, _FUNCTIONS):
            for decorator in node.decorator_list:
                function = decorator.func if isinstance(decorator, ast.Call) else decorator
                name = origin(function, scope)
                if name.startswith("airflow.") and name.endswith(".dag"):
                    yield decorator, scope, node.name


def _dag_of(node: ast.expr, scope: Scope) -> Iterator[tuple[ast.expr, Scope, str]]:
    try:
        found = meaning(Found(node=node, scope=scope))
    except Computed:
        return
    if isinstance(found, Found) and isinstance(found.node, ast.Call):
        name = origin(found.node.func, found.scope)
        if name.startswith("airflow.") and name.endswith(".DAG"):
            yield found.node, found.scope, ""
