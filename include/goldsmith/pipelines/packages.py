"""`goldsmith deps`: the dbt packages of every project that a pipeline runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from goldsmith.dbt.packages import install, own_list
from goldsmith.errors import GoldsmithError
from goldsmith.pipeline import project_of
from goldsmith.pipelines.find import choose_pipeline, find_pipelines
from goldsmith.settings import Settings


def install_packages(
    here: Settings, pipeline: str | None, report: Callable[[str], None]
) -> dict[str, GoldsmithError]:
    """Install the packages of one pipeline's project, or of all.

    Args:
        here: Settings of this process.
        pipeline: Name of the pipeline; None for all.
        report: Called with a line for each project.

    Returns:
        Pipeline, or folder of the project, to why its packages cannot be installed; the others are done.
    """
    shared = here.root / "packages.yml"
    projects, failed = _projects(here, pipeline)
    # One that lists no packages needs none, if there is no list at the top either.
    wanted = {path: dbt for path, dbt in projects.items() if shared.is_file() or own_list(path)}
    if projects and not wanted:
        report(f"Nothing to install: neither {shared} nor a project's own packages.yml exists")
    for path, dbt in wanted.items():
        try:
            done = install(path, shared, dbt=dbt)
        except GoldsmithError as error:
            failed[str(path)] = error
        else:
            report(f"Installed from {done.listed_in}: {', '.join(done.names) or 'nothing'}")
    return failed


def _projects(here: Settings, pipeline: str | None) -> tuple[dict[Path, str], dict[str, GoldsmithError]]:
    """The dbt projects, folder to dbt command, without pipelines the usual one; and which have none, and why."""
    if pipeline is not None:
        project = project_of(choose_pipeline(here, pipeline)[0], here)
        return {project.path: project.dbt}, {}
    found: dict[Path, str] = {}
    files = find_pipelines(here)
    failed = files.errors
    for name, (spec, _) in files.pipelines.items():
        try:
            project = project_of(spec, here)
            found.setdefault(project.path, project.dbt)
        except GoldsmithError as error:
            failed[name] = error
    return found or ({here.dbt_project_dir: here.dbt} if not failed else {}), failed
