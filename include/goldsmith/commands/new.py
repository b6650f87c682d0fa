"""`goldsmith new`: the files of one more pipeline."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from goldsmith.errors import ConfigurationError
from goldsmith.settings import Settings, settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: goldsmith new finance --project transform")(new)


def new(
    name: Annotated[str, typer.Argument(help="Name of the pipeline.", show_default=False)],
    *,
    project: Annotated[
        str | None,
        typer.Option(help="Folder of its dbt project, from the repository's root; default dbt_project."),
    ] = None,
    python: Annotated[bool, typer.Option("--python", help="Write the spec into the DAG file.")] = False,
) -> None:
    """Write the spec of a pipeline, and the DAG file unless one loads the folder of specs.

    `goldsmith init` proposes layers too, for a dbt project that has no pipeline yet.
    """
    from goldsmith.adopt import files
    from goldsmith.pipelines.find import find_pipelines

    here = settings()
    found = find_pipelines(here)
    keys = _keys(name, project, here)
    if name in found.names:
        raise ConfigurationError(f"There is a pipeline {name} already.", hint=f"goldsmith plan {name}")
    specs = (here.dags_dir / files.SPECS).resolve()
    if python:
        changes = [files.python_file(here.dags_dir, name, keys)]
    else:
        changes = [files.spec_file(here.dags_dir, name, keys), files.schema_file(here.dags_dir)]
        changes += [] if specs in found.folders else [files.dag_file(here.dags_dir, name)]
    _write(changes)
    typer.echo(
        f"Next: write layers, schedule and so on, then\n  goldsmith check {name}\n  goldsmith run {name}"
    )


def _keys(name: str, project: str | None, here: Settings) -> dict[str, Any]:
    """The keys of the spec; what cannot be a name, and a folder without a project, are errors."""
    from goldsmith.dbt.project import find_project
    from goldsmith.spec.pipeline import Pipeline

    find_project(here.root / project if project else here.dbt_project_dir)
    keys = {"name": name, **({"project": project} if project else {}), "schedule": "@daily"}
    Pipeline.parse(keys, where=f"a pipeline {name}")
    return keys


def _write(changes: list[Any]) -> None:
    from goldsmith.adopt import files

    missing = files.missing_only(changes)
    there = [one.path for one in changes if one not in missing and one.why != files.FOR_EDITORS]
    if there:
        raise ConfigurationError(f"{there[0]} exists.", hint="Choose another name: nothing is overwritten.")
    files.write(missing)
    for one in missing:
        typer.echo(f"Wrote {one.path}")
