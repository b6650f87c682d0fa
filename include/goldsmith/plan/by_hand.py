"""The dbt selection that a person types to run one node again by hand.

dbt has no selector for unique ids, so a selection may match other nodes too: two tests of one file may have one name.
Goldsmith's own commands do not use it; they select exactly (see `Workspace.command`).

`fqn:` matches an exact name or a prefix of it (dbt-core, `is_selected_node`), among the kinds the command runs. If that
matches a second node, `path:` narrows it to the file. A character that dbt or a shell would read as syntax is written
as `?`, which in both methods means any one character.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from goldsmith.dbt.node import Node

_SYNTAX = re.compile(r"[^\w./-]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """A dbt selection for one node."""

    text: str
    more: int
    """How many other nodes it matches."""


def selections(executable: Mapping[str, Node]) -> dict[str, Selection]:
    """Unique id to a dbt selection that matches that node, and as few others of its kind as possible.

    Args:
        executable: Unique id to node, of what becomes a task.
    """
    by_prefix: dict[tuple[str, str], list[str]] = defaultdict(list)
    by_length: dict[tuple[str, int], list[str]] = defaultdict(list)
    for uid, node in executable.items():
        parts = _flat(node).split(".")
        for end in range(1, len(parts) + 1):
            by_prefix[_command(node), ".".join(parts[:end])].append(uid)
        by_length[_command(node), len(_flat(node))].append(uid)

    def matched(node: Node, pattern: str) -> Iterable[str]:
        if pattern == _flat(node):
            return by_prefix[_command(node), pattern]
        near = by_length[_command(node), len(pattern)]
        return (uid for uid in near if fnmatchcase(_flat(executable[uid]), pattern))

    found = {}
    for uid, node in executable.items():
        pattern = _SYNTAX.sub("?", _flat(node))
        rivals = [executable[one] for one in matched(node, pattern) if one != uid]
        found[uid] = _selection(node, pattern, rivals)
    return found


def _selection(node: Node, pattern: str, rivals: list[Node]) -> Selection:
    if node.kind == "source":
        # dbt takes each dot for one between package, source and table.
        names = ".".join(_SYNTAX.sub("?", name).replace(".", "?") for name in node.fqn[-2:])
        return Selection(text=f"source:{node.package}.{names}", more=0)
    if not rivals:
        return Selection(text=f"fqn:{pattern}", more=0)
    return Selection(
        text=f"fqn:{pattern},path:{_SYNTAX.sub('?', node.file)}",
        more=sum(rival.file == node.file for rival in rivals),
    )


def _flat(node: Node) -> str:
    """dbt's path of a node as it compares it: a dot in a name counts as one between two names."""
    return ".".join(node.fqn)


def _command(node: Node) -> str:
    """`dbt test` runs unit tests too, so the two share one space of names."""
    return "test" if node.kind == "unit_test" else node.kind
