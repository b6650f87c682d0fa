"""`goldsmith retry`: one node again in its run."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from goldsmith.commands.arguments import PIPELINE, OfPipeline, OfRun
from goldsmith.commands.as_json import AsJson
from goldsmith.commands.console import console_of
from goldsmith.commands.watched import watched
from goldsmith.settings import settings


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: goldsmith retry stg_transactions --downstream")(retry)


def retry(
    node: Annotated[str, typer.Argument(help="A dbt node's name or unique id, or a task id.")],
    *,
    downstream: Annotated[bool, typer.Option("--downstream", help="Also run what depends on it.")] = False,
    run_id: OfRun = None,
    pipeline: OfPipeline = None,
    as_json: AsJson = False,
) -> None:
    """Run one node again in its run, and nothing before it. Exit code as of `run`."""
    from goldsmith.client.airflow import running_airflow
    from goldsmith.client.meant import has_node
    from goldsmith.client.retry import retry_node
    from goldsmith.client.session import reporter
    from goldsmith.pipelines.find import choose_pipeline

    here, console = settings(), console_of(stderr=as_json)
    spec, _ = choose_pipeline(here, pipeline, meant=has_node(here, node), option=PIPELINE)
    airflow = running_airflow(here)
    work = partial(
        retry_node,
        airflow,
        spec,
        here,
        node=node,
        run_id=run_id,
        downstream=downstream,
        report=reporter(console),
    )
    raise typer.Exit(watched(work, airflow, spec, console, as_json=as_json, down=False))
