"""Whether the limits of the gates are about something that the layers have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from goldsmith.dbt.node import Node
from goldsmith.errors import PlanError
from goldsmith.gate_rules.base import Layer
from goldsmith.spec.pipeline import Pipeline


def check_gates(pipeline: Pipeline, executable: Mapping[str, Node], layers: Mapping[str, str]) -> None:
    """Refuse limits that could never be reached: a layer without nodes, an unknown model, column or tag.

    Args:
        pipeline: The spec.
        executable: Unique id to node, of the nodes that run.
        layers: Unique id to layer.

    Raises:
        PlanError: With the nearest names.
    """
    members: dict[str, list[Node]] = defaultdict(list)
    for uid, node in executable.items():
        members[layers[uid]].append(node)
    sources = [node for node in executable.values() if node.kind == "source"]
    for layer, gate in pipeline.gates.items():
        if layer not in members:
            raise PlanError(
                f"`gates` sets limits for {layer}, and no node of the pipeline belongs to that layer.",
                hint="Take them away, or fix the layer's selection: goldsmith plan",
            )
        elsewhere = {other: nodes for other, nodes in members.items() if other != layer}
        gate.check(Layer(name=layer, members=members[layer], sources=sources, elsewhere=elsewhere))
