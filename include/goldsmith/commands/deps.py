"""`goldsmith deps`: install the dbt packages of the projects."""

from __future__ import annotations

import typer

from goldsmith.commands.arguments import AnyPipeline
from goldsmith.commands.console import console_of
from goldsmith.settings import settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: goldsmith deps")(deps)


def deps(pipeline: AnyPipeline = None) -> None:
    """Install dbt packages: those that the project lists itself, else those of packages.yml beside the dags folder."""
    from goldsmith.pipelines.find import show_failed
    from goldsmith.pipelines.packages import install_packages

    failed = install_packages(settings(), pipeline, typer.echo)
    if len(failed) == 1:
        raise next(iter(failed.values()))
    show_failed(failed, console_of(stderr=True))
    raise typer.Exit(max((error.exit_code for error in failed.values()), default=0))
