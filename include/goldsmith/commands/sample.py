"""`goldsmith sample`: make raw files of the sample pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from goldsmith.errors import ConfigurationError


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog="Example: goldsmith sample --rows 1000000 --seed 7 --out /tmp/sample")(sample)


def sample(
    *,
    rows: Annotated[int, typer.Option("--rows", min=1, help="How many transactions.")] = 5000,
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same files.")] = 1,
    out: Annotated[Path, typer.Option("--out", file_okay=False, help="Folder of the files.")],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there.")] = False,
) -> None:
    """Make raw files of the sample pipeline, with the faults of real ones."""
    from goldsmith.sample import FILES, generate

    there = [out / f"{name}.csv" for name in FILES if (out / f"{name}.csv").exists()]
    if there and not overwrite:
        raise ConfigurationError(
            f"{there[0]} exists.", hint="To replace it: --overwrite, or name another folder."
        )
    generate(rows, seed, out)
    typer.echo(f"Wrote the files to {out}")
