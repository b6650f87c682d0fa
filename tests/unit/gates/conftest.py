from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from goldsmith.gates.outcomes import LetPass
from goldsmith.gates.verdict import Case
from goldsmith.plan.graph import PlanGraph
from goldsmith.plan.model import Plan, PlannedGate, PlannedNode
from goldsmith.spec.gate import Gate


def _node(task_id: str, name: str, upstream: tuple[str, ...], **more: Any) -> PlannedNode:
    layer, _, verb = task_id.split(".")
    kind = {"run": "model", "freshness": "source"}.get(verb, "test")
    values: dict[str, Any] = {
        **dict.fromkeys(("display_name", "label", "unit", "select", "build", "asset", "file"), ""),
        **dict.fromkeys(("materialized", "owner", "relation", "docs"), ""),
        "unique_id": name,
        "kind": kind,
        "name": name,
        "layer": layer,
        "task_id": task_id,
        "group": layer,
        "updated_by": task_id,
        "upstream": upstream,
        "tags": (),
        "severity": "error" if kind == "test" else "",
        "operator_kwargs": {},
    }
    return PlannedNode(**{**values, **more})


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
    gates = []
    for layer in ("bronze", "silver"):
        tasks = tuple(sorted({one.task_id for one in nodes if one.layer == layer}))
        gates.append(PlannedGate(layer=layer, task_id=f"{layer}.gate", upstream=tasks, judged=tasks))
    plan = Plan(
        pipeline="shop",
        manifest_checksum="",
        spec_checksum="",
        dbt_version="",
        project_name="shop",
        layers=("bronze", "silver"),
        tasks="test",
        tasks_because="",
        nodes=nodes,
        gates=tuple(gates),
        builds=(),
        not_run=(),
        exposures=(),
    )
    return PlanGraph(plan)


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
