"""`goldsmith logs`: what dbt said about a node, or the log of a part of the stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from goldsmith.commands.arguments import PIPELINE, OfPipeline, OfRun
from goldsmith.commands.as_json import AsJson, print_json
from goldsmith.settings import Settings, settings

if TYPE_CHECKING:
    from goldsmith.client.node_log import NodeLog


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: goldsmith logs int_customers__cleaned")(logs)


def logs(
    name: Annotated[
        str | None,
        typer.Argument(help="A part of the stack; else a dbt node's name or unique id, or a task id."),
    ] = None,
    *,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many lines of a part's log.")] = 100,
    task_log: Annotated[
        bool, typer.Option("--task-log", help="Airflow's log of the task, not what dbt said.")
    ] = False,
    run_id: OfRun = None,
    pipeline: OfPipeline = None,
    as_json: AsJson = False,
) -> None:
    """Print what dbt said about a node, or the end of a part's log; without a name, where the logs are."""
    from goldsmith.stack.logs import NAMES, component_log, log_files
    from goldsmith.stack.stack import local_stack

    here = settings()
    if name is None:
        files = log_files(local_stack(here))
        document: dict[str, Any] = {"files": {part: str(file) for part, file in files.items()}}
        shown = [f"{part:14} {file}" for part, file in files.items()]
    elif name in NAMES:
        shown = component_log(local_stack(here), name, lines=lines)
        document = {"part": name, "lines": shown}
    else:
        found = _node_log(here, name, run_id=run_id, pipeline=pipeline, only_task_log=task_log)
        shown, document = found.lines(), found.to_dict()
        if found.note:
            typer.echo(found.note, err=True)
    if as_json:
        print_json(document)
        return
    for line in shown:
        typer.echo(line)


def _node_log(
    here: Settings, name: str, *, run_id: str | None, pipeline: str | None, only_task_log: bool
) -> NodeLog:
    from goldsmith.client.airflow import running_airflow
    from goldsmith.client.meant import has_node
    from goldsmith.client.node_log import node_log
    from goldsmith.pipelines.find import choose_pipeline
    from goldsmith.pipelines.prepare import plan_if_here

    spec, _ = choose_pipeline(here, pipeline, meant=has_node(here, name), option=PIPELINE)
    airflow = running_airflow(here)
    with airflow.api:
        plan = plan_if_here(spec, here)
        return node_log(airflow, plan, spec.name, name, run_id=run_id, only_task_log=only_task_log)
