"""`goldsmith schema`: the JSON Schema of pipeline specs, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: goldsmith schema --out dags/pipelines/pipeline.schema.json")(schema)


def schema(
    out: Annotated[Path | None, typer.Option(help="Write it into this file.", show_default=False)] = None,
) -> None:
    """Print the JSON Schema of pipeline specs, by which an editor completes and checks them.

    Name it in the first line of a spec: # yaml-language-server: $schema=pipeline.schema.json
    """
    from goldsmith.spec.json_schema import pipeline_schema

    text = json.dumps(pipeline_schema(), indent=2, ensure_ascii=False)
    if out is None:
        typer.echo(text)
    else:
        out.write_text(f"{text}\n", encoding="utf-8")
        typer.echo(f"Wrote {out}")
