"""The commands `goldsmith gate ...`: arguments, and which function they go to."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from goldsmith.settings import settings

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="See what a gate said, and decide where it asks.",
    epilog="Example: goldsmith gate show latest silver",
)

_Run = Annotated[str, typer.Argument(help="Id of the run, or `latest`.")]
_Layer = Annotated[str, typer.Argument(help="The layer before the gate.")]
_Reason = Annotated[str, typer.Option("--reason", help="Why; kept with the verdict.")]
_Pipeline = Annotated[
    str | None, typer.Option("--pipeline", help="Name of the pipeline; needed where there are several.")
]


@app.command(epilog="Example: goldsmith gate show latest silver")
def show(
    run: _Run,
    layer: _Layer,
    *,
    pipeline: _Pipeline = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show a gate's verdict: every limit, what was measured, who decided what."""
    from goldsmith.local.airflow import running_airflow
    from goldsmith.local.gates import gate_in_run
    from goldsmith.pipelines.find import choose_pipeline

    here = settings()
    spec, _ = choose_pipeline(here, pipeline)
    with running_airflow(here).api as api:
        found = gate_in_run(api, spec.name, run, layer)
        if as_json:
            verdict = found.verdict()
            document = {"run_id": found.run_id, "layer": layer, "state": found.state}
            typer.echo(json.dumps({**document, "verdict": verdict.to_dict() if verdict else None}, indent=2))
            return
        for line in found.lines():
            typer.echo(line)


@app.command(epilog="Example: goldsmith gate approve latest silver --reason 'known, ticket 42'")
def approve(run: _Run, layer: _Layer, *, reason: _Reason, pipeline: _Pipeline = None) -> None:
    """Let a blocked layer pass; its failures count as tolerated."""
    _answer(run, layer, approve=True, reason=reason, pipeline=pipeline)


@app.command(epilog="Example: goldsmith gate reject latest silver --reason 'wrong currency rates'")
def reject(run: _Run, layer: _Layer, *, reason: _Reason, pipeline: _Pipeline = None) -> None:
    """Keep a blocked layer blocked, without waiting any longer."""
    _answer(run, layer, approve=False, reason=reason, pipeline=pipeline)


def _answer(run: str, layer: str, *, approve: bool, reason: str, pipeline: str | None) -> None:
    from goldsmith.local.airflow import running_airflow
    from goldsmith.local.gates import gate_in_run
    from goldsmith.pipelines.find import choose_pipeline

    here = settings()
    spec, _ = choose_pipeline(here, pipeline)
    with running_airflow(here).api as api:
        found = gate_in_run(api, spec.name, run, layer)
        found.answer(approve=approve, reason=reason, report=lambda line: typer.echo(line, err=True))
    typer.echo(f"{'Approved' if approve else 'Rejected'} {layer} in run {found.run_id}")
