"""`goldsmith backfill`: a pipeline for one window of time after the other."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from goldsmith.commands import arguments
from goldsmith.commands.console import console_of
from goldsmith.settings import settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        epilog="Example: goldsmith backfill --from 2026-11-01 --to 2026-11-08 --select +fct_transactions"
    )(backfill)


def backfill(
    pipeline: arguments.OnePipeline = None,
    *,
    start: Annotated[str, typer.Option("--from", help="Start of the first window, such as 2026-11-01; UTC.")],
    end: Annotated[str, typer.Option("--to", help="End of the last window, which does not belong to it.")],
    every: Annotated[str, typer.Option("--every", help="Length of a window: 1d, 6h.")] = "1d",
    select: arguments.Select = None,
    exclude: arguments.Exclude = None,
    ingest: arguments.Ingest = False,
    full_refresh: arguments.FullRefresh = False,
    full_refresh_approved: arguments.Approved = False,
    dbt_vars: arguments.Vars = "",
    threads: arguments.Threads = None,
    fail_fast: arguments.FailFast = False,
    dry_run: arguments.DryRun = False,
    down: arguments.Down = False,
) -> None:
    """Run a pipeline for one window of time after the other, and stop at the first that fails."""
    given = dict(locals())
    from goldsmith.client.airflow import started_airflow
    from goldsmith.client.backfill import backfilled, windows
    from goldsmith.client.display import display_on
    from goldsmith.client.run import group_order, run_pipeline
    from goldsmith.client.session import Watch, ending_with, reporter
    from goldsmith.pipelines.find import choose_pipeline
    from goldsmith.pipelines.prepare import prepare_run

    here, console = settings(), console_of()
    spec, file = choose_pipeline(here, pipeline)
    asked = arguments.RunArguments.among(given).options(target=spec.target or here.target)
    todo = windows(start, end, every)
    prepare_run(spec, here, todo[0].of(asked), report := reporter(console), file=file)
    airflow = started_airflow(here, report)
    watch = Watch(display=display_on(console, group_order(spec)))
    work = partial(run_pipeline, airflow, spec, here, file=file, watch=watch, report=report)
    with ending_with(airflow, console, watch, down=down):
        is_success = backfilled(work, asked, todo, console)
    raise typer.Exit(0 if is_success else 1)
