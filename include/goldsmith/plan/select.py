"""The dbt selection that matches one node alone; dbt has no selector for unique ids.

`fqn:` matches an exact name or a prefix of it (dbt-core, `QualifiedNameSelectorMethod`), among the kinds the
command runs. Where that would match a second node too, `path:` narrows it to the file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from goldsmith.dbt.node import Node
from goldsmith.errors import PlanError

_OPERATORS = set(" ,*?[]+@")
"""What dbt reads as part of the selection's syntax, not of a name."""


def selections(executable: Mapping[str, Node]) -> dict[str, str]:
    """Unique id to a dbt selection that matches that node and no other of its kind.

    Raises:
        PlanError: Two nodes of one file share a name, so that dbt cannot tell them apart.
    """
    by_prefix: dict[tuple[str, tuple[str, ...]], list[str]] = defaultdict(list)
    for uid, node in executable.items():
        for end in range(1, len(node.fqn) + 1):
            by_prefix[_command(node), node.fqn[:end]].append(uid)
    return {
        uid: _selection(node, by_prefix[_command(node), node.fqn], executable)
        for uid, node in executable.items()
    }


def _command(node: Node) -> str:
    """`dbt test` runs unit tests too, so the two share one space of names."""
    return "test" if node.kind == "unit_test" else node.kind


def _selection(node: Node, matched: list[str], executable: Mapping[str, Node]) -> str:
    if node.kind == "source":
        return f"source:{node.package}.{node.fqn[-2]}.{node.fqn[-1]}"
    fqn = f"fqn:{'.'.join(node.fqn)}"
    if set(fqn) & _OPERATORS:
        return _by_name(node, executable)
    rivals = [executable[uid] for uid in matched if uid != node.unique_id]
    if not rivals:
        return fqn
    for rival in rivals:
        if rival.file == node.file:
            raise PlanError(
                f"dbt cannot select {node.unique_id} alone: {rival.unique_id} in the same file has the same name.",
                hint=f"Give each of the two in {node.file} a name of its own (`name:` in the YAML).",
            )
    return f"{fqn},path:{node.file}"


def _by_name(node: Node, executable: Mapping[str, Node]) -> str:
    """A folder with a blank in its name cannot stand in a selection; the bare name can, where it is the only one."""
    name = node.fqn[-1]
    rivals = [
        other.unique_id
        for other in executable.values()
        if other.unique_id != node.unique_id
        and _command(other) == _command(node)
        and name in {*other.fqn[:2], other.fqn[-1]}
    ]
    if rivals or set(name) & _OPERATORS:
        raise PlanError(
            f"dbt cannot select {node.unique_id} alone: its name or a folder's holds a blank, comma or wildcard.",
            hint=f"Rename it in {node.file}.",
        )
    return f"fqn:{name}"
