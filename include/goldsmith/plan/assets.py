"""Airflow's assets of a pipeline: the URI of each table and view, and the task that says when it was updated.

A mark emits nothing, and a task of a node ends before its layer is known to be good. So the gate after a layer updates
the assets of what was built with it; without gates the comparison after the build does. Where each node has a dbt
process of its own and there is no gate, the node's task does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from goldsmith.kinds import TEST_KINDS
from goldsmith.plan.model import PlannedBuild, PlannedGate
from goldsmith.spec.pipeline import Pipeline

_PART = re.compile(r'"((?:[^"]|"")*)"|`((?:[^`]|``)*)`|([^."`]+)')
_WITHOUT = (*TEST_KINDS, "source", "function")


def asset_uri(pipeline: Pipeline, kind: str, relation: str) -> str:
    """The URI of a node's asset; empty where it has none.

    Args:
        pipeline: The spec.
        kind: dbt's resource type.
        relation: dbt's quoted name of the relation.

    Example:
        >>> asset_uri(Pipeline(name="shop"), "model", '"warehouse"."silver"."orders"')
        'goldsmith://shop/silver/orders'
    """
    if not pipeline.asset_namespace or not relation or kind in _WITHOUT:
        return ""
    parts = [
        (double or "").replace('""', '"') or (back or "").replace("``", "`") or bare
        for double, back, bare in _PART.findall(relation)
    ]
    namespace = pipeline.asset_namespace.replace("{name}", pipeline.name).rstrip("/")
    return "/".join([namespace, *(quote(part, safe="") for part in parts[-2:])])


def updaters(
    gates: Iterable[PlannedGate], builds: Iterable[PlannedBuild], built_by: Mapping[str, str]
) -> dict[str, str]:
    """Id of a node's task to the id of the task that updates its asset, where that is another one.

    Args:
        gates: The gates.
        builds: The builds.
        built_by: Id of a node's task to that of its build.
    """
    compared_by = {build.task_id: build.reconcile_id for build in builds}
    found = {task_id: compared_by[build] for task_id, build in built_by.items() if build in compared_by}
    return found | {task_id: gate.task_id for gate in gates for task_id in gate.upstream}
