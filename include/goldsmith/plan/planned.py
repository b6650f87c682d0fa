"""The planned nodes: what was worked out about each, put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from goldsmith.dbt.node import Node
from goldsmith.plan.assets import asset_uri
from goldsmith.plan.by_hand import Selection
from goldsmith.plan.groups import Place
from goldsmith.plan.model import PlannedNode
from goldsmith.plan.names import TESTS, TaskName
from goldsmith.spec.pipeline import Pipeline


@dataclass(frozen=True, kw_only=True)
class WorkedOut:
    """What is known of all nodes of a pipeline."""

    pipeline: Pipeline
    nodes: Mapping[str, Node]
    """Unique id to node, also of those that do not run."""
    layers: Mapping[str, str]
    """Unique id to layer."""
    names: Mapping[str, TaskName]
    """Unique id to the name of its task."""
    places: Mapping[str, Place]
    """Task id to the groups of the task."""
    upstream: Mapping[str, set[str]]
    """Unique id to the ids of the tasks before it."""
    built_by: Mapping[str, str]
    """Task id to the id of its build."""
    updated_by: Mapping[str, str]
    """Task id to the id of the task that updates its asset, where that is another one."""
    selects: Mapping[str, Selection]
    """Unique id to the selection that a person types."""
    docs: Mapping[str, str]
    """Unique id to Markdown."""

    def planned(self, uid: str) -> PlannedNode:
        """The planned node.

        Args:
            uid: Its unique id.
        """
        node, name, pipeline = self.nodes[uid], self.names[uid], self.pipeline
        place, select = self.places[name.task_id], self.selects[uid]
        shown = _display_name(name, place)
        # A test belongs to whoever owns the node it is defined on, and to its group.
        home = self.nodes.get(node.attached, node)
        return PlannedNode(
            unique_id=node.unique_id,
            kind=node.kind,
            name=node.name,
            layer=self.layers[uid],
            task_id=name.task_id,
            display_name=shown,
            label=shown,
            group=place.top,
            unit=place.unit,
            select=select.text,
            selects_more=select.more,
            build=self.built_by.get(name.task_id, ""),
            asset=asset_uri(pipeline, node.kind, node.relation),
            updated_by=self.updated_by.get(name.task_id, name.task_id),
            upstream=tuple(sorted(self.upstream[uid])),
            file=node.file,
            materialized=node.materialized,
            owner=node.owner or home.owner or pipeline.owner,
            tags=node.tags,
            severity=node.severity,
            relation=node.relation,
            docs=self.docs[uid],
            operator_kwargs=node.operator_kwargs,
            retry_errors=node.meta.retry_errors or "",
            timeout=_seconds(node.meta.timeout or pipeline.node_timeout),
            slow_after=_seconds(node.meta.slow_after or pipeline.slow_after),
            goes_on=node.goes_on,
            full_refresh=node.full_refresh,
            expect=node.meta.expect or "",
            dbt_group=node.group or home.group,
        )


def _seconds(limit: timedelta | None) -> int:
    return int(limit.total_seconds()) if limit else 0


def _display_name(name: TaskName, place: Place) -> str:
    """A test that is shown with another node than the one that defines it says so."""
    is_at_home = place.unit.startswith(f"{name.layer}.{name.group}.") or name.group.endswith(TESTS)
    return name.display if is_at_home else f"{name.group}: {name.display}"
