"""From a pipeline spec to its plan and its DAG: the whole way, in order."""

from __future__ import annotations

import logging
import runpy
import sys
from contextvars import ContextVar
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from goldsmith.dbt import manifest as manifests
from goldsmith.dbt.node import Node
from goldsmith.dbt.project import DbtProject, find_project
from goldsmith.errors import ConfigurationError, GoldsmithError, ManifestError, SpecError
from goldsmith.plan.compile import Selected, compile_plan, spec_checksum
from goldsmith.plan.model import Plan
from goldsmith.plan.store import StoredPlan, manifest_stamp, plan_paths, read_plan, write_plan
from goldsmith.settings import Settings, is_parse_process, settings
from goldsmith.spec.pipeline import Pipeline
from goldsmith.spec.run import PROD

if TYPE_CHECKING:
    from airflow.sdk import DAG

log = logging.getLogger(__name__)

_collecting: ContextVar[list[Pipeline] | None] = ContextVar("goldsmith_collecting", default=None)


def build_dag(pipeline: Pipeline | Path | str) -> DAG:
    """Make the Airflow DAG of a pipeline.

    Args:
        pipeline: A spec, or the path of a YAML file that holds one.

    Raises:
        GoldsmithError: The spec, the dbt project or its manifest is not usable; Airflow shows the text
            as the import error of the DAG file.
    """
    here = settings()
    written = pipeline if isinstance(pipeline, Pipeline) else Pipeline.from_yaml(Path(pipeline))
    spec = written.in_environment(here.environment)
    collected = _collecting.get()
    if collected is not None:
        collected.append(spec)
        return None  # type: ignore[return-value]  # only `pipelines_in` sees this
    from airflow.sdk import get_parsing_context

    from goldsmith.dag.build import render
    from goldsmith.dag.collection import kept

    refuse_prod_from_here(spec, here)
    project = project_of(spec, here)
    whole = partial(load_plan, spec, project, here)
    wanted = get_parsing_context().task_id
    if wanted:
        return render(_load_part(spec, project, here, wanted), spec, project, here, load_plan=whole)
    with kept(for_good=is_parse_process()):
        return render(whole(), spec, project, here, load_plan=whole)


def refuse_prod_from_here(spec: Pipeline, here: Settings) -> None:
    """Keep a developer's machine from writing production.

    Raises:
        ConfigurationError: The pipeline would write `prod`, or load raw files, in a database that is not the local
            stack's own.
    """
    if not here.is_foreign(spec.connection) or here.may_write_prod:
        return
    if (spec.target or here.target) == PROD:
        raise ConfigurationError(
            f"{spec.name} would write the target {PROD} of the connection {spec.connection}, which is not the local "
            "stack's own database.",
            hint="Build into schemas of your own: export GOLDSMITH_TARGET=dev. If production is meant: "
            "export GOLDSMITH_ALLOW_PROD=yes",
        )
    if spec.ingest:
        raise ConfigurationError(
            f"{spec.name} would load files into {', '.join(one.source for one in spec.ingest)} of the connection "
            f"{spec.connection}, which is not the local stack's own database; all targets read these tables.",
            hint="Leave that out: an environment with `ingest: []` in the spec, and GOLDSMITH_ENVIRONMENT. If it is "
            "meant: export GOLDSMITH_ALLOW_PROD=yes",
        )


def project_of(spec: Pipeline, here: Settings) -> DbtProject:
    """The dbt project a pipeline runs.

    Raises:
        ProjectError: It is not there.
    """
    return find_project(here.root / spec.project if spec.project else here.dbt_project_dir)


def load_plan(spec: Pipeline, project: DbtProject, here: Settings) -> Plan:
    """The plan of a pipeline: from its file while that is fresh, else compiled now.

    A manifest that is half written keeps the last plan, with a warning.

    Raises:
        ConfigurationError: There is no usable manifest and no earlier plan, or no plan can be made.
    """
    path = project.manifest_path
    paths = plan_paths(path, here.plan_dir, spec.name)
    stored = read_plan(paths)
    stamp = manifest_stamp(path)
    if stored and stored.plan.spec_checksum != spec_checksum(spec):
        stored = None
    if stored and stamp == stored.stamp:
        return stored.plan
    try:
        plan = _compile_or_keep(spec, project, stored)
    except ManifestError as error:
        if stored is None:
            raise
        log.warning("Keeping the last plan of %s: %s", spec.name, error)
        return stored.plan
    if stamp and write_plan(plan, stamp, paths) is None:
        log.warning("The plan of %s is compiled at every parse: none of %s can be written", spec.name, paths)
    return plan


