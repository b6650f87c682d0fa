"""The deadlines of a pipeline as Airflow's deadline alerts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import BaseDeadlineReference, DeadlineAlert, DeadlineReference

from goldsmith.dag.clock import TimeOfDay
from goldsmith.plan.deadlines import node_meant
from goldsmith.plan.model import Plan, PlannedNode
from goldsmith.spec.deadline import Deadline
from goldsmith.spec.pipeline import Pipeline

_MISSED = "goldsmith.notify.deadlines.missed"


def deadline_alerts(plan: Plan, spec: Pipeline, environment: str) -> list[DeadlineAlert]:
    """One alert for each deadline.

    Airflow knows deadlines of runs alone: those of nodes look, when their moment has come, whether the node is done.

    Args:
        plan: The plan.
        spec: The pipeline.
        environment: What the environment is called, for alerts.

    Raises:
        PlanError: A deadline is about a node that is not there.
    """
    names = {node.unique_id: node.name for node in plan.nodes}
    nodes = {node.unique_id: node for node in plan.nodes}
    # Airflow keeps it with the deadline, as JSON: what is told then was written when the run began.
    alerts = (
        {"alerts": spec.alerts.model_dump(mode="json"), "environment": environment} if spec.alerts else {}
    )
    return [
        _alert(deadline, nodes[node_meant(deadline.node, names)] if deadline.node else None, alerts)
        for deadline in spec.deadlines
    ]


def _alert(deadline: Deadline, node: PlannedNode | None, alerts: Mapping[str, Any]) -> DeadlineAlert:
    reference: BaseDeadlineReference
    if deadline.by is not None:
        reference = TimeOfDay(clock=f"{deadline.by:%H:%M}", timezone=deadline.timezone)
    else:
        reference = DeadlineReference.DAGRUN_QUEUED_AT
    return DeadlineAlert(
        reference=reference,
        interval=deadline.within or timedelta(),
        callback=AsyncCallback(_MISSED, kwargs={"deadline": deadline.text, **_about(node), **alerts}),
        name=deadline.text,
    )


def _about(node: PlannedNode | None) -> dict[str, Any]:
    """Which node it is, and what leads an alert to the right person."""
    if node is None:
        return {"task_id": ""}
    ways = {"layer": node.layer, "owner": node.owner, "group": node.dbt_group, "tags": list(node.tags)}
    return {"task_id": node.task_id, "node": {"name": node.name, **ways}}
