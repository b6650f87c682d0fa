"""Markdown that stands on a task's page: what the node is, and what a person needs to know of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from goldsmith.dbt.node import Column, Node
from goldsmith.kinds import TEST_KINDS
from goldsmith.plan.by_hand import Selection
from goldsmith.plan.markdown import code, plain, prose
from goldsmith.plan.model import dbt_command_line
from goldsmith.wording import some

_NAMED = 20


def nodes_docs(
    executable: Mapping[str, Node], nodes: Mapping[str, Node], selects: Mapping[str, Selection]
) -> dict[str, str]:
    """Unique id to the documentation of a node.

    Args:
        executable: Unique id to node, of those that are tasks.
        nodes: All nodes of the pipeline, what is tested and read among them.
        selects: Unique id to the dbt selection of that node alone.
    """
    tests: dict[str, list[str]] = defaultdict(list)
    readers: dict[str, list[str]] = defaultdict(list)
    for node in nodes.values():
        for parent in node.parents:
            (tests if node.kind in TEST_KINDS else readers)[parent].append(node.name)
    return {
        uid: _node_docs(
            node,
            select=selects[uid],
            reads=[nodes[parent].name for parent in node.parents if parent in nodes],
            readers=sorted(readers.get(uid, ())),
            tests=sorted(tests.get(uid, ())),
        )
        for uid, node in executable.items()
    }


def _node_docs(
    node: Node, *, select: Selection, reads: Sequence[str], readers: Sequence[str], tests: Sequence[str]
) -> str:
    """Description, facts, the command that does the same on a laptop, and columns."""
    verb = "source freshness" if node.kind == "source" else "build"
    facts = {
        "dbt node": code(node.unique_id),
        "relation": code(node.relation) if node.relation and node.kind != "test" else "",
        "materialized": node.materialized if node.kind in ("model", "snapshot") else "",
        "severity": node.severity,
        "owner": plain(node.owner),
        "tags": plain(", ".join(node.tags)),
        "file": code(node.file),
        "reads": some([*map(plain, reads)], _NAMED),
        "read by": some([*map(plain, readers)], _NAMED),
        "tests": some([*map(plain, tests)], _NAMED),
        "on a laptop": code(dbt_command_line(verb, select.text, more=select.more)),
    }
    parts = [
        prose(node.description),
        "\n".join(f"- {key}: {value}" for key, value in facts.items() if value),
    ]
    if node.columns:
        parts.append(
            "\n".join(["| column | type | description |", "|---|---|---|", *map(_row, node.columns)])
        )
    return "\n\n".join(part for part in parts if part)


def _row(column: Column) -> str:
    description = prose(" ".join(column.description.split())).replace("|", "\\|")
    return f"| {plain(column.name)} | {plain(column.type)} | {description} |"
