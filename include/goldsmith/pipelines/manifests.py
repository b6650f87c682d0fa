"""The manifests of pipelines, made by `dbt parse` where they are missing or old, with a profile in any case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from goldsmith.dag_files import DagFiles
from goldsmith.dbt.environment import dbt_environment
from goldsmith.dbt.profile_for_commands import DbtProfile, profile_from_connection
from goldsmith.dbt.profiles_yml import FILE, lacks
from goldsmith.dbt.project import DbtProject
from goldsmith.errors import EnvironmentProblem, GoldsmithError, ProjectError
from goldsmith.pipeline import project_of
from goldsmith.pipelines.find import find_pipelines
from goldsmith.pipelines.refresh import is_fresh, make_pipeline_manifest, project_to_make
from goldsmith.profile_file import connection_of
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline
from goldsmith.stack.stack import local_stack

_EXAMPLE = "{type: postgres, host: localhost, port: 5432, user: me, password: '', dbname: db, schema: %s}"


@contextmanager
def dbt_profile(
    spec: Pipeline, project: DbtProject, here: Settings, report: Callable[[str], None]
) -> Iterator[DbtProfile]:
    """How `dbt parse` and `dbt ls` find a profile: that of the project's author, else that of the pipeline's runs.

    Args:
        spec: The pipeline.
        project: Its dbt project.
        here: Settings of this process.
        report: Called with a line if the profile is made from the connection.

    Raises:
        ProjectError: The author's lacks something, and none can be made; carries the lines to write.
    """
    target = spec.target or here.target
    env = dbt_environment(project.path)
    connection = connection_of(spec, here, profile=project.profile, project_dir=project.path)
    lacking = "" if spec.profile.file else lacks(project, target=target, env=env)
    if not lacking and not spec.profile.file:
        yield DbtProfile(env=env)
        return
    with ExitStack() as stack:
        try:
            made = stack.enter_context(
                profile_from_connection(
                    profile=project.profile,
                    target=target,
                    connection=connection,
                    profile_args=spec.profile.for_dbt(),
                    env=dbt_environment(project.path, local_stack(here).env()),
                )
            )
        except ProjectError as error:
            if spec.profile.file:
                raise
            raise _no_profile(spec, project, here, lacking, error) from error
        if lacking:
            report(
                f"{lacking[0].upper()}{lacking[1:]}: dbt parses with a profile made from the Airflow connection "
                f"{spec.connection}"
            )
        yield made


def make_manifest_of(
    spec: Pipeline, here: Settings, report: Callable[[str], None], others: Iterable[Pipeline] = ()
) -> Path:
    """Run `dbt parse` for a pipeline, let dbt answer its selections, and give the manifest's path.

    Args:
        spec: The pipeline.
        here: Settings of this process.
        report: Called with a line for each step.
        others: Further pipelines; those that read the same manifest get their answers too.

    Raises:
        ConfigurationError: There is no project, no profile for it, or dbt does not understand it.
    """
    with dbt_profile(spec, project_of(spec, here), here, report) as profile:
        return make_pipeline_manifest(spec, here, report, others=others, profile=profile)


def _no_profile(
    spec: Pipeline, project: DbtProject, here: Settings, lacking: str, error: ProjectError
) -> ProjectError:
    said = error.message
    target = spec.target or here.target
    lines = (
        f"{project.profile}:",
        f"  target: {target}",
        "  outputs:",
        f"    {target}: {_EXAMPLE % spec.profile.schema_}",
    )
    return ProjectError(
        f"dbt has no profile for {project.path}: {lacking}, and none can be made from the Airflow connection "
        f"{spec.connection!r}: {said}",
        hint=f"Define the connection (export AIRFLOW_CONN_{spec.connection.upper()}=...), or write into "
        f"{project.path / FILE}:\n" + "\n".join(lines),
    )


def refresh_manifest(
    spec: Pipeline, here: Settings, report: Callable[[str], None], others: Iterable[Pipeline] | None = None
) -> None:
    """Make the manifest if it is missing or older than the project's files.

    Args:
        spec: The pipeline.
        here: Settings of this process.
        report: Called with a line for each step.
        others: The pipelines of the dags folder; they are looked for if not given.

    Raises:
        ConfigurationError: dbt cannot parse the project.
    """
    if not is_fresh(spec, here):
        make_manifest_of(spec, here, report, specs_of(find_pipelines(here)) if others is None else others)


def refresh_manifests(
    here: Settings, found: DagFiles, report: Callable[[str], None]
) -> dict[str, GoldsmithError]:
    """Make the manifests of all pipelines, if they are missing or old.

    Returns:
        Name to error of the pipelines whose project dbt cannot parse; the others are done.
    """
    return _for_each(found, lambda spec: refresh_manifest(spec, here, report, specs_of(found)))


def make_manifests(
    here: Settings, found: DagFiles, report: Callable[[str], None], *, wrote: Callable[[str], None]
) -> dict[str, GoldsmithError]:
    """Make the manifests of all pipelines, each once.

    Args:
        here: Settings of this process.
        found: The pipelines.
        report: Called with a line for each step.
        wrote: Called with a line for each manifest.

    Returns:
        As `refresh_manifests`.
    """
    done: set[Path] = set()

    def make(spec: Pipeline) -> None:
        place = project_to_make(spec, here).manifest_path
        if place not in done or not is_fresh(spec, here):
            wrote(f"Wrote {make_manifest_of(spec, here, report, specs_of(found))}")
            done.add(place)

    return _for_each(found, make)


def specs_of(found: DagFiles) -> list[Pipeline]:
    """The pipelines that can be used."""
    return [spec for spec, _ in found.pipelines.values()]


def _for_each(found: DagFiles, do: Callable[[Pipeline], None]) -> dict[str, GoldsmithError]:
    failed: dict[str, GoldsmithError] = {}
    for spec, _ in found.pipelines.values():
        try:
            do(spec)
        except GoldsmithError as error:
            failed[spec.name] = error
        except (OSError, UnicodeError) as error:  # files of this project alone
            failed[spec.name] = EnvironmentProblem(
                f"The dbt project cannot be read: {error}", hint="Check its permissions and encoding."
            )
    return failed
