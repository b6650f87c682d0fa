"""Markdown that stands on a task's page: what the node is, and what a person needs to know of it."""

from __future__ import annotations

from goldsmith.dbt.node import Column, Node


def node_docs(node: Node) -> str:
    """Description, relation, owner, tags, file and columns of a node, in Markdown."""
    facts = {
        "dbt node": f"`{node.unique_id}`",
        "relation": f"`{node.relation}`" if node.relation and node.kind != "test" else "",
        "materialized": node.materialized if node.kind in ("model", "snapshot") else "",
        "severity": node.severity,
        "owner": node.owner,
        "tags": ", ".join(node.tags),
        "file": f"`{node.file}`",
    }
    parts = [
        node.description.strip(),
        "\n".join(f"- {key}: {value}" for key, value in facts.items() if value),
    ]
    if node.columns:
        parts.append(
            "\n".join(["| column | type | description |", "|---|---|---|", *map(_row, node.columns)])
        )
    return "\n\n".join(part for part in parts if part)


def _row(column: Column) -> str:
    description = " ".join(column.description.split()).replace("|", "\\|")
    return f"| {column.name} | {column.type} | {description} |"