def _load_part(spec: Pipeline, project: DbtProject, here: Settings, task_id: str) -> Plan:
    """The part of the plan that the process of one task needs, looked up where the stored plan is fresh."""
    path = project.manifest_path
    stored = read_plan(plan_paths(path, here.plan_dir, spec.name), only=task_id)
    if stored and stored.stamp == manifest_stamp(path) and stored.plan.spec_checksum == spec_checksum(spec):
        return stored.plan
    return load_plan(spec, project, here).part(task_id)


def _compile_or_keep(spec: Pipeline, project: DbtProject, stored: StoredPlan | None) -> Plan:
    document = manifests.read_document(project.manifest_path, project.path)
    if stored and manifests.checksum(document) == stored.plan.manifest_checksum:
        return stored.plan
    manifest = manifests.load(project.manifest_path, project.path, document)
    return compile_plan(spec, select_nodes(spec, manifest))


def select_nodes(spec: Pipeline, manifest: manifests.Manifest) -> Selected:
    """What of a manifest belongs to a pipeline, and which layer matches what.

    As in Cosmos, a test belongs to the pipeline when it reads one of its nodes; so do unit tests of its models.

    Raises:
        SelectionError: The pipeline's selection or a layer's matches nothing.
    """
    chosen = manifest.select(spec.select, spec.exclude, what=f"pipeline {spec.name}")
    not_excluded = manifest.select((), spec.exclude, what=f"pipeline {spec.name}")

    def belongs(uid: str, node: Node) -> bool:
        if node.kind == "test":
            return uid in not_excluded and _tests_one_of(chosen, node.parents)
        return _tests_one_of(chosen, node.parents) if node.kind == "unit_test" else uid in chosen

    nodes = {uid: node for uid, node in manifest.nodes.items() if belongs(uid, node)}
    matches = {
        layer: manifest.select(selection, (), what=f"layer {layer}") & set(nodes)
        for layer, selection in spec.layers.items()
    }
    return Selected(
        nodes=nodes,
        graph=manifest.nodes,
        layer_matches=matches,
        exposures=tuple(e for e in manifest.exposures if set(e.parents) & set(nodes)),
        manifest_checksum=manifest.checksum,
        dbt_version=manifest.dbt_version,
        project_name=manifest.project_name,
        elementary_schema=manifest.elementary_schema,
    )


def _tests_one_of(chosen: set[str], parents: tuple[str, ...]) -> bool:
    return not parents or bool(chosen.intersection(parents))


def pipelines_in(dags_dir: Path) -> dict[str, tuple[Pipeline, Path]]:
    """The pipelines that the DAG files of a folder build, by name, without importing Airflow.

    Raises:
        SpecError: Two of them share a name, or a file cannot be run.
    """
    found: dict[str, tuple[Pipeline, Path]] = {}
    for file in sorted(dags_dir.glob("**/*.py")):
        if b"goldsmith" not in file.read_bytes():
            continue
        for spec in _specs_of(file):
            if spec.name in found:
                raise SpecError(
                    f"Two pipelines are called {spec.name}: {found[spec.name][1]} and {file}.",
                    hint="Airflow would show only one of them; rename one.",
                )
            found[spec.name] = (spec, file)
    return found


def _specs_of(file: Path) -> list[Pipeline]:
    specs: list[Pipeline] = []
    token = _collecting.set(specs)
    sys.path.insert(0, str(file.parent))
    try:
        runpy.run_path(str(file))
    except GoldsmithError:
        raise
    except (Exception, SystemExit) as error:
        if specs and isinstance(error, AttributeError | TypeError):
            return specs  # the file goes on to use its DAG, which is not made here
        raise SpecError(
            f"{file} cannot be run: {type(error).__name__}: {error}", hint="Run it with python."
        ) from error
    finally:
        sys.path.remove(str(file.parent))
        _collecting.reset(token)
    return specs
