"""The node that a deadline is about."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from goldsmith.errors import PlanError


def node_meant(name: str, nodes: Mapping[str, str]) -> str:
    """The unique id of the node that a deadline names.

    Args:
        name: A node's name, or its unique id where several have that name.
        nodes: Unique id to name, of the nodes that become tasks.

    Raises:
        PlanError: None has that name, or several have.
    """
    if name in nodes:
        return name
    found = [uid for uid, other in nodes.items() if other == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise PlanError(
            f"A deadline is about {name!r}, and {len(found)} nodes have that name.",
            hint=f"Write the unique id: {' or '.join(sorted(found))}",
        )
    near = get_close_matches(name, sorted(set(nodes.values())), n=3)
    raise PlanError(
        f"A deadline is about {name!r}, and the pipeline has no node of that name.",
        hint=f"Did you mean {' or '.join(near)}?" if near else "goldsmith plan lists them.",
    )
