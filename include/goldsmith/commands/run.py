"""`goldsmith run`: start what is needed, run a pipeline and follow it."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from goldsmith.commands import arguments
from goldsmith.commands.as_json import AsJson
from goldsmith.commands.console import console_of
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
    ingest: arguments.Ingest = False,
    full_refresh: arguments.FullRefresh = False,
    full_refresh_approved: arguments.Approved = False,
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
    given = dict(locals())
    from goldsmith.client.airflow import started_airflow
    from goldsmith.client.run import resume_run, run_pipeline
    from goldsmith.client.session import reporter
    from goldsmith.pipelines.find import choose_pipeline
    from goldsmith.pipelines.prepare import prepare_run

    here, console = settings(), console_of(stderr=as_json)
    report = reporter(console)
    spec, file = choose_pipeline(here, pipeline)
    asked = arguments.RunArguments.among(given).options(target=spec.target or here.target)
    prepare_run(spec, here, asked, report, file=file)
    airflow = started_airflow(here, report)
    start = resume_run if failed else partial(run_pipeline, file=file)
    work = partial(start, airflow, spec, here, asked=asked, report=report)
    raise typer.Exit(watched(work, airflow, spec, console, as_json=as_json, down=down))
