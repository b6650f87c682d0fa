"""The commands `goldsmith run` and `goldsmith backfill`: their arguments, and how they let a person watch."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from goldsmith.local import run_arguments
from goldsmith.settings import settings

if TYPE_CHECKING:
    from goldsmith.local.airflow import Airflow
    from goldsmith.local.report import Report
    from goldsmith.spec.pipeline import Pipeline

PipelineArgument = Annotated[
    str | None, typer.Argument(help="Name of the pipeline; needed where there are several.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document; progress goes to stderr.")]
DownOption = Annotated[bool, typer.Option("--down", help="Stop the local stack after the run.")]


def run(
    pipeline: PipelineArgument = None,
    *,
    select: run_arguments.Select = None,
    exclude: run_arguments.Exclude = None,
    full_refresh: run_arguments.FullRefresh = False,
    approve_full_refresh: run_arguments.Approved = False,
    dbt_vars: run_arguments.Vars = "",
    event_time_start: run_arguments.From = None,
    event_time_end: run_arguments.To = None,
    threads: run_arguments.Threads = None,
    fail_fast: run_arguments.FailFast = False,
    dry_run: run_arguments.DryRun = False,
    failed: Annotated[bool, typer.Option("--failed", help="Go on with the last run, which failed.")] = False,
    as_json: JsonOption = False,
    down: DownOption = False,
) -> None:
    """Start what is needed, run a pipeline and show its progress. Exit code: 0 success, 1 the run failed."""
    from goldsmith.local.airflow import started_airflow
    from goldsmith.local.run import prepare_run, resume_run, run_pipeline
    from goldsmith.local.session import reporter
    from goldsmith.pipelines.find import choose_pipeline

    here, console = settings(), Console(stderr=as_json)
    report = reporter(console)
    spec, file = choose_pipeline(here, pipeline)
    asked = run_arguments.RunArguments(
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
    work = (
        partial(resume_run, airflow, spec, here, asked=asked, report=report)
        if failed
        else partial(run_pipeline, airflow, spec, here, file=file, asked=asked, report=report)
    )
    raise typer.Exit(watched(work, airflow, spec, console, as_json=as_json, down=down))


def backfill(
    pipeline: PipelineArgument = None,
    *,
    start: Annotated[str, typer.Option("--from", help="Start of the first window, such as 2026-11-01; UTC.")],
    end: Annotated[str, typer.Option("--to", help="End of the last window, which does not belong to it.")],
    every: Annotated[str, typer.Option("--every", help="Length of a window: 1d, 6h.")] = "1d",
    select: run_arguments.Select = None,
    exclude: run_arguments.Exclude = None,
    full_refresh: run_arguments.FullRefresh = False,
    approve_full_refresh: run_arguments.Approved = False,
    dbt_vars: run_arguments.Vars = "",
    threads: run_arguments.Threads = None,
    fail_fast: run_arguments.FailFast = False,
    dry_run: run_arguments.DryRun = False,
    down: DownOption = False,
) -> None:
    """Run a pipeline for one window of time after the other, and stop at the first that fails."""
    from goldsmith.local.airflow import started_airflow
    from goldsmith.local.backfill import backfilled, windows
    from goldsmith.local.follow import display_on
    from goldsmith.local.run import group_order, prepare_run, run_pipeline
    from goldsmith.local.session import Watch, ending_with, reporter
    from goldsmith.pipelines.find import choose_pipeline

    here, console = settings(), Console()
    report = reporter(console)
    spec, file = choose_pipeline(here, pipeline)
    asked = run_arguments.RunArguments(
        select=select,
        exclude=exclude,
        full_refresh=full_refresh,
        full_refresh_approved=approve_full_refresh,
        vars=dbt_vars,
        threads=threads,
        fail_fast=fail_fast,
        dry_run=dry_run,
    ).options(target=spec.target or here.target)
    todo = windows(start, end, every)
    prepare_run(spec, here, todo[0].of(asked), report, file=file)
    airflow = started_airflow(here, report)
    watch = Watch(display=display_on(console, group_order(spec)))
    work = partial(run_pipeline, airflow, spec, here, file=file, watch=watch, report=report)
    with ending_with(airflow, console, watch, down=down):
        is_success = backfilled(work, asked, todo, console)
    raise typer.Exit(0 if is_success else 1)


def watched(
    work: Callable[..., Report],
    airflow: Airflow,
    spec: Pipeline,
    console: Console,
    *,
    as_json: bool,
    down: bool,
) -> int:
    """Let a run go to its end before the user's eyes; give the exit code."""
    from goldsmith.local.follow import display_on
    from goldsmith.local.run import group_order
    from goldsmith.local.session import Watch, ending_with

    watch = Watch(display=display_on(console, group_order(spec)))
    with ending_with(airflow, console, watch, down=down):
        done = work(watch=watch)
        done.print_on(console)
    if as_json:
        typer.echo(json.dumps(done.to_dict(), indent=2))
    return 0 if done.is_success else 1
