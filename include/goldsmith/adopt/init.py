"""What `goldsmith init` would do in a folder: pipelines, and the files that are missing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir
from dataclasses import dataclass, replace
from pathlib import Path

from goldsmith.adopt import files
from goldsmith.adopt.adoption import Adoption, Asked, adopt
from goldsmith.adopt.cosmos_dags import CosmosDag, read_cosmos_dags
from goldsmith.adopt.cosmos_found import from_cosmos
from goldsmith.adopt.files import Change
from goldsmith.adopt.look import Repository, choose_projects, look_at, taken_names
from goldsmith.check import Finding, check_all
from goldsmith.dag_files import DagFiles, read_dag_files
from goldsmith.errors import ConfigurationError, GoldsmithError
from goldsmith.pipeline import project_of
from goldsmith.settings import DAGS, DBT_PROJECT, Settings, airflow_dags_dir, settings
from goldsmith.spec.files import read_file
from goldsmith.stack.stack import local_stack
from goldsmith.wording import some

STARTER = Path(__file__).parent / "starter"
_STARTER_KEYS = {
    "name": "shop",
    "schedule": "@daily",
    "layers": {"staging": "path:models/staging/", "marts": "path:models/marts/"},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Init:
    """What is to be written in a folder."""

    found: Repository
    here: Settings
    adopted: tuple[Adoption, ...]
    known: tuple[str, ...]
    """Pipelines that run one of the projects already."""
    names: tuple[str, ...]
    """All pipelines that the folder has then, those that are known first."""
    changes: tuple[Change, ...]
    by_hand: tuple[str, ...]
    """What a person has to do, because no file can say it."""
    called_from: Path
    """The folder in which the person is."""


def look_and_adopt(folder: Path, projects: list[Path], asked: Asked, report: Callable[[str], None]) -> Init:
    """Look at a folder and propose a pipeline for each of its dbt projects that was asked for; nothing is written.

    Args:
        folder: The repository.
        projects: dbt projects, from the folder; none if it has one at most.
        asked: What the command line says of the pipeline.
        report: Called with a line for each step that takes time.

    Raises:
        ConfigurationError: There is no dbt project, or several and none was named, or one that cannot be used.
    """
    found = look_at(folder.resolve())
    here = settings(found.root)
    if found.is_empty and not projects:
        return _starter(found, here)
    chosen = choose_projects(found, projects)
    _refuse_other_dags(found, chosen)
    called_from = Path.cwd()
    with chdir(found.root):  # from where the DAG files that are read look for their project
        return replace(_adopted(found, here, chosen, asked, report), called_from=called_from)


def _adopted(
    found: Repository,
    here: Settings,
    chosen: Sequence[Path],
    asked: Asked,
    report: Callable[[str], None],
) -> Init:
    there = read_dag_files(found.dags_dir) if found.dags_dir.is_dir() else DagFiles(pipelines={}, broken=())
    cosmos = read_cosmos_dags(found.dags_dir)
    adopted: list[Adoption] = []
    known = [mine for path in chosen if (mine := _pipeline_of(path, there, here))]
    for path in [one for one in chosen if not _pipeline_of(one, there, here)]:
        taken = {*there.names, *taken_names(found.dags_dir), *(dag.dag_id for dag in cosmos)}
        taken |= {one.spec.name for one in adopted} | _specs_of_others(path, found.dags_dir, here)
        of_cosmos = from_cosmos(cosmos, path, found.root, is_only=len(found.projects) == 1)
        adopted.append(
            adopt(path, found, asked, here=here, report=report, taken=taken, cosmos=of_cosmos, beside=adopted)
        )
    changes = files.missing_only(_changes(found, there, adopted, known))
    names = (*known, *(one.spec.name for one in adopted))
    return Init(
        found=found,
        here=here,
        adopted=tuple(adopted),
        known=tuple(known),
        names=names,
        changes=changes,
        by_hand=(*_by_hand(found, adopted), *_of_cosmos(found, adopted, cosmos)) if adopted else (),
        called_from=found.root,
    )


def _refuse_other_dags(found: Repository, projects: Sequence[Path]) -> None:
    """Refuse a folder whose Airflow reads its DAG files elsewhere: what is written here would never run.

    Raises:
        ConfigurationError: There is such an Airflow, or AIRFLOW__CORE__DAGS_FOLDER names another folder.
    """
    configured = airflow_dags_dir()
    where = found.airflow_below
    if configured and configured != found.dags_dir and configured.is_relative_to(found.root):
        where = configured.parent
    if where is None:
        return
    options = "".join(f" --project {os.path.relpath(path, where)}" for path in projects)
    is_below = where == found.airflow_below
    why = f"An Airflow is in {found.shown(where)}" if is_below else "AIRFLOW__CORE__DAGS_FOLDER is set"
    raise ConfigurationError(
        f"{why}: it reads DAG files in {where / DAGS}, and not in {found.dags_dir}.",
        hint=f"goldsmith init {os.path.relpath(where, Path.cwd())}{options}",
    )


def _pipeline_of(path: Path, there: DagFiles, here: Settings) -> str:
    """The pipeline that runs a project already; empty if there is none."""
    for name, (spec, _) in there.pipelines.items():
        try:
            if project_of(spec, here).path.resolve() == path:
                return name
        except GoldsmithError:
            continue  # of another project, which is not there
    return ""


def _specs_of_others(path: Path, dags_dir: Path, here: Settings) -> set[str]:
    """Names of the files among the specs that are none, or of another project: they stay as they are."""
    found = set()
    for file in (dags_dir / files.SPECS).glob("*.y*ml"):
        specs = [entry.spec for entry in read_file(file) if entry.spec]
        is_mine = any((here.root / spec.project).resolve() == path for spec in specs if spec.project)
        found |= set() if is_mine else {file.stem}
    return found


def _starter(found: Repository, here: Settings) -> Init:
    """A project of five models, which runs on the embedded PostgreSQL."""
    written = [
        Change(
            path=found.root / DBT_PROJECT / path.relative_to(STARTER),
            text=path.read_text(),
            why="the dbt project",
        )
        for path in sorted(STARTER.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    ]
    name = _STARTER_KEYS["name"]
    written += [
        files.spec_file(found.dags_dir, str(name), _STARTER_KEYS),
        files.dag_file(found.dags_dir, str(name)),
    ]
    written += _beside(found)
    return Init(
        found=found,
        here=here,
        adopted=(),
        known=(),
        names=(str(name),),
        changes=tuple(written),
        by_hand=(),
        called_from=Path.cwd(),
    )


def _changes(
    found: Repository, there: DagFiles, adopted: Sequence[Adoption], known: Sequence[str]
) -> Iterator[Change]:
    is_loaded = (found.dags_dir / files.SPECS).resolve() in there.folders
    for one in adopted:
        yield files.spec_file(found.dags_dir, one.spec.name, one.keys, notes=_notes(one))
        if not is_loaded:
            yield files.dag_file(found.dags_dir, one.spec.name)
    if adopted or known:
        yield from _beside(found)
    if found.requirements and adopted:
        yield from files.added_lines(found.requirements, _requirements(adopted), "what Airflow's image needs")
    inside = [one.project.path for one in adopted if one.project.path.is_relative_to(found.dags_dir)]
    if inside:
        ignored = [f"{path.relative_to(found.dags_dir)}/" for path in inside if path != found.dags_dir]
        yield from files.added_lines(
            found.dags_dir / ".airflowignore", ignored, "no DAG files are in the dbt project"
        )


def _beside(found: Repository) -> Iterator[Change]:
    yield files.schema_file(found.dags_dir)
    yield from files.added_lines(found.root / ".gitignore", [".goldsmith/"], "the local stack's state")


def _requirements(adopted: Sequence[Adoption]) -> list[str]:
    lines = [files.requirement(), *(f"dbt-{one.warehouse.adapter}" for one in adopted)]
    return [line for line in dict.fromkeys(lines) if line and line != "dbt-postgres"]


def _by_hand(found: Repository, adopted: Sequence[Adoption]) -> Iterator[str]:
    if found.is_airflow and not files.requirement():
        yield (
            "Goldsmith was installed here from a folder, which Airflow's image cannot name. Make a wheel of it beside "
            f"the Dockerfile: pip wheel --no-deps -w {found.root} {files.origin()}; then add the name of that file to "
            "requirements.txt."
        )
    for one in adopted:
        if found.is_airflow and not one.project.path.is_relative_to(found.root):
            yield f"{one.project.path} is outside {found.root}: Airflow's image has to have it too."
        if one.warehouse.same and "profile" in one.keys and "connection" not in one.keys:
            yield from _variables_in_airflow(one)


def _variables_in_airflow(one: Adoption) -> Iterator[str]:
    names = one.warehouse.same.variables if one.warehouse.same else ()
    if names:
        yield (
            f"{one.keys['profile']['file']} reads {some(names)}: set them for Airflow's workers too, or use a "
            "connection (docs/own-project.md)."
        )


def _of_cosmos(found: Repository, adopted: Sequence[Adoption], dags: Sequence[CosmosDag]) -> Iterator[str]:
    """What a person has to know of DAGs of Cosmos: that they go on running, and of which nothing was taken."""
    for one in adopted:
        if names := list(dict.fromkeys(dag.name for dag in one.cosmos.dags)):
            yield (
                f"{some(names)} of Cosmos and {one.spec.name} build the same tables: pause the former before "
                f"{one.spec.name} runs on the same warehouse. Setting by setting: docs/from-cosmos.md."
            )
    for dag in dags:
        if not any(dag.runs(path, found.root) for path in found.projects) and not any(
            dag in one.cosmos.dags for one in adopted
        ):
            why = f"its project, {dag.project}, is not here" if dag.project else "its project is computed"
            yield f"{found.shown(dag.file)}:{dag.line}: nothing is taken from this {dag.kind}, because {why}."


def _notes(one: Adoption) -> Iterator[str]:
    """What the reader of the spec wants to know about its layers."""
    yield f"Layers: {one.proposal.why}."
    if one.cosmos.dags:
        yield f"From Cosmos: {some(f'{dag.name} in {dag.file.name}' for dag in one.cosmos.dags)}."


def check_written(init: Init, report: Callable[[str], None]) -> list[Finding]:
    """Check the pipelines, without their warehouse: specs, plans, and whether Airflow can import the DAG files.

    Args:
        init: What has been written.
        report: Called with a line for each step that takes time.
    """
    env = local_stack(init.here).env()
    findings: list[Finding] = []
    with chdir(init.found.root):
        for name in init.names:
            findings += check_all(
                init.here, env, strict=False, connections=False, report=report, pipeline=name
            )
    return findings
