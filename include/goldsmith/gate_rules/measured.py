"""What limits on models in the warehouse share: which model is meant, and what is said of one that was not built."""

from __future__ import annotations

from collections.abc import Collection

from goldsmith.errors import PlanError
from goldsmith.gate_rules.base import (
    NOT_MEASURED,
    VERDICT_PASS,
    DescribedNode,
    Layer,
    Limit,
    RuleResult,
    percent,
)
from goldsmith.kinds import RELATIONS
from goldsmith.wording import did_you_mean


def model_meant(name: str, layer: Layer) -> DescribedNode:
    """The model of a layer that a limit names.

    Raises:
        PlanError: The pipeline has none of that name, it is in another layer, or there are several.
    """
    mine = [node for node in layer.members if node.kind in RELATIONS]
    here = [node for node in mine if node.name == name]
    others = {
        other: [node for node in nodes if node.kind in RELATIONS] for other, nodes in layer.elsewhere.items()
    }
    if not here and (home := next((one for one, nodes in others.items() if name in _names(nodes)), None)):
        raise PlanError(
            f"The gate of {layer.name} sets limits for {name}, which belongs to {home}.",
            hint=f"Move them to the gate of {home}; a gate measures its own layer.",
        )
    if not here:
        known = _names(mine) or [name for nodes in others.values() for name in _names(nodes)]
        raise PlanError(
            f"The gate of {layer.name} sets limits for {name!r}, and the pipeline has no model, seed or snapshot of "
            "that name.",
            hint=did_you_mean(name, known),
        )
    if len(here) > 1:
        ids = sorted(node.unique_id for node in here)
        raise PlanError(
            f"The gate of {layer.name} sets limits for {name}, and {' and '.join(ids)} have that name.",
            hint="Rename one of them.",
        )
    return here[0]


def share_judged(
    rule: str, share: float, limit: Limit, *, most: float, node: str, note: str = ""
) -> RuleResult:
    """The result of a limit on a share.

    Args:
        rule: Its name.
        share: What was measured: 0 to 1, or more of a change.
        limit: Says what is done if it is more than the most.
        most: What may be.
        node: Unique id of the model.
        note: Stands beside the value.
    """
    is_much = share > most
    return RuleResult(
        rule=rule,
        measured=share,
        allowed=f"at most {percent(most)}",
        outcome=limit.then if is_much else VERDICT_PASS,
        nodes=(node,) if is_much else (),
        is_share=True,
        note=note,
    )


def unknown(rule: str, allowed: str, *, note: str = "not built in this run") -> RuleResult:
    """The result of a limit for which nothing could be measured."""
    return RuleResult(rule=rule, measured=None, allowed=allowed, outcome=NOT_MEASURED, note=note)


def _names(nodes: Collection[DescribedNode]) -> list[str]:
    return [node.name for node in nodes]
