"""The pipeline that a dbt project becomes: its spec with layers, and its plan."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from goldsmith.adopt.cosmos_found import FromCosmos
from goldsmith.adopt.layers import Proposal, propose
from goldsmith.adopt.look import Repository
from goldsmith.adopt.variables import unset_environment, unset_vars
from goldsmith.adopt.warehouse import Warehouse, choose_warehouse
from goldsmith.dbt import manifest as manifests
from goldsmith.dbt.node import Node
from goldsmith.dbt.project import DbtProject, find_project
from goldsmith.errors import ConfigurationError, ManifestError, PlanError, ProjectError, SelectionError
from goldsmith.kinds import RELATIONS
from goldsmith.pipeline import load_plan, project_of
from goldsmith.pipelines.manifests import refresh_manifest
from goldsmith.plan.model import Plan
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline

_NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+")
_USUAL = "@daily"
# What the command line and the machine have a say in.
_OTHERWISE = ("schedule", "connection", "profile", "target")


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What the command line says of the pipeline."""

    name: str | None = None
    schedule: str | None = None
    connection: str | None = None


@dataclass(frozen=True, kw_only=True)
class Adoption:
    """A pipeline as it would be written."""

    spec: Pipeline
    keys: Mapping[str, Any]
    """Of the spec, as they are written."""
    project: DbtProject
    proposal: Proposal
    plan: Plan
    warehouse: Warehouse
    unset: Mapping[str, str]
    """dbt variables that nobody sets, to the file that reads them."""
    cosmos: FromCosmos
    """What comes from DAGs of Cosmos."""

    @cached_property
    def unset_environment(self) -> Mapping[str, str]:
        """Environment variables that are not set and have no default, in the same way."""
        return unset_environment(self.project)

    @property
    def outside(self) -> list[str]:
        """Names of models, seeds and snapshots in no layer."""
        layers = self.proposal.layers
        return [
            node.name
            for node in self.plan.nodes
            if layers and node.kind in RELATIONS and node.layer not in layers
        ]


def adopt(
    folder: Path,
    found: Repository,
    asked: Asked,
    *,
    here: Settings,
    report: Callable[[str], None],
    taken: Collection[str] = frozenset(),
    cosmos: FromCosmos | None = None,
    beside: Sequence[Adoption] = (),
) -> Adoption:
    """Make the spec of a dbt project and its plan, and the project's manifest if it is missing or old.

    Args:
        folder: Of the dbt project.
        found: The folder around it.
        asked: What the command line says.
        here: Settings of this process.
        report: Called with a line for each step that takes time.
        taken: Names that DAGs and DAG files have.
        cosmos: What DAGs of Cosmos that run the project say; what the command line says goes before it.
        beside: Projects that are adopted with it.

    Raises:
        ConfigurationError: dbt cannot parse the project, or needs something that is not set.
    """
    project, cosmos = find_project(folder), cosmos or FromCosmos()
    cosmos.fit(project, found.root)
    others = [one.warehouse for one in beside]
    warehouse = choose_warehouse(project, found, asked.connection, cosmos, others=others)
    keys = {"name": _name(asked, project, taken), "project": found.shown(project.path)}
    keys |= {**_times(asked, cosmos), **cosmos.keys_but(_OTHERWISE), **warehouse.keys}
    unset = unset_vars(project, keys.get("vars", ()))
    nodes, keys = _selected_nodes(keys, here, report, unset, cosmos)
    proposal, plan, spec = _planned(keys, _proposed(nodes, project), here, report)
    return Adoption(
        spec=spec,
        keys={**keys, **_layers(proposal)},
        project=project,
        proposal=proposal,
        plan=plan,
        warehouse=warehouse,
        unset=unset,
        cosmos=cosmos,
    )


def _proposed(nodes: Mapping[str, Node], project: DbtProject) -> Proposal:
    return propose(nodes, project=project.name, model_paths=project.model_paths)


def _times(asked: Asked, cosmos: FromCosmos) -> dict[str, Any]:
    if asked.schedule:
        return {"schedule": asked.schedule}
    if "after" in cosmos.keys:
        return {}
    return {"schedule": cosmos.keys.get("schedule", _USUAL)}


