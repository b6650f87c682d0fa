"""The plan: what a pipeline's DAG will be, as values that can be printed, stored and compared."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedNode:
    """One executable dbt node and the Airflow task it becomes."""

    unique_id: str
    kind: str
    """dbt's resource type; `source` stands for its freshness check."""
    name: str
    layer: str
    """Layer, or for nodes outside any layer the group they stand in."""
    task_id: str
    display_name: str
    group: str
    """Task group it is shown in: that of its layer, or a part of it."""
    unit: str
    """Id of the task whose own group inside that it shares; empty for none."""
    select: str
    """dbt selection that matches this node alone, for the command of its kind."""
    build: str
    """Id of the task that builds it together with others; empty in the isolated engine."""
    upstream: tuple[str, ...]
    """Ids of all tasks directly before it: nodes, gates, builds, ingest."""
    file: str
    """Path of the file that defines it, from the project's root."""
    materialized: str
    owner: str
    tags: tuple[str, ...]
    severity: str
    relation: str
    docs: str
    operator_kwargs: dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedGate:
    """The gate after a layer: it gives a verdict over the layer's tasks."""

    layer: str
    task_id: str
    upstream: tuple[str, ...]
    """Ids of all tasks it waits for."""
    judged: tuple[str, ...]
    """Those of them whose state decides: the layer's own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedBuild:
    """One `dbt build` for many nodes: those of a layer, or with `gate: node` all of them."""

    name: str
    """Its layer; `all` where one build builds all layers."""
    task_id: str
    reconcile_id: str
    """Id of the task that compares afterwards what Airflow, dbt and the warehouse say."""
    upstream: tuple[str, ...]
    waits_for: str
    """Trigger rule for what is before it: a gate has to pass, an ingest only to end."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """A compiled pipeline."""

    pipeline: str
    manifest_checksum: str
    spec_checksum: str
    dbt_version: str
    project_name: str
    layers: tuple[str, ...]
    nodes: tuple[PlannedNode, ...]
    gates: tuple[PlannedGate, ...]
    builds: tuple[PlannedBuild, ...]
    not_run: tuple[str, ...]
    """Unique ids that belong to the pipeline and have nothing to run: ephemeral models, plain sources."""
    exposures: tuple[str, ...]
    """Who uses what: one line of Markdown for each exposure."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Plan:
        """Make a plan of what `to_dict` gave, after a way through JSON."""
        nodes = tuple(PlannedNode(**_tuples(node)) for node in values.pop("nodes"))
        gates = tuple(PlannedGate(**_tuples(gate)) for gate in values.pop("gates"))
        builds = tuple(PlannedBuild(**_tuples(build)) for build in values.pop("builds"))
        return cls(**_tuples(values), nodes=nodes, gates=gates, builds=builds)

    def listing(self) -> dict[str, Any]:
        """The shape of `goldsmith plan --json`."""
        shown = ("unique_id", "task_id", "kind", "layer", "upstream")
        return {
            "pipeline": self.pipeline,
            "nodes": [{key: getattr(node, key) for key in shown} for node in self.nodes],
        }


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
