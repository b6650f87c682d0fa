"""`goldsmith gate ...`: what a gate said, and the answer where it asks."""

from __future__ import annotations

from typing import Annotated

import typer

from goldsmith.commands.arguments import PIPELINE, OfPipeline
from goldsmith.commands.as_json import AsJson, print_json
from goldsmith.settings import settings

group = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="See what a gate said, and decide where it asks.",
    epilog="Example: goldsmith gate show latest silver",
)

_Run = Annotated[str, typer.Argument(help="Id of the run, or `latest`.")]
_Layer = Annotated[str, typer.Argument(help="The layer before the gate.")]
_Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the verdict.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(group, name="gate")


@group.command(epilog="Example: goldsmith gate show latest silver")
def show(
    run: _Run,
    layer: _Layer,
    *,
    pipeline: OfPipeline = None,
    as_json: AsJson = False,
) -> None:
    """Show a gate's verdict: every limit, what was measured, who decided what."""
    from goldsmith.client.airflow import running_airflow
    from goldsmith.client.gate_in_run import gate_in_run
    from goldsmith.client.meant import either, has_layer, has_run
    from goldsmith.pipelines.find import choose_pipeline

    here = settings()
    meant = either(has_layer(layer), has_run(here, run))
    spec, _ = choose_pipeline(here, pipeline, meant=meant, option=PIPELINE)
    with running_airflow(here).api as api:
        found = gate_in_run(api, spec.name, run, layer)
        if as_json:
            verdict = found.verdict()
            document = {"run_id": found.run_id, "layer": layer, "state": found.state}
            print_json({**document, "verdict": verdict.to_dict() if verdict else None})
            return
        for line in found.lines():
            typer.echo(line)


@group.command(epilog="Example: goldsmith gate approve latest silver --reason 'known, ticket 42'")
def approve(run: _Run, layer: _Layer, *, reason: _Reason, pipeline: OfPipeline = None) -> None:
    """Let a blocked layer pass; its failures count as tolerated."""
    _answer(run, layer, approve=True, reason=reason, pipeline=pipeline)


@group.command(epilog="Example: goldsmith gate reject latest silver --reason 'wrong currency rates'")
def reject(run: _Run, layer: _Layer, *, reason: _Reason, pipeline: OfPipeline = None) -> None:
    """Keep a blocked layer blocked, without waiting any longer."""
    _answer(run, layer, approve=False, reason=reason, pipeline=pipeline)


def _answer(run: str, layer: str, *, approve: bool, reason: str, pipeline: str | None) -> None:
    from goldsmith.client.airflow import running_airflow
    from goldsmith.client.gate_in_run import gate_in_run
    from goldsmith.client.meant import either, has_layer, has_run
    from goldsmith.pipelines.find import choose_pipeline

    here = settings()
    meant = either(has_layer(layer), has_run(here, run))
    spec, _ = choose_pipeline(here, pipeline, meant=meant, option=PIPELINE)
    with running_airflow(here).api as api:
        found = gate_in_run(api, spec.name, run, layer)
        found.answer(approve=approve, reason=reason, report=lambda line: typer.echo(line, err=True))
    typer.echo(f"{'Approved' if approve else 'Rejected'} {layer} in run {found.run_id}")
