"""From a pipeline spec to its plan and its DAG: the whole way, in order."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldsmith.airflow_version import need_airflow
from goldsmith.dag_files import Collection, collecting
from goldsmith.dbt import manifest as manifests
from goldsmith.dbt.environment import excluded_types
from goldsmith.dbt.executable import named_dbt
from goldsmith.dbt.project import DbtProject, find_project
from goldsmith.errors import ConfigurationError, ManifestError
from goldsmith.pipeline_nodes import answered, in_effect, own_folder, select_nodes
from goldsmith.plan.compile import compile_plan, spec_checksum
from goldsmith.plan.model import Plan
from goldsmith.plan.store import StoredPlan, manifest_stamp, plan_paths, read_plan, write_plan
from goldsmith.settings import Settings, is_parse_process, settings
from goldsmith.spec.files import read_spec
from goldsmith.spec.pipeline import Pipeline
from goldsmith.spec.run import PROD

if TYPE_CHECKING:
    from airflow.sdk import DAG

log = logging.getLogger(__name__)


def build_dag(pipeline: Pipeline | Path | str) -> DAG:
    """Make the Airflow DAG of a pipeline.

    Args:
        pipeline: A spec, or the path of a YAML file that holds one, from the folder of the file that calls this.

    Raises:
        GoldsmithError: The spec, the dbt project or its manifest is not usable; Airflow shows the text
            as the import error of the DAG file.
    """
    if not isinstance(pipeline, Pipeline):
        pipeline = beside_caller(pipeline)
    here = settings()
    collected = collecting.get()
    if collected is not None:
        collected.note(pipeline)
    written = pipeline if isinstance(pipeline, Pipeline) else read_spec(pipeline)
    if collected is not None:
        collected.specs.append(as_asked(written, here, collected))
        return None  # type: ignore[return-value]  # only who reads DAG files sees this
    return dag_of(as_here(written, here), here)


def beside_caller(path: Path | str) -> Path:
    """A path as a DAG file hands it to a function that calls this: from that file's folder, if it is relative."""
    named = sys._getframe(2).f_globals.get("__file__")  # noqa: SLF001 - `inspect.stack` would read every source file
    return (Path(named).parent if named else Path()) / path


def as_here(written: Pipeline, here: Settings) -> Pipeline:
    """A spec as it holds in this environment.

    Raises:
        SpecError: It has environments, and not this one.
    """
    return written.in_environment(here.environment).without_types(excluded_types())


def as_asked(written: Pipeline, here: Settings, collected: Collection) -> Pipeline:
    """A spec as who reads DAG files wants it: in this environment, or in a named one wherever it is used.

    Raises:
        SpecError: It has environments, and not that one.
    """
    if collected.environment is None:
        return as_here(written, here)
    return written.in_environment(collected.environment)


def dag_of(spec: Pipeline, here: Settings) -> DAG:
    """Make the DAG of a spec; in the process of a task, what that task needs of it.

    Raises:
        GoldsmithError: As for `build_dag`.
    """
    need_airflow()
    from airflow.sdk import get_parsing_context

    from goldsmith.dag.build import render
    from goldsmith.dag.collection import kept

    refuse_prod_from_here(spec, here)
    project = project_of(spec, here)
    whole = partial(load_plan, spec, project, here)
    wanted = get_parsing_context().task_id
    if wanted:
        part = _load_part(spec, project, here, wanted)
        return render(part, in_effect(spec, part.layers), project, here, load_plan=whole)
    with kept(for_good=is_parse_process()):
        plan = whole()
        return render(plan, in_effect(spec, plan.layers), project, here, load_plan=whole)


def refuse_prod_from_here(spec: Pipeline, here: Settings) -> None:
    """Keep a developer's machine from writing production.

    Raises:
        ConfigurationError: The pipeline would write `prod`, or load raw files, in a database that is not the local
            stack's own.
    """
    is_own = not here.is_foreign(spec.connection) and spec.profile.file is None
    if is_own or not here.is_local or here.may_write_prod:
        return
    where = spec.profile.file or f"the connection {spec.connection}"
    if (spec.target or here.target) == PROD:
        raise ConfigurationError(
            f"{spec.name} would write the target {PROD} of {where}, which is not the local stack's own database.",
            hint="Build into schemas of your own: export GOLDSMITH_TARGET=dev. If production is meant: "
            "export GOLDSMITH_ALLOW_PROD=yes",
        )
    if spec.ingest:
        raise ConfigurationError(
            f"{spec.name} would load files into {', '.join(one.source for one in spec.ingest)} of {where}, which is "
            "not the local stack's own database; all targets read these tables.",
            hint="Leave that out: an environment with `ingest: []` in the spec, and GOLDSMITH_ENVIRONMENT. If it is "
            "meant: export GOLDSMITH_ALLOW_PROD=yes",
        )


def project_of(spec: Pipeline, here: Settings) -> DbtProject:
    """The dbt project a pipeline runs.

    Raises:
        ProjectError: It is not there.
    """
    project = find_project(here.root / spec.project if spec.project else here.dbt_project_dir)
    project = replace(project, dbt=dbt_of(spec, here))
    own = replace(project, own=own_folder(spec, here))
    # Without vars the project's manifest will do: until now, or by a plain `dbt parse`, it was made for this pipeline.
    return own if spec.vars or own.manifest_path.is_file() else project


def dbt_of(spec: Pipeline, here: Settings) -> str:
    """The dbt command of a pipeline, as `goldsmith.dbt.executable` takes it; empty for that of this environment."""
    return named_dbt(spec.dbt or here.dbt, here.root)


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
        plan = _compile_or_keep(spec, project, here, stored)
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


def _compile_or_keep(spec: Pipeline, project: DbtProject, here: Settings, stored: StoredPlan | None) -> Plan:
    read = _read(project)
    if stored and read.checksum == stored.plan.manifest_checksum:
        return stored.plan
    selected = select_nodes(spec, read.manifest, answered(spec, project, here, read.checksum))
    plan = compile_plan(in_effect(spec, selected.layer_matches), selected)
    return replace(plan, spec_checksum=spec_checksum(spec))


class _ManifestFile:
    """A manifest.json: what of it costs much is made once, on first use."""

    def __init__(self, project: DbtProject) -> None:
        self._project = project
        self._document = manifests.read_document(project.manifest_path, project.path)

    @cached_property
    def checksum(self) -> str:
        return manifests.checksum(self._document)

    @cached_property
    def manifest(self) -> manifests.Manifest:
        return manifests.load(self._project.manifest_path, self._project.path, self._document)


_kept: ContextVar[dict[Any, _ManifestFile] | None] = ContextVar("goldsmith_manifests", default=None)


@contextmanager
def each_manifest_once() -> Iterator[None]:
    """Let many pipelines compile their plans from one reading of each manifest."""
    token = _kept.set({})
    try:
        yield
    finally:
        _kept.reset(token)


def _read(project: DbtProject) -> _ManifestFile:
    kept, key = _kept.get(), (project.manifest_path, manifest_stamp(project.manifest_path))
    if kept is None:
        return _ManifestFile(project)
    if key not in kept:
        kept[key] = _ManifestFile(project)
    return kept[key]
