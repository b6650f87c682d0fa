"""`goldsmith run`: start what is needed, run a pipeline and follow it."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer
from rich.console import Console

from goldsmith.commands import arguments
from goldsmith.commands.as_json import AsJson
from goldsmith.commands.watched import watched
from goldsmith.settings import settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: goldsmith run customer_transactions --select tag:marts --down")(run)


def run(
    pipeline: arguments.OnePipeline = None,
    *,
    select: arguments.Select = None,
    exclude: arguments.Exclude = None,
    full_refresh: arguments.FullRefresh = False,
    approve_full_refresh: arguments.Approved = False,
    dbt_vars: arguments.Vars = "",
    event_time_start: arguments.From = None,
    event_time_end: arguments.To = None,
    threads: arguments.Threads = None,
    fail_fast: arguments.FailFast = False,
    dry_run: arguments.DryRun = False,
    failed: Annotated[bool, typer.Option("--failed", help="Go on with the last run, which failed.")] = False,
    as_json: AsJson = False,
    down: arguments.Down = False,
) -> None:
    """Start what is needed, run a pipeline and show its progress. Exit code: 0 success, 1 the run failed."""
    from goldsmith.client.airflow import started_airflow
    from goldsmith.client.run import resume_run, run_pipeline
    from goldsmith.client.session import reporter
    from goldsmith.pipelines.find import choose_pipeline
    from goldsmith.pipelines.prepare import prepare_run

    here, console = settings(), Console(stderr=as_json)
    report = reporter(console)
    spec, file = choose_pipeline(here, pipeline)
    asked = arguments.RunArguments(
        select=select,
        exclude=exclude,
        full_refresh=full_refresh,
        full_refresh_approved=approve_full_refresh,
        vars=dbt_vars,
        event_time_start=event_time_start,
        event_time_end=event_time_end,
        threads=threads,
        fail_fast=fail_fast,
        dry_run=dry_run,
    ).options(target=spec.target or here.target)
    prepare_run(spec, here, asked, report, file=file)
    airflow = started_airflow(here, report)
    start = resume_run if failed else partial(run_pipeline, file=file)
    work = partial(start, airflow, spec, here, asked=asked, report=report)
    raise typer.Exit(watched(work, airflow, spec, console, as_json=as_json, down=down))
