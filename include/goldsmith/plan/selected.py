"""What the manifest gives for one pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from goldsmith.dbt.node import Node


@dataclass(frozen=True, kw_only=True)
class Selected:
    """What the manifest gives for one pipeline: its nodes, and which of them each layer matches."""

    nodes: Mapping[str, Node]
    graph: Mapping[str, Node]
    """All nodes of the manifest, also those the pipeline leaves out."""
    layer_matches: Mapping[str, set[str]]
    exposures: tuple[Node, ...]
    manifest_checksum: str
    dbt_version: str
    adapter: str
    project_name: str
    elementary_schema: str = ""
    unknown_kinds: tuple[str, ...] = ()

    def without_freshness(self) -> Selected:
        """The same without freshness checks of sources."""
        return replace(self, nodes=_plain(self.nodes), graph=_plain(self.graph))


def _plain(nodes: Mapping[str, Node]) -> Mapping[str, Node]:
    return {uid: replace(node, has_freshness=False) for uid, node in nodes.items()}
