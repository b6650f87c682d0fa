"""The pipeline that a dbt project becomes: its spec with layers, and its plan."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from goldsmith.adopt.cosmos_dags import CosmosDag
from goldsmith.adopt.layers import Proposal, propose
from goldsmith.adopt.look import Repository
from goldsmith.adopt.variables import unset_environment, unset_vars
from goldsmith.adopt.warehouse import Warehouse, choose_warehouse
from goldsmith.dbt import manifest as manifests
from goldsmith.dbt.node import Node
from goldsmith.dbt.project import DbtProject, find_project
from goldsmith.errors import ConfigurationError, PlanError, ProjectError
from goldsmith.kinds import RELATIONS
from goldsmith.pipeline import load_plan, project_of
from goldsmith.pipelines.manifests import refresh_manifest
from goldsmith.plan.model import Plan
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline

_NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+")
_USUAL = "@daily"
_OF_WAREHOUSE = ("connection", "profile", "target")


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """What the command line says of the pipeline."""

    name: str | None = None
    schedule: str | None = None
    connection: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
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
    cosmos: CosmosDag | None = None
    """The DAG of Cosmos whose settings it has."""

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
    cosmos: CosmosDag | None = None,
) -> Adoption:
    """Make the spec of a dbt project and its plan; the project's manifest is made if it is missing or old.

    Args:
        folder: Of the dbt project.
        found: The folder around it.
        asked: What the command line says.
        here: Settings of this process, for the folder.
        report: Called with a line for each step that takes time.
        taken: Names of DAGs and of DAG files that are there already.
        cosmos: The DAG of Cosmos that runs the project, if there is one.

    Raises:
        ConfigurationError: dbt cannot parse the project, or needs something that is not set.
    """
    project = find_project(folder)
    _refuse_unset(project)
    warehouse = _warehouse(project, found, asked, cosmos)
    names = {"name": _name(asked, project, taken), "project": found.shown(project.path)}
    keys = {**names, **_schedule(asked, cosmos), **warehouse.keys}
    unset = unset_vars(project)
    nodes = _nodes(Pipeline.parse({**keys, "layers": {}}), here, report, unset)
    proposal = propose(nodes, project=project.name, model_paths=project.model_paths)
    proposal, plan, spec = _planned(keys, proposal, here, report)
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


def _schedule(asked: Asked, cosmos: CosmosDag | None) -> dict[str, Any]:
    """When it runs, and whatever else the Cosmos DAG says that is not about the warehouse."""
    theirs = {
        key: value for key, value in (cosmos.keys if cosmos else {}).items() if key not in _OF_WAREHOUSE
    }
    return {"schedule": _USUAL, **theirs, **({"schedule": asked.schedule} if asked.schedule else {})}


def _warehouse(project: DbtProject, found: Repository, asked: Asked, cosmos: CosmosDag | None) -> Warehouse:
    """The one that the command line names, else that of the Cosmos DAG, else that of profiles.yml."""
    theirs = {key: cosmos.keys[key] for key in _OF_WAREHOUSE if key in cosmos.keys} if cosmos else {}
    if asked.connection or not cosmos or "connection" not in theirs:
        return choose_warehouse(project, found, asked.connection)
    text = f"the Airflow connection {theirs['connection']} of the Cosmos DAG"
    return Warehouse(keys=theirs, adapter=cosmos.adapter or "postgres", text=text)


def _refuse_unset(project: DbtProject) -> None:
    missing = unset_environment(project)
    if missing:
        names = ", ".join(f"{name} (in {file})" for name, file in missing.items())
        raise ProjectError(
            f"{project.path} reads environment variables that are not set: {names}.",
            hint=f"export {next(iter(missing))}=... (and so on), or give env_var a default.",
        )


def _nodes(
    spec: Pipeline, here: Settings, report: Callable[[str], None], unset: Mapping[str, str]
) -> Mapping[str, Node]:
    try:
        refresh_manifest(spec, here, report, others=())
    except ProjectError as error:
        if not unset:
            raise
        names = ", ".join(f"{name} (in {file})" for name, file in unset.items())
        raise ProjectError(
            f"{error.message}\ndbt variables that nobody sets: {names}.",
            hint="Write what is missing into `vars` of dbt_project.yml, then again: goldsmith init",
        ) from error
    project = project_of(spec, here)
    return manifests.load(project.manifest_path, project.path).nodes


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
