"""What of a manifest belongs to a pipeline, and which layer matches what: dbt's own answer.

dbt gives it when the manifest is made (`goldsmith.dbt.parse`); only plain selections are read from the manifest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath

from goldsmith.dbt.answers import key_of, read_answers
from goldsmith.dbt.manifest import Manifest
from goldsmith.dbt.parse import AskedSelection
from goldsmith.dbt.plain_selection import is_plain, matched
from goldsmith.dbt.project import DbtProject
from goldsmith.errors import SelectionError
from goldsmith.kinds import RELATIONS
from goldsmith.plan.selected import Selected
from goldsmith.plan.store import plan_paths
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline


def own_folder(spec: Pipeline, here: Settings) -> str:
    """Folder below dbt's target path for the manifest of a pipeline that no other may overwrite; empty for none.

    Variables and the target change what a manifest holds, and pipelines with different ones may share a project.
    """
    is_own = spec.vars or (spec.target or here.target) != here.target
    return f"goldsmith/{spec.name}" if is_own else ""


def answer_paths(manifest: Path, here: Settings, pipeline: str) -> tuple[Path, ...]:
    """Where dbt's answers for a pipeline may lie: beside its plan."""
    return tuple(path.with_suffix(".json") for path in plan_paths(manifest, here.plan_dir, pipeline))


def answered(
    spec: Pipeline, project: DbtProject, here: Settings, checksum: str
) -> Mapping[str, Collection[str]]:
    """What dbt answered for a pipeline about a manifest: key of a selection to unique ids.

    Args:
        spec: The pipeline.
        project: Its dbt project.
        here: Settings of this process.
        checksum: That of the manifest.

    Raises:
        SelectionError: The manifest was not made with the pipeline's variables.
    """
    paths = answer_paths(project.manifest_path, here, spec.name)
    found = [one for one in read_answers(paths) if one.manifest == checksum]
    if spec.vars and not any(one.variables == spec.vars for one in found):
        raise SelectionError(
            f"The manifest {project.manifest_path} was not made with the `vars` of {spec.name} as they are now.",
            hint=f"goldsmith manifest {spec.name}",
        )
    return found[0].listed if found else {}


def questions(spec: Pipeline, project: DbtProject) -> tuple[AskedSelection, ...]:
    """The selections of a pipeline that only dbt can answer.

    What is excluded is a question of its own: a package that is not installed, which most specs exclude, would be an
    error in a project with `warn_error`.
    """
    asked = [
        AskedSelection(select=spec.select, exclude=(), what=f"pipeline {spec.name}"),
        AskedSelection(select=spec.exclude, exclude=(), what=f"pipeline {spec.name}, exclude"),
        *(
            AskedSelection(select=select, exclude=(), what=f"layer {name}")
            for name, select in spec.layers.items()
        ),
    ]
    return tuple(one for one in asked if not is_plain(one.select, project.path))


def select_nodes(
    spec: Pipeline, manifest: Manifest, listed: Mapping[str, Collection[str]] | None = None
) -> Selected:
    """What of a manifest belongs to a pipeline, and which layer matches what.

    As in dbt, a test comes with the nodes it reads, and a unit test with its model.

    Args:
        spec: The pipeline.
        manifest: The manifest.
        listed: Key of a selection to the unique ids that dbt listed for it.

    Raises:
        SelectionError: The pipeline's selection or a written layer's matches nothing, or dbt has not been asked.
    """
    answered = listed or {}
    included = _matched(spec, manifest, answered, spec.select) if spec.select else set(manifest.nodes)
    chosen = included - _matched(spec, manifest, answered, spec.exclude)
    if not chosen:
        raise SelectionError(
            f"pipeline {spec.name} matches none of the {len(manifest.nodes)} nodes in {manifest.path}: "
            f"{_shown(spec.select, spec.exclude)}",
            hint=f"Look at what there is: dbt ls --project-dir {manifest.project_dir}",
        )
    nodes = {
        uid: node
        for uid, node in manifest.nodes.items()
        if uid in chosen and node.kind not in spec.exclude_resource_types
    }
    layers = _layers(spec, manifest, answered)
    return Selected(
        nodes=nodes,
        graph=manifest.nodes,
        layer_matches={layer: ids & set(nodes) for layer, ids in layers.items()},
        exposures=tuple(e for e in manifest.exposures if set(e.parents) & set(nodes)),
        manifest_checksum=manifest.checksum,
        dbt_version=manifest.dbt_version,
        adapter=manifest.adapter,
        project_name=manifest.project_name,
        elementary_schema=manifest.elementary_schema,
        unknown_kinds=manifest.unknown_kinds,
    )


def in_effect(spec: Pipeline, layers: Collection[str]) -> Pipeline:
    """The spec with the layers that hold: of layers that nobody wrote those that exist, and without any, no gates.

    Args:
        spec: The pipeline.
        layers: Names of the layers that match something, or those of its plan.

    Raises:
        SpecError: The spec says something about a layer, or about gates, that there are none of.
    """
    if "layers" in spec.model_fields_set:
        return spec
    there = {name: selection for name, selection in spec.layers.items() if name in layers}
    if there == spec.layers:
        return spec
    # What a spec may say depends on the layers.
    written = spec.model_dump(by_alias=True, exclude_unset=True)
    return Pipeline.parse(written | {"layers": there, "gate": spec.gate if there else "node"})


def _layers(spec: Pipeline, manifest: Manifest, listed: Mapping[str, Collection[str]]) -> dict[str, set[str]]:
    found = {name: _matched(spec, manifest, listed, select) for name, select in spec.layers.items()}
    empty = [name for name, ids in found.items() if not ids]
    if empty and "layers" in spec.model_fields_set:
        said = "; ".join(f"layer {name} matches none: {_shown(spec.layers[name], ())}" for name in empty)
        raise SelectionError(
            f"{said} (of {len(manifest.nodes)} nodes in {manifest.path}).",
            hint=f"Folders and packages with nodes: {_folders(manifest)}. Change `layers`, or write `layers: {{}}` "
            "for none.",
        )
    return {name: ids for name, ids in found.items() if ids}


def _matched(
    spec: Pipeline, manifest: Manifest, listed: Mapping[str, Collection[str]], selection: Sequence[str]
) -> set[str]:
    if is_plain(selection, manifest.project_dir):
        return matched(selection, manifest.nodes, manifest.project_dir)
    answer = listed.get(key_of(selection, ()))
    if answer is None:
        raise SelectionError(
            f"Only dbt can say what the selection {' '.join(selection)} means, and it has not been asked for the "
            f"manifest {manifest.path} as it is now.",
            hint=f"goldsmith manifest {spec.name}",
        )
    return {uid for uid in answer if uid in manifest.nodes}


def _folders(manifest: Manifest) -> str:
    """All folders of the root project that hold nodes, and the packages that do: models/staging, package:shop."""
    built = [node for node in manifest.nodes.values() if node.kind in RELATIONS]
    own = {str(PurePosixPath(node.file).parent) for node in built if node.package == manifest.project_name}
    packages = {f"package:{node.package}" for node in built if node.package != manifest.project_name}
    return ", ".join([*sorted(own), *sorted(packages)]) or "none"


def _shown(select: Sequence[str], exclude: Sequence[str]) -> str:
    parts = [f"select {' '.join(select)}"] if select else []
    return ", ".join([*parts, *([f"exclude {' '.join(exclude)}"] if exclude else [])])
