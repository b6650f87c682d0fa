"""Values in a Python file that can be read without running it: literals, paths and names of them."""

from __future__ import annotations

import ast
import os.path
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class NotLiteral(Exception):  # noqa: N818 - a word about the file, not an error
    """A value is computed when the file runs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """What a call makes: a configuration of Cosmos, a moment, a member of an enumeration."""

    name: str
    """Full name of what is called, or of the member."""
    arguments: Mapping[str, ast.expr]
    """Its named arguments, unread."""
    places: tuple[ast.expr, ...] = ()
    """Its other arguments, unread."""


class Values:
    """The values of a file.

    Args:
        tree: The parsed file.
        file: Where it is.
    """

    def __init__(self, tree: ast.Module, file: Path) -> None:
        self._file = file
        self._imported = dict(_imports(tree))
        found: dict[str, ast.expr] = {}
        times: Counter[str] = Counter()
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                    if isinstance(target, ast.Name):
                        times[target.id] += 1
                        found[target.id] = node.value
        # What is assigned twice has the value of the moment.
        self._names = {name: value for name, value in found.items() if times[name] == 1}

    def name_of(self, node: ast.expr) -> str:
        """The full name of what a node names, such as `cosmos.DbtDag`; empty if it names nothing."""
        if isinstance(node, ast.Name):
            return self._imported.get(node.id, node.id)
        if isinstance(node, ast.Attribute) and (before := self.name_of(node.value)):
            return f"{before}.{node.attr}"
        return ""

    def of(self, node: ast.expr | None) -> Any:
        """The value of an expression.

        Raises:
            NotLiteral: It is computed.
        """
        if node is None or isinstance(node, ast.Constant):
            return node.value if node else None
        reads = {
            **dict.fromkeys((ast.List, ast.Tuple, ast.Set), self._list),
            ast.Dict: self._dict,
            ast.Name: self._name,
            ast.JoinedStr: self._text,
            ast.BinOp: self._joined,
            ast.Attribute: self._attribute,
            ast.Call: self._call,
            ast.Subscript: self._item,
        }
        read: Any = reads.get(type(node))
        if read is None:
            raise NotLiteral
        return read(node)

    def _list(self, node: Any) -> list[Any]:
        return [self.of(one) for one in node.elts]

    def _dict(self, node: ast.Dict) -> dict[Any, Any]:
        if None in node.keys:  # {**others}
            raise NotLiteral
        return {self.of(key): self.of(value) for key, value in zip(node.keys, node.values, strict=True)}

    def _name(self, node: ast.Name) -> Any:
        if node.id == "__file__":
            return self._file
        if node.id in self._names:
            value = self._names.pop(
                node.id
            )  # while it is read: a name that leads back to itself has no value
            try:
                return self.of(value)
            finally:
                self._names[node.id] = value
        if node.id in self._imported:
            return Made(name=self._imported[node.id], arguments={})
        raise NotLiteral

    def _text(self, node: ast.JoinedStr) -> str:
        parts = [one.value if isinstance(one, ast.FormattedValue) else one for one in node.values]
        return "".join(str(self.of(one)) for one in parts)

    def _joined(self, node: ast.BinOp) -> Any:
        left, right = self.of(node.left), self.of(node.right)
        if isinstance(node.op, ast.Div) and isinstance(left, Path) and isinstance(right, str | Path):
            return left / right
        if isinstance(node.op, ast.Add) and isinstance(left, str) and isinstance(right, str):
            return left + right
        raise NotLiteral

    def _attribute(self, node: ast.Attribute) -> Any:
        name = self.name_of(node)
        if name and name.partition(".")[0] not in self._names and node.attr not in ("parent", "parents"):
            return Made(name=name, arguments={})
        value = self.of(node.value)
        if isinstance(value, Path) and node.attr in ("parent", "parents"):
            return value.parent if node.attr == "parent" else list(value.parents)
        raise NotLiteral

    def _item(self, node: ast.Subscript) -> Any:
        value, index = self.of(node.value), self.of(node.slice)
        try:
            return value[index]
        except (TypeError, LookupError) as error:
            raise NotLiteral from error

    def _call(self, node: ast.Call) -> Any:
        name = self.name_of(node.func)
        places = [self.of(one) for one in node.args] if name in _PLAIN or not name else []
        if name in _PLAIN and all(isinstance(one, str | Path) for one in places):
            return _PLAIN[name](*places)
        if name in ("os.getenv", "os.environ.get") and len(node.args) == 2:
            return self.of(node.args[1])
        if isinstance(node.func, ast.Attribute) and node.func.attr in (
            "resolve",
            "absolute",
            "as_posix",
            "joinpath",
        ):
            value = self.of(node.func.value)
            if isinstance(value, Path):
                more = [self.of(one) for one in node.args]
                return str(value) if node.func.attr == "as_posix" else value.joinpath(*more)
        if (
            not name
            or any(one.arg is None for one in node.keywords)
            or name in ("os.getenv", "os.environ.get")
        ):
            raise NotLiteral
        return Made(
            name=name, arguments={str(one.arg): one.value for one in node.keywords}, places=tuple(node.args)
        )


_PLAIN: Mapping[str, Any] = {
    "pathlib.Path": Path,
    "str": str,
    "os.path.join": os.path.join,
    "os.path.dirname": os.path.dirname,
    "os.path.abspath": os.path.normpath,
    "os.path.realpath": os.path.normpath,
}


def _imports(tree: ast.Module) -> list[tuple[str, str]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                top = one.name.partition(".")[0]
                found.append((one.asname or top, one.name if one.asname else top))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found += [(one.asname or one.name, f"{node.module}.{one.name}") for one in node.names]
    return found
