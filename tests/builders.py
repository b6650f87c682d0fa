"""Nodes, plans and dbt targets for tests: each call names only what its test is about."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from goldsmith.engine.dbt.workspace import DbtTarget
from goldsmith.engine.sampling import Sampler
from goldsmith.plan.model import Plan, PlannedBuild, PlannedGate, PlannedNode

DBT = os.environ.get("DBT_FOR_TESTS", "")
"""The dbt command of tests that start dbt commands as tasks do, if it is not that of this environment."""


def planned_node(unique_id: str, **values: Any) -> PlannedNode:
    """A node of a plan, alone in its task.

    Args:
        unique_id: dbt's; its first part is the kind, its last one the name.
        values: Fields that differ from those of a view `silver.<name>` which waits for nothing.
    """
    kind, name = unique_id.split(".", maxsplit=1)[0], unique_id.rsplit(".", maxsplit=1)[-1]
    usual: dict[str, Any] = {
        "kind": kind,
        "name": name,
        "layer": (layer := values.get("layer", "silver")),
        "task_id": f"{layer}.{name}",
        "display_name": name,
        "label": name,
        "group": layer,
        "unit": "",
        "select": name,
        "build": "",
        "asset": "",
        "updated_by": "",
        "upstream": (),
        "file": "",
        "materialized": "view",
        "owner": "",
        "tags": (),
        "severity": "",
        "relation": "",
        "docs": "",
        "operator_kwargs": {},
    }
    return PlannedNode(unique_id=unique_id, **{**usual, **values})


def planned_build(name: str, **values: Any) -> PlannedBuild:
    """The build of a layer, and its comparison.

    Args:
        name: Of the layer; `all` for the one build of all layers.
        values: Fields that differ.
    """
    before = "" if name == "all" else f"{name}."
    usual: dict[str, Any] = {
        "task_id": f"{before}build",
        "reconcile_id": f"{before}reconcile",
        "upstream": (),
        "waits_for": "all_done",
    }
    return PlannedBuild(name=name, **{**usual, **values})


def planned_gate(layer: str, judged: Sequence[str] = (), **values: Any) -> PlannedGate:
    """The gate after a layer, which waits for what it judges.

    Args:
        layer: The layer.
        judged: Ids of the tasks that it judges.
        values: Fields that differ.
    """
    usual: dict[str, Any] = {
        "task_id": f"{layer}.gate",
        "upstream": tuple(judged),
        "judged": tuple(judged),
    }
    return PlannedGate(layer=layer, **{**usual, **values})


def plan_of(nodes: Sequence[PlannedNode], **values: Any) -> Plan:
    """The plan of the pipeline `shop` with these nodes.

    Args:
        nodes: In the order in which they stand in the plan; their layers are the plan's, in the order of appearance.
        values: Fields that differ from those of a plan without gates and builds.
    """
    usual: dict[str, Any] = {
        "pipeline": "shop",
        "manifest_checksum": "",
        "spec_checksum": "",
        "dbt_version": "1.12.0",
        "project_name": "shop",
        "layers": tuple(dict.fromkeys(node.layer for node in nodes)),
        "tasks": "test",
        "tasks_because": "",
        "gates": (),
        "builds": (),
        "not_run": (),
        "exposures": (),
    }
    return Plan(nodes=tuple(nodes), **{**usual, **values})


def dbt_target(project_dir: Path, **values: Any) -> DbtTarget:
    """How dbt runs in a project whose warehouse nobody asks, unless a connection is named."""
    usual: dict[str, Any] = {
        "dag_id": "shop",
        "profile_name": "shop",
        "target": "prod",
        "connection": "none",
        "profile_args": {},
        "dbt": DBT,
    }
    return DbtTarget(project_dir=project_dir, **{**usual, **values})


def no_samples() -> Sampler:
    """Takes no samples of failing rows, so that no warehouse is asked."""
    return Sampler(site=cast("Any", SimpleNamespace(failing_rows=0)), run_id="r1", task_id="build")
