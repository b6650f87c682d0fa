"""The option `--json`, and how a document is printed."""

from __future__ import annotations

import json
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document; progress goes to stderr.")]


def print_json(document: object) -> None:
    """Print a document that programs read.

    Args:
        document: Plain values.
    """
    typer.echo(json.dumps(document, indent=2))
