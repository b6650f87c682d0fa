"""`goldsmith init`: a pipeline for a dbt project that is there already, or for a new one."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from goldsmith.commands.as_json import AsJson, print_json
from goldsmith.commands.console import console_of
from goldsmith.errors import ConfigurationError

if TYPE_CHECKING:
    from goldsmith.adopt.init import Init
    from goldsmith.check import Finding


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: goldsmith init --project transform --yes")(init)


def init(
    folder: Annotated[Path, typer.Argument(help="The repository.", show_default=False)] = Path(),
    *,
    project: Annotated[
        list[Path] | None, typer.Option(help="A dbt project in it, if there are several; may be repeated.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the pipeline; default is the dbt project's.")
    ] = None,
    schedule: Annotated[
        str | None, typer.Option(help="Cron expression or preset; default is @daily.")
    ] = None,
    connection: Annotated[
        str | None,
        typer.Option(help="An Airflow connection in place of profiles.yml; `warehouse`: embedded."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Write without asking.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show the files, and write none of them; dbt parses the project."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look at a repository with a dbt project, propose a pipeline with layers, and write what is missing.

    Nothing that is there is changed; lines may be added to .gitignore, .airflowignore and requirements.txt. In an empty
    folder it makes a project of five models.
    """
    from goldsmith.adopt.adoption import Asked
    from goldsmith.adopt.init import look_and_adopt
    from goldsmith.adopt.show import document, shown
    from goldsmith.client.session import reporter

    console = console_of(stderr=as_json)
    asked = Asked(name=name, schedule=schedule, connection=connection)
    found = look_and_adopt(folder, project or [], asked, reporter(console_of(stderr=True)))
    console.print(shown(found), highlight=False)
    may_write = bool(found.changes) and not dry_run and _is_wanted(found, yes=yes)
    findings = _written(found, console) if may_write else []
    if as_json:
        print_json(document(found, written=may_write, findings=[asdict(one) for one in findings]))
    raise typer.Exit(_ended(found, findings, console, is_written=may_write))


def _is_wanted(found: Init, *, yes: bool) -> bool:
    if yes:
        return True
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "Nobody can be asked here, so nothing is written.", hint="The same command again, with --yes."
        )
    return typer.confirm(f"Write {len(found.changes)} files?", default=True, err=True)


def _written(found: Init, console: Console) -> list[Finding]:
    """Write the files; and check without the warehouse, above all whether Airflow can import the DAG files."""
    from goldsmith.adopt.files import write
    from goldsmith.adopt.init import check_written

    write(found.changes)
    return check_written(found, lambda line: console.print(line, style="dim"))


def _ended(found: Init, findings: list[Finding], console: Console, *, is_written: bool) -> int:
    from goldsmith.adopt.show import next_commands
    from goldsmith.check import FAIL, findings_table

    failed = [one for one in findings if one.status == FAIL]
    if failed:
        console.print(findings_table(failed), highlight=False)
        return 2
    if is_written:
        console.print(
            f"Wrote {len(found.changes)} files. Airflow can import {', '.join(found.names)}.", highlight=False
        )
    if is_written or not found.changes:
        console.print("Next:", *next_commands(found), sep="\n  ", highlight=False)
    return 0
