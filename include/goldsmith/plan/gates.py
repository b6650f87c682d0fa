"""Whether the limits of the gates are about something that the layers have."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from goldsmith.dbt.node import TEST_KINDS, Node
from goldsmith.errors import PlanError
from goldsmith.spec.gate import Gate
from goldsmith.spec.pipeline import Pipeline
from goldsmith.wording import did_you_mean

_BUILT = ("model", "seed", "snapshot")


def check_gates(pipeline: Pipeline, executable: Mapping[str, Node], layers: Mapping[str, str]) -> None:
    """Refuse limits that could never be reached: a layer without nodes, an unknown model, column or tag.

    Args:
        pipeline: The spec.
        executable: Unique id to node, of the nodes that run.
        layers: Unique id to layer.

    Raises:
        PlanError: With the nearest names.
    """
    for layer, gate in pipeline.gates.items():
        members = [node for uid, node in executable.items() if layers[uid] == layer]
        if not members:
            raise PlanError(
                f"`gates` sets limits for {layer}, and no node of the pipeline belongs to that layer.",
                hint="Take them away, or fix the layer's selection: goldsmith plan",
            )
        for model in sorted(gate.measured):
            _check_model(model, layer, gate, executable, layers)
        _check_tags(layer, gate, members, [node for node in executable.values() if node.kind == "source"])


def _check_model(
    model: str, layer: str, gate: Gate, executable: Mapping[str, Node], layers: Mapping[str, str]
) -> None:
    where = f"The gate of {layer}"
    built = {uid: node for uid, node in executable.items() if node.kind in _BUILT}
    found = [uid for uid, node in built.items() if node.name == model]
    here = [uid for uid in found if layers[uid] == layer]
    if not found:
        mine = sorted(node.name for uid, node in built.items() if layers[uid] == layer)
        raise PlanError(
            f"{where} sets limits for {model!r}, and the pipeline has no model, seed or snapshot of that name.",
            hint=did_you_mean(model, mine or sorted(node.name for node in built.values())),
        )
    if not here:
        raise PlanError(
            f"{where} sets limits for {model}, which belongs to {layers[found[0]]}.",
            hint=f"Move them to the gate of {layers[found[0]]}; a gate measures its own layer.",
        )
    if len(here) > 1:
        raise PlanError(
            f"{where} sets limits for {model}, and {' and '.join(sorted(here))} have that name.",
            hint="Rename one of them.",
        )
    known = {column.name for column in built[here[0]].columns}
    for column in sorted(set(gate.nulls.get(model, ())) - known) if known else ():
        raise PlanError(
            f"{where} sets a limit for nulls in {model}.{column}, and the project describes no such column of {model}.",
            hint=f"{did_you_mean(column, sorted(known))} A new column? Describe it in the model's YAML.",
        )


def _check_tags(layer: str, gate: Gate, members: Collection[Node], sources: Collection[Node]) -> None:
    about = {
        "failed_tests": [node for node in members if node.kind in TEST_KINDS],
        "warned_tests": [node for node in members if node.kind in TEST_KINDS],
        "failed_models": [node for node in members if node.kind in (*_BUILT, "function")],
        "stale_sources": list(sources),
    }
    for key, limits in gate.counted.items():
        known = sorted({tag for node in about[key] for tag in node.tags})
        for limit in limits:
            if limit.tag and limit.tag not in known:
                what = key.partition("_")[2]
                raise PlanError(
                    f"The gate of {layer} sets `{key}` for the tag {limit.tag!r}, which none of its {what} has.",
                    hint=did_you_mean(limit.tag, known) if known else f"None of its {what} has a tag.",
                )
