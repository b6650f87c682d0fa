"""The value of an expression, if it can be told without running it."""

from __future__ import annotations

import ast
import operator
import os.path
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any
from zoneinfo import ZoneInfo

from goldsmith.adopt.python_files import Computed, Found, Scope, meaning, origin

_DEEPEST = 60


@dataclass(frozen=True, slots=True)
class Named:
    """What only its name is known of, such as a member of an enum."""

    name: str
    """With dots."""

    @property
    def last(self) -> str:
        """The part after the last dot."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Asset:
    """An Airflow asset or dataset."""

    uri: str


@dataclass(frozen=True, slots=True)
class Cron:
    """A timetable of Airflow that is a cron expression."""

    expression: str
    zone: str


@dataclass(kw_only=True)
class Literals:
    """Evaluates expressions, and remembers the environment variables whose defaults it took."""

    variables: dict[str, str] = field(default_factory=dict)
    """Environment variable to the default that was taken."""
    _depth: int = 0

    def value(self, node: ast.expr, scope: Scope) -> Any:
        """The value of an expression.

        Raises:
            Computed: It can be told only by running it.
        """
        self._depth += 1
        try:
            if self._depth > _DEEPEST:
                raise Computed
            return self._value(node, scope)
        except (TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            raise Computed from error
        finally:
            self._depth -= 1

    def _value(self, node: ast.expr, scope: Scope) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        for kinds, evaluate in _EVALUATED:
            if isinstance(node, kinds):
                return evaluate(self, node, scope)
        raise Computed

    def _name(self, node: ast.Name, scope: Scope) -> Any:
        if node.id == "__file__":
            return scope.module.path
        found = meaning(Found(node=node, scope=scope))
        if isinstance(found, str):
            return _known(found)
        return self.value(found.node, found.scope)

    def _attribute(self, node: ast.Attribute, scope: Scope) -> Any:
        found = meaning(Found(node=node, scope=scope))
        if isinstance(found, str):
            return _known(found)
        if found.node is not node:
            return self.value(found.node, found.scope)
        of = self.value(node.value, scope)
        if isinstance(of, Path) and node.attr in ("parent", "parents", "name", "stem"):
            return getattr(of, node.attr)
        raise Computed

    def _text(self, node: ast.JoinedStr, scope: Scope) -> str:
        parts = [self.value(part, scope) for part in node.values]
        return "".join(str(part) for part in parts)

    def _formatted(self, node: ast.FormattedValue, scope: Scope) -> str:
        value = self.value(node.value, scope)
        if node.format_spec is not None or not isinstance(value, str | int | Path):
            raise Computed
        return str(value)

    def _sequence(self, node: ast.List | ast.Tuple | ast.Set, scope: Scope) -> list[Any]:
        found: list[Any] = []
        for one in node.elts:
            if isinstance(one, ast.Starred):
                found += self.value(one.value, scope)
            else:
                found.append(self.value(one, scope))
        return found

    def _mapping(self, node: ast.Dict, scope: Scope) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            if key is None:
                found |= self.value(value, scope)
            else:
                found[self.value(key, scope)] = self.value(value, scope)
        return found

    def _operation(self, node: ast.BinOp, scope: Scope) -> Any:
        if type(node.op) not in _OPERATIONS:
            raise Computed
        left, right = self.value(node.left, scope), self.value(node.right, scope)
        _refuse_unknown(left, right)
        return _OPERATIONS[type(node.op)](left, right)

    def _minus(self, node: ast.UnaryOp, scope: Scope) -> Any:
        if not isinstance(node.op, ast.USub | ast.Not):
            raise Computed
        value = self.value(node.operand, scope)
        return -value if isinstance(node.op, ast.USub) else not value

    def _item(self, node: ast.Subscript, scope: Scope) -> Any:
        of = self.value(node.value, scope)
        if isinstance(of, Named | str):
            raise Computed  # os.environ[...]
        return of[self.value(node.slice, scope)]

    def _call(self, node: ast.Call, scope: Scope) -> Any:
        name = origin(node.func, scope)
        if name in ("os.environ.get", "os.getenv"):
            return self._variable(node, scope)
        if any(keyword.arg is None for keyword in node.keywords):
            raise Computed
        given = self._sequence(ast.List(elts=node.args), scope)
        named = {str(one.arg): self.value(one.value, scope) for one in node.keywords}
        _refuse_unknown(*(one for one in (*given, *named.values()) if not isinstance(one, Named)))
        known = _CALLS.get(name) or _CALLS.get(name.rpartition(".")[2] if name.startswith("airflow.") else "")
        if known is not None:
            return known(*given, **named)
        if isinstance(node.func, ast.Attribute) and node.func.attr in _OF_PATHS:
            path = self.value(node.func.value, scope)
            if isinstance(path, Path):
                return _OF_PATHS[node.func.attr](path, *given)
        raise Computed

    def _variable(self, node: ast.Call, scope: Scope) -> Any:
        name, *default = [self.value(one, scope) for one in node.args]
        default += [self.value(one.value, scope) for one in node.keywords if one.arg == "default"]
        if len(default) != 1 or default[0] is None:
            raise Computed
        self.variables[name] = str(default[0])
        return default[0]


def _known(name: str) -> Any:
    if "." not in name:
        raise Computed  # bound nowhere
    return _ZONES.get(name) or Named(name)


def _times(left: Any, right: Any) -> Any:
    if isinstance(left, str | list) or isinstance(right, str | list):
        raise Computed  # it may fill the memory
    return left * right


def _refuse_unknown(*values: Any) -> None:
    if any(isinstance(value, Named) for value in values):
        raise Computed


def _moment(*numbers: int, tz: Any = None, tzinfo: Any = None, **rest: int) -> datetime:
    zone = tz or tzinfo
    return datetime(*numbers, tzinfo=ZoneInfo(zone) if isinstance(zone, str) else zone, **rest)  # type: ignore[misc,arg-type]


def _moment_in_utc(*numbers: int, tz: Any = UTC, **rest: int) -> datetime:
    return _moment(*numbers, tz=tz, **rest)


def _asset(name: str = "", uri: str = "", **_: Any) -> Asset:
    return Asset(uri or name)


def _cron(cron: str, *, timezone: Any = "UTC", **_: Any) -> Cron:
    return Cron(cron, str(timezone))


def _pure(function: Callable[..., str]) -> Callable[..., str]:
    return lambda *parts: function(*(str(part) for part in parts))


_ZONES: Mapping[str, Any] = {
    "datetime.timezone.utc": UTC,
    "datetime.UTC": UTC,
    "pendulum.UTC": UTC,
}
_CALLS: Mapping[str, Callable[..., Any]] = {
    **dict.fromkeys(("pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath"), Path),
    "os.path.join": _pure(os.path.join),
    "os.path.dirname": _pure(os.path.dirname),
    "os.path.basename": _pure(os.path.basename),
    **dict.fromkeys(("os.path.abspath", "os.path.normpath", "os.path.realpath"), _pure(os.path.normpath)),
    "str": str,
    "int": int,
    "dict": dict,
    "list": list,
    "tuple": tuple,
    "datetime.timedelta": timedelta,
    "pendulum.duration": timedelta,
    "datetime.datetime": _moment,
    "datetime.date": date,
    "pendulum.datetime": _moment_in_utc,
    **dict.fromkeys(("pendulum.timezone", "zoneinfo.ZoneInfo", "pytz.timezone"), ZoneInfo),
    **dict.fromkeys(("Asset", "Dataset"), _asset),
    **dict.fromkeys(("CronTriggerTimetable", "CronDataIntervalTimetable"), _cron),
}
_OF_PATHS: Mapping[str, Callable[..., Any]] = {
    "resolve": lambda path: path,
    "absolute": lambda path: path,
    "expanduser": lambda path: path,
    "as_posix": str,
    "joinpath": Path.joinpath,
}
_OPERATIONS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: _times,
    ast.Div: operator.truediv,
    ast.BitOr: operator.or_,
}
_EVALUATED: tuple[tuple[Any, Callable[..., Any]], ...] = (
    (ast.Name, Literals._name),  # noqa: SLF001 - its own table
    (ast.Attribute, Literals._attribute),  # noqa: SLF001
    (ast.JoinedStr, Literals._text),  # noqa: SLF001
    (ast.FormattedValue, Literals._formatted),  # noqa: SLF001
    ((ast.List, ast.Tuple, ast.Set), Literals._sequence),  # noqa: SLF001
    (ast.Dict, Literals._mapping),  # noqa: SLF001
    (ast.BinOp, Literals._operation),  # noqa: SLF001
    (ast.UnaryOp, Literals._minus),  # noqa: SLF001
    (ast.Subscript, Literals._item),  # noqa: SLF001
    (ast.Call, Literals._call),  # noqa: SLF001
)


def below(path: Path, root: Path) -> list[Path]:
    """Where a path may be in a repository: paths of images, such as /usr/local/airflow/dbt, are cut from the left.

    Args:
        path: As it is written.
        root: The repository.
    """
    parts = [part for part in PurePosixPath(os.path.normpath(path)).parts if part != "/"]
    return [root.joinpath(*parts[start:]) for start in range(len(parts))]
