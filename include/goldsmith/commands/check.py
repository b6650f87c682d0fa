"""`goldsmith check`: what can be checked before a run."""

from __future__ import annotations

from typing import Annotated

import typer

from goldsmith.commands.arguments import AnyPipeline
from goldsmith.commands.console import console_of
from goldsmith.settings import settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: goldsmith check --strict")(check)


def check(
    pipeline: AnyPipeline = None,
    *,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as failures.")] = False,
    connections: Annotated[
        bool, typer.Option("--connections/--no-connections", help="Let dbt connect to the warehouse.")
    ] = True,
) -> None:
    """Check specs, manifests, DAGs as Airflow imports them, and connections. Exit code: 0 all is well, 2 it is not."""
    from goldsmith.check import FAIL, check_all, findings_table
    from goldsmith.client.session import reporter
    from goldsmith.stack.stack import local_stack

    here = settings()
    findings = check_all(
        here,
        local_stack(here).env(),
        strict=strict,
        connections=connections,
        report=reporter(console_of(stderr=True)),
        pipeline=pipeline,
    )
    console_of().print(findings_table(findings), highlight=False)
    raise typer.Exit(2 if any(finding.status == FAIL for finding in findings) else 0)
