"""Make a pipeline's manifest, and the answers of dbt that its plan needs, where they are missing or old.

Only commands that people start come here: a DAG file is parsed without dbt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from goldsmith.dbt import manifest as manifests
from goldsmith.dbt.answers import Answers, key_of, read_answers, write_answers
from goldsmith.dbt.executable import dbt_executable
from goldsmith.dbt.listing import Listing
from goldsmith.dbt.parse import AskedSelection, parsed
from goldsmith.dbt.profile_for_commands import DbtProfile
from goldsmith.dbt.project import DbtProject
from goldsmith.dbt.versions import usable_dbt
from goldsmith.errors import EnvironmentProblem, ProjectError, SelectionError
from goldsmith.pipeline import project_of
from goldsmith.pipeline_nodes import answer_paths, own_folder, questions
from goldsmith.plan.store import manifest_stamp
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline


def is_fresh(spec: Pipeline, here: Settings) -> bool:
    """Whether the manifest is as new as the project's files, made for the pipeline, and dbt has answered what it asks.

    Raises:
        ProjectError: There is no dbt project.
    """
    project = project_to_make(spec, here)
    stamp = manifest_stamp(project.manifest_path)
    if stamp is None or project.changed_since_manifest():
        return False
    kept = read_answers(answer_paths(project.manifest_path, here, spec.name))
    mine = [one for one in kept if one.stamp == stamp]
    asked = [key_of(one.select, one.exclude) for one in questions(spec, project)]
    if not mine:
        return not asked and not project.own
    target = spec.target or here.target
    return any(
        one.target == target and one.variables == spec.vars and set(asked) <= set(one.listed) for one in mine
    )


def make_pipeline_manifest(
    spec: Pipeline,
    here: Settings,
    report: Callable[[str], None],
    *,
    others: Iterable[Pipeline] = (),
    profile: DbtProfile | None = None,
) -> Path:
    """Run `dbt parse` for a pipeline, let dbt answer its selections, and return the manifest's path.

    Args:
        spec: The pipeline.
        here: Settings of this process.
        report: Called with a line for each step.
        others: Further pipelines; those that read the same manifest get their answers too.
        profile: How dbt finds its profile; default is by itself.

    Raises:
        ConfigurationError: It is no dbt that Goldsmith runs, or dbt cannot parse the project or understand a selection.
        EnvironmentProblem: The manifest cannot be written.
    """
    project = project_to_make(spec, here)
    asking = _asking(spec, others, project, here)
    asked = {key_of(one.select, one.exclude): one for some in asking.values() for one in some}
    usable_dbt(dbt_executable(project.dbt))
    report("Making the dbt manifest")
    target = spec.target or here.target
    with parsed(
        project,
        target=target,
        variables=spec.vars,
        questions=tuple(asked.values()),
        env=profile.env if profile else None,
        arguments=profile.arguments if profile else (),
    ) as made:
        found = dict(zip(asked, made.listings, strict=True))
        _check_own(asking[spec.name], found, report)
        # A selection of another pipeline that dbt does not understand stops that one alone.
        listed = {key: one.unique_ids for key, one in found.items() if isinstance(one, Listing)}
        answers = _answers(made.manifest, project, spec, target, listed)
        for name, some in asking.items():
            _keep(_only(answers, some), project, here, name)
        # The manifest last: a DAG file that reads it finds the answers.
        made.publish(project)
    return project.manifest_path


def project_to_make(spec: Pipeline, here: Settings) -> DbtProject:
    """The project of a pipeline, with the place of the manifest that is made for it."""
    return replace(project_of(spec, here), own=own_folder(spec, here))


def _asking(
    spec: Pipeline, others: Iterable[Pipeline], project: DbtProject, here: Settings
) -> dict[str, tuple[AskedSelection, ...]]:
    """Name of a pipeline to what it asks of the manifest: this one first, then others that read the same manifest."""
    asking = {spec.name: questions(spec, project)}
    for other in others:
        if other.name != spec.name and (wants := _asks_beside(other, project, here)):
            asking[other.name] = wants
    return asking


def _asks_beside(other: Pipeline, project: DbtProject, here: Settings) -> tuple[AskedSelection, ...]:
    """What another pipeline has to ask of the same manifest."""
    try:
        theirs = project_to_make(other, here)
    except ProjectError:  # its own commands say so
        return ()
    return questions(other, theirs) if theirs.manifest_path == project.manifest_path else ()


def _answers(
    manifest: Path, project: DbtProject, spec: Pipeline, target: str, listed: Mapping[str, frozenset[str]]
) -> Answers:
    return Answers(
        manifest=manifests.checksum(manifests.read_document(manifest, project.path)),
        stamp=manifest_stamp(manifest),
        target=target,
        variables=spec.vars,
        listed=listed,
    )


def _only(answers: Answers, asked: Iterable[AskedSelection]) -> Answers:
    """The answers to some questions."""
    keys = {key_of(one.select, one.exclude) for one in asked}
    return replace(answers, listed={key: ids for key, ids in answers.listed.items() if key in keys})


def _keep(answers: Answers, project: DbtProject, here: Settings, pipeline: str) -> None:
    for place in project.manifest_paths:
        paths = answer_paths(place, here, pipeline)
        if write_answers(answers, paths) is None:
            raise EnvironmentProblem(
                f"What dbt answered cannot be kept: none of {', '.join(map(str, paths))} can be written.",
                hint="Check the permissions of these folders.",
            )


def _check_own(
    asked: Iterable[AskedSelection],
    found: Mapping[str, Listing | SelectionError],
    report: Callable[[str], None],
) -> None:
    """Refuse what dbt does not understand; name the terms that match nothing, which nobody else would."""
    for question in asked:
        answer = found[key_of(question.select, question.exclude)]
        if isinstance(answer, SelectionError):
            raise answer
        for term in answer.unmatched:
            if term in question.select:
                report(f"{question.what}: {term} matches nothing")
