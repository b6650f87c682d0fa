"""The node that a deadline is about."""

from __future__ import annotations

from collections.abc import Mapping

from goldsmith.errors import PlanError
from goldsmith.wording import did_you_mean


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
    raise PlanError(
        f"A deadline is about {name!r}, and the pipeline has no node of that name.",
        hint=did_you_mean(name, nodes.values(), "goldsmith plan lists them."),
    )
