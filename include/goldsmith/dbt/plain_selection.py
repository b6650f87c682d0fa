"""The selections that are read from the manifest alone; what all others mean only dbt says.

Three methods with plain values: `path:` with a folder, `tag:` and `package:`. A test compares them with `dbt ls`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath

from goldsmith.dbt.node import Node
from goldsmith.kinds import TEST_KINDS

_PLAIN = re.compile(r"(?P<method>path|tag|package):(?P<value>[^\s,*?\[\]+@\\]+)")


def terms_of(selection: Iterable[str]) -> tuple[str, ...]:
    """The terms of a selection: dbt reads several from one text, with blanks between."""
    return tuple(term for text in selection for term in text.split())


def is_plain(selection: Iterable[str], project_dir: Path) -> bool:
    """Whether a selection can be read from the manifest."""
    return all(_is_plain(term, project_dir) for term in terms_of(selection))


def _is_plain(term: str, project_dir: Path) -> bool:
    match = _PLAIN.fullmatch(term)
    if not match:
        return False
    method, value = match["method"], match["value"]
    if method == "path":
        path = PurePosixPath(value)
        # A file may be one that describes nodes, which then match too.
        return not path.is_absolute() and ".." not in path.parts and not (project_dir / path).is_file()
    return not (method == "package" and value == "this")


def matched(selection: Iterable[str], nodes: Mapping[str, Node], project_dir: Path) -> set[str]:
    """Unique ids that a plain selection matches, with the tests of what it matches, as dbt has it.

    Args:
        selection: A plain one.
        nodes: All nodes of the project.
        project_dir: Its folder.
    """
    tests = [_predicate(term, project_dir) for term in terms_of(selection)]
    found = {uid for uid, node in nodes.items() if any(test(node) for test in tests)}
    return found | {
        uid for uid, node in nodes.items() if node.kind in TEST_KINDS and not found.isdisjoint(node.parents)
    }


def _predicate(term: str, project_dir: Path) -> Callable[[Node], bool]:
    method, _, value = term.partition(":")
    if method == "tag":
        return lambda node: value in node.tags
    if method == "package":
        return lambda node: node.package == value
    folder = PurePosixPath(value)
    # dbt looks for the folder on disk, in the root project, and compares the paths of nodes of all packages with it.
    is_there = (project_dir / folder).is_dir()
    return lambda node: is_there and folder in PurePosixPath(node.file).parents
