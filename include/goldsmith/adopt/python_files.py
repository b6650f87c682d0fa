"""Python files of a repository, read and never executed: what a name stands for, also if another file defines it."""

from __future__ import annotations

import ast
import tokenize
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_OWN_SCOPE = (*_FUNCTIONS, ast.ClassDef)
_CHANGES = ("update", "append", "extend", "insert", "setdefault", "pop", "remove", "clear")
_MOST_BYTES = 2_000_000


class Computed(Exception):  # noqa: N818 - no error of the user's
    """What an expression gives is known only when Python runs it."""


@dataclass(kw_only=True, eq=False)
class Module:
    """A file, and the files that it may import."""

    path: Path
    tree: ast.Module
    files: PythonFiles

    @cached_property
    def scope(self) -> Scope:
        """The names of the file itself."""
        return Scope(module=self, body=self.tree.body)


@dataclass(kw_only=True, eq=False)
class Scope:
    """The names that a file, a function or a class binds."""

    module: Module
    body: Sequence[ast.AST]
    outer: Scope | None = None
    names: dict[str, ast.expr | None] = field(default_factory=dict)
    """Name to what it is; None if it is bound more than once, or by something that is no assignment."""
    origins: dict[str, str] = field(default_factory=dict)
    """Imported name to what it is called in its own module: `package.module.name`."""
    stars: list[str] = field(default_factory=list)
    """Modules of which all names are imported."""

    def __post_init__(self) -> None:
        for node in _without_inner(self.body):
            self._bind(node)

    def inner(self, node: ast.AST) -> Scope:
        """The scope of a function or class."""
        body = node.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) else ()
        found = Scope(module=self.module, body=body, outer=self)
        if isinstance(node, _FUNCTIONS):
            found.names |= dict.fromkeys(one.arg for one in ast.walk(node.args) if isinstance(one, ast.arg))
        return found

    def _bind(self, node: ast.AST) -> None:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                self._bind_target(target, node.value)
        elif isinstance(node, ast.AnnAssign):
            self._bind_target(node.target, node.value)
        elif isinstance(node, ast.withitem) and node.optional_vars is not None:
            self._bind_target(node.optional_vars, node.context_expr)
        elif isinstance(node, ast.AugAssign | ast.For | ast.AsyncFor | ast.comprehension | ast.NamedExpr):
            self._bind_target(node.target, None)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self.names[node.name] = None
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in _CHANGES:
                self._change(node.func.value)
        else:
            self._bind_import(node)

    def _bind_target(self, target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, ast.Name):
            self.names[target.id] = None if target.id in self.names else value
            return
        for one in ast.walk(target):
            if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store):
                self.names[one.id] = None
            elif isinstance(one, ast.Subscript):
                self._change(one.value)  # `arguments["x"] = 1`

    def _change(self, node: ast.expr) -> None:
        """A name no longer stands for what it was given."""
        if isinstance(node, ast.Name) and node.id in self.names:
            self.names[node.id] = None

    def _bind_import(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            for one in node.names:
                top = one.name.partition(".")[0]
                self.origins[one.asname or top] = one.name if one.asname else top
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for one in node.names:
                if one.name == "*":
                    self.stars.append(module)
                else:
                    self.origins[one.asname or one.name] = f"{module}:{one.name}"


@dataclass(kw_only=True)
class PythonFiles:
    """Reads files, each once.

    Args:
        roots: Folders from which files import each other, beside their own.
    """

    roots: tuple[Path, ...]
    _read: dict[Path, Module | None] = field(default_factory=dict)

    def module(self, path: Path) -> Module | None:
        """A file; none if it cannot be read, or is not Python."""
        path = path.resolve()
        if path not in self._read:
            tree = _tree(path)
            self._read[path] = Module(path=path, tree=tree, files=self) if tree else None
        return self._read[path]

    def imported(self, name: str, importer: Module) -> Module | None:
        """A module of the repository, by the name by which a file imports it; none if it is of somebody else."""
        level = len(name) - len(name.lstrip("."))
        parts = name.lstrip(".").split(".") if name.strip(".") else []
        above = importer.path.parents[level - 1 : level] if level else (importer.path.parent, *self.roots)
        for root in above:
            for path in (root.joinpath(*parts).with_suffix(".py"), root.joinpath(*parts, "__init__.py")):
                if parts and path.is_file():
                    return self.module(path)
        return None


@dataclass(frozen=True, kw_only=True)
class Found:
    """An expression, and where its names are to be looked up."""

    node: ast.expr
    scope: Scope

    @property
    def file(self) -> Path:
        """The file in which it is written."""
        return self.scope.module.path


def meaning(found: Found, depth: int = 0) -> Found | str:
    """What a name stands for: the expression that it was given, or for an imported one its origin with dots.

    Raises:
        Computed: It is bound more than once, by a loop, as a parameter, or nowhere.
    """
    node = found.node
    if depth > 20:
        raise Computed
    if isinstance(node, ast.Attribute):
        below = meaning(Found(node=node.value, scope=found.scope), depth + 1)
        return _member(below, node.attr, found, depth) if isinstance(below, str) else found
    if not isinstance(node, ast.Name):
        return found
    scope: Scope | None = found.scope
    while scope is not None:
        if node.id in scope.names:
            value = scope.names[node.id]
            if value is None:
                raise Computed
            return meaning(Found(node=value, scope=scope), depth + 1)
        if node.id in scope.origins:
            return _imported(scope.origins[node.id], scope, depth)
        if (star := _by_star(node.id, scope, depth)) is not None:
            return star
        scope = scope.outer
    return node.id


def _by_star(name: str, scope: Scope, depth: int) -> Found | str | None:
    for star in scope.stars:
        module = scope.module.files.imported(star, scope.module)
        if module is None:
            return f"{star}.{name}"
        if name in module.scope.names or name in module.scope.origins:
            return _imported(f"{star}:{name}", scope, depth)
    return None


def _imported(origin: str, scope: Scope, depth: int) -> Found | str:
    """What `from module import name` gives: followed into the repository's own files."""
    module_name, colon, name = origin.partition(":")
    module = scope.module.files.imported(module_name, scope.module) if colon else None
    if module is None:
        return f"{module_name}.{name}" if colon else module_name
    if name in module.scope.names or name in module.scope.origins:
        return meaning(Found(node=ast.Name(id=name, ctx=ast.Load()), scope=module.scope), depth + 1)
    return f"{module_name}.{name}"  # a module in a package


def _member(below: str, name: str, found: Found, depth: int) -> Found | str:
    """What `module.name` gives."""
    module = found.scope.module.files.imported(below, found.scope.module)
    if module is not None and (name in module.scope.names or name in module.scope.origins):
        return _imported(f"{below}:{name}", found.scope, depth)
    return f"{below}.{name}"


def origin(node: ast.expr, scope: Scope) -> str:
    """The full name of a class or function that is imported; empty if it is not."""
    try:
        found = meaning(Found(node=node, scope=scope))
    except Computed:
        return ""
    return found if isinstance(found, str) else ""


def _without_inner(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All nodes, without those inside of functions and classes."""
    for node in body:
        yield node
        if not isinstance(node, _OWN_SCOPE):
            yield from _without_inner(ast.iter_child_nodes(node))


def _tree(path: Path) -> ast.Module | None:
    try:
        if path.stat().st_size > _MOST_BYTES:
            return None
        with tokenize.open(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a string such as "\d", which is the user's
            return ast.parse(file.read())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None
