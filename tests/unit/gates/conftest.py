from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from tests.builders import plan_of, planned_gate, planned_node

from goldsmith.gates.outcomes import LetPass
from goldsmith.gates.verdict import Case
from goldsmith.plan.graph import PlanGraph
from goldsmith.plan.model import PlannedNode
from goldsmith.spec.gate import Gate


def _node(task_id: str, name: str, upstream: tuple[str, ...], **more: Any) -> PlannedNode:
    layer, _, verb = task_id.split(".")
    kind = {"run": "model", "freshness": "source"}.get(verb, "test")
    usual = {"kind": kind, "severity": "error" if kind == "test" else "", "materialized": "", "select": ""}
    given = {"layer": layer, "task_id": task_id, "updated_by": task_id, "upstream": upstream}
    return planned_node(name, **{**usual, **given, **more})


@pytest.fixture
def graph() -> PlanGraph:
    """Two layers; a source feeds bronze, and task `bronze.m.run` holds a model with its test.

    sources.s -> bronze.a -> t_a1 (tag loose), t_a2, w_a (severity warn)    bronze.a -> silver.b -> silver.c
    bronze.m (m, t_m) -> silver.d
    """
    nodes = (
        _node("sources.s.freshness", "s", ()),
        _node("bronze.a.run", "a", ("sources.s.freshness",)),
        _node("bronze.a.t1", "t_a1", ("bronze.a.run",), tags=("loose",)),
        _node("bronze.a.t2", "t_a2", ("bronze.a.run",)),
        _node("bronze.a.w", "w_a", ("bronze.a.run",), severity="warn"),
        _node("bronze.m.run", "m", ()),
        _node("bronze.m.run", "t_m", (), kind="test"),
        _node("silver.b.run", "b", ("bronze.a.run", "bronze.gate")),
        _node("silver.c.run", "c", ("silver.b.run", "bronze.gate")),
        _node("silver.d.run", "d", ("bronze.m.run", "bronze.gate")),
    )
    layers = ("bronze", "silver")
    judged = {layer: sorted({one.task_id for one in nodes if one.layer == layer}) for layer in layers}
    gates = tuple(planned_gate(layer, tasks) for layer, tasks in judged.items())
    return PlanGraph(plan_of(nodes, layers=layers, gates=gates))


@pytest.fixture
def case(graph: PlanGraph) -> Callable[..., Case]:
    """Make a case of a layer: all tasks are green but those that are named by state."""

    def make(
        layer: str = "bronze",
        *,
        limits: Mapping[str, Any] | None = None,
        failed: tuple[str, ...] = (),
        held: tuple[str, ...] = (),
        other: Mapping[str, str | None] | None = None,
        statuses: Mapping[str, str] | None = None,
        before: LetPass | None = None,
        skips_stale: bool = False,
    ) -> Case:
        states: dict[str, str | None] = dict.fromkeys(graph.tasks, "success")
        states |= dict.fromkeys(failed, "failed") | dict.fromkeys(held, "upstream_failed") | dict(other or {})
        return Case(
            gate=next(gate for gate in graph.plan.gates if gate.layer == layer),
            limits=Gate.model_validate(limits or {}),
            graph=graph,
            states=states,
            statuses=statuses or {},
            before=before or LetPass(),
            skips_stale=skips_stale,
        )

    return make
