"""The plan: what a pipeline's DAG will be, as values that can be printed, stored and compared."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any


def dbt_command_line(verb: str, select: str, *, more: int, target: str = "", given: str = "") -> str:
    """A dbt command line for people.

    Args:
        verb: dbt's command, such as `build`.
        select: What it selects.
        more: How many other nodes the selection matches.
        target: dbt target; empty for the profile's own.
        given: Further arguments.
    """
    parts = [f"dbt {verb} --select {select}", f"--target {target}" if target else "", given]
    others = f" # runs {more} more of the same name" if more else ""
    return " ".join(filter(None, [*parts, others]))


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedNode:
    """One executable dbt node and the Airflow task it becomes, alone or with other nodes.

    Nodes of one task share its id, display name, group, unit, build and owner. The first of them is the task's own:
    docs, retries and Airflow's arguments come from it.
    """

    unique_id: str
    kind: str
    """dbt's resource type; `source` stands for its freshness check."""
    name: str
    layer: str
    """Layer, or for nodes outside any layer the group they stand in."""
    task_id: str
    display_name: str
    """Name of the task."""
    label: str
    """Short name of the node beside others of its group."""
    group: str
    """Task group it is shown in: that of its layer, or a part of it."""
    unit: str
    """Id of the task whose own group inside that it shares; empty for none."""
    select: str
    """dbt selection for a person's command line: it matches the node, and as few others of its kind as possible."""
    selects_more: int = 0
    """How many other nodes `select` matches; 0 where it means this node alone."""
    build: str
    """Id of the task that builds it together with others; empty in the isolated engine."""
    asset: str
    """URI of its asset in Airflow; empty where it has none."""
    updated_by: str
    """Id of the task that updates the asset: a gate, a comparison, or the node's own."""
    upstream: tuple[str, ...]
    """Ids of all tasks directly before it: nodes, gates, builds, ingest; never its own."""
    file: str
    """Path of the file that defines it, from the project's root."""
    materialized: str
    owner: str
    tags: tuple[str, ...]
    severity: str
    relation: str
    docs: str
    operator_kwargs: dict[str, Any]
    retry_errors: str = ""
    """Which errors are worth a retry, where the dbt project says it of this node: `transient` or `any`."""
    timeout: int = 0
    """Seconds after which what it runs in the warehouse is cancelled; 0 for none."""
    slow_after: int = 0
    """Seconds after which somebody is told that it takes long; 0 for none."""
    goes_on: bool = False
    """Whether dbt builds what reads it also if it fails (`on_error: continue`)."""
    full_refresh: bool | None = None
    """Whether dbt builds it anew in every run, or never, where the dbt project says so."""
    dbt_group: str = ""
    """dbt's group of the node, or of the node that a test is about."""
    expect: str = ""
    """What it leaves in the warehouse, where the dbt project says it: `table`, `view`, `any` or `nothing`."""

    def command(self, verb: str, *, target: str = "", given: str = "") -> str:
        """The dbt command line that runs the node again by hand; it says so if that runs others too.

        Args:
            verb: dbt's command, such as `build`.
            target: dbt target; empty for the profile's own.
            given: Further arguments.
        """
        return dbt_command_line(verb, self.select, more=self.selects_more, target=target, given=given)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedGate:
    """The gate after a layer: it gives a verdict over the layer's tasks."""

    layer: str
    task_id: str
    upstream: tuple[str, ...]
    """Ids of all tasks it waits for."""
    judged: tuple[str, ...]
    """Those of them whose state decides: the layer's own."""
    limits: tuple[str, ...] = ()
    """What it lets through, one line each; none where all tasks have to be green."""


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
    tasks: str
    """What became a task, as the spec's `tasks` says it: `test`, `model_tests` or `model`."""
    tasks_because: str
    """Why, where the spec leaves it open; else empty."""
    nodes: tuple[PlannedNode, ...]
    """By the ids of their tasks; of one task, the node that the task is named after comes first."""
    gates: tuple[PlannedGate, ...]
    builds: tuple[PlannedBuild, ...]
    not_run: tuple[str, ...]
    """Unique ids that belong to the pipeline and have nothing to run: ephemeral models, plain sources."""
    exposures: tuple[str, ...]
    """Who uses what: one line of Markdown for each exposure."""
    elementary: str = ""
    """Schema in which the dbt package Elementary keeps what dbt did; empty where it is not installed."""
    adapter: str = ""
    """Type of the dbt adapter that the manifest was made with."""
    unknown_kinds: tuple[str, ...] = ()
    """dbt resource types that Goldsmith does not know, which no task builds; each with its number of nodes."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Plan:
        """Make a plan of what `to_dict` gave, after a way through JSON."""
        seen: dict[str, str] = {}
        nodes = tuple(PlannedNode(**_frozen(node, seen)) for node in values.pop("nodes"))
        gates = tuple(PlannedGate(**_frozen(gate, seen)) for gate in values.pop("gates"))
        builds = tuple(PlannedBuild(**_frozen(build, seen)) for build in values.pop("builds"))
        return cls(**_frozen(values, seen), nodes=nodes, gates=gates, builds=builds)

    def part(self, task_id: str) -> Plan:
        """What a process needs that runs one task: the plan with that task alone."""
        return replace(
            self,
            nodes=tuple(node for node in self.nodes if node.task_id == task_id),
            gates=tuple(gate for gate in self.gates if gate.task_id == task_id),
            builds=tuple(build for build in self.builds if task_id in (build.task_id, build.reconcile_id)),
            not_run=(),
            exposures=(),
        )

    def listing(self) -> dict[str, Any]:
        """The shape of `goldsmith plan --json`: every task that an `upstream` names is listed."""
        shown = ("unique_id", "task_id", "kind", "layer", "upstream")
        tasks: tuple[PlannedNode | PlannedBuild | PlannedGate, ...] = (*self.nodes, *self.builds, *self.gates)
        listed = {one.task_id for one in tasks}
        named = {task_id for one in tasks for task_id in one.upstream}
        return {
            "pipeline": self.pipeline,
            "tasks": self.tasks,
            "nodes": [{key: getattr(node, key) for key in shown} for node in self.nodes],
            "builds": [
                {"task_id": one.task_id, "builds": one.name, "upstream": one.upstream} for one in self.builds
            ],
            "gates": [
                {"task_id": one.task_id, "layer": one.layer, "upstream": one.upstream} for one in self.gates
            ],
            # Of ingest, and what prepares Elementary's tables.
            "other_tasks": sorted(named - listed),
        }


def _frozen(values: dict[str, Any], seen: dict[str, str]) -> dict[str, Any]:
    """Tuples for lists, and each string once: thousands of nodes name the same layers, owners and parents."""
    return {key: _shared(value, seen) for key, value in values.items()}


def _shared(value: Any, seen: dict[str, str]) -> Any:
    if isinstance(value, str):
        return seen.setdefault(value, value)
    return tuple(_shared(part, seen) for part in value) if isinstance(value, list) else value