def _nodes(
    spec: Pipeline, here: Settings, report: Callable[[str], None], unset: Mapping[str, str]
) -> Mapping[str, Node]:
    try:
        refresh_manifest(spec, here, report, others=())
    except (ProjectError, ManifestError) as error:
        # dbt names the first that it misses, and may need none of those in a branch that it does not take.
        environment = unset_environment(project_of(spec, here))
        if not unset and not environment:
            raise
        raise ProjectError(
            "\n".join(
                [
                    error.message,
                    *_unset("dbt variables that nobody sets", unset),
                    *_unset("Environment variables that are not set", environment),
                ]
            ),
            hint=_set_them(environment),
        ) from error
    project = project_of(spec, here)
    return manifests.load(project.manifest_path, project.path).nodes


def _unset(what: str, names: Mapping[str, str]) -> list[str]:
    return [f"{what}: {', '.join(f'{name} (in {file})' for name, file in names.items())}."] if names else []


def _set_them(environment: Mapping[str, str]) -> str:
    if environment:
        return f"export {next(iter(environment))}=... (and so on), then again: goldsmith init"
    return "Write what is missing into `vars` of dbt_project.yml, then again: goldsmith init"


def _selected_nodes(
    keys: dict[str, Any],
    here: Settings,
    report: Callable[[str], None],
    unset: Mapping[str, str],
    cosmos: FromCosmos,
) -> tuple[Mapping[str, Node], dict[str, Any]]:
    """The nodes that the pipeline selects, and the keys without a selection that does not hold here."""
    selection = [key for key in ("select", "exclude") if key in keys]
    spec = Pipeline.parse({**keys, "layers": {}, **({"gate": "node"} if selection else {})})
    try:
        nodes = _nodes(spec, here, report, unset)
        if not any(node.has_freshness for node in nodes.values()):
            keys = {key: value for key, value in keys.items() if key != "freshness"}
        if not selection:
            return nodes, keys
        planned = {node.unique_id for node in load_plan(spec, project_of(spec, here), here).nodes}
    except (SelectionError, PlanError) as error:
        if not selection:
            raise
        reason = error.message.splitlines()[-1].strip()
        cosmos.values.notes[", ".join(selection)] = f"It does not hold here: {reason}"
        without = {key: value for key, value in keys.items() if key not in selection}
        return _selected_nodes(without, here, report, unset, cosmos)
    return {uid: node for uid, node in nodes.items() if uid in planned or node.kind == "source"}, keys


def _planned(
    keys: Mapping[str, Any], proposal: Proposal, here: Settings, report: Callable[[str], None]
) -> tuple[Proposal, Plan, Pipeline]:
    """The plan with the proposed layers; without layers, if the graph says that they do not hold."""
    spec = Pipeline.parse({**keys, **_layers(proposal)})
    try:
        refresh_manifest(spec, here, report, others=())
        return proposal, load_plan(spec, project_of(spec, here), here), spec
    except PlanError as error:
        if not proposal.layers:
            raise
        why = f"its folders are no layers: {error.message}"
        without = replace(proposal, layers={}, gate="node", why=why)
        return _planned(keys, without, here, report)


def _layers(proposal: Proposal) -> dict[str, Any]:
    layers = {name: terms[0] if len(terms) == 1 else [*terms] for name, terms in proposal.layers.items()}
    return {"layers": layers, **({"gate": proposal.gate} if proposal.gate != "layer" else {})}


def _name_of(project: str) -> str:
    """The name of a pipeline, made of a project's."""
    name = _NOT_IN_A_NAME.sub("_", project.lower()).strip("_").removeprefix("dbt_")
    return name if name[:1].isalpha() else f"p_{name}".strip("_")


def _name(asked: Asked, project: DbtProject, taken: Collection[str]) -> str:
    """The name that was asked for, else the project's, with an ending if a DAG or its file has that."""
    usual = _name_of(project.name)
    if asked.name is None:
        return f"{usual}_goldsmith" if usual in taken else usual
    if asked.name in taken:
        raise ConfigurationError(
            f"There is a DAG or a DAG file called {asked.name} already.",
            hint=f"Choose another name: goldsmith init --name {asked.name}_goldsmith",
        )
    return asked.name
