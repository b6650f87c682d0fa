"""Put the measured numbers into the docs: `python benchmarks/docs.py`, or `--check` to see whether they are there.

The numbers are those of `benchmarks/results/`; the tables of docs/engine.md stand between comments that name them, and
the README's picture is drawn anew.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "engine.md"
PICTURE = ROOT / "docs" / "images" / "engines.png"
Row = dict[str, Any]


def rows_of(pattern: str) -> list[Row]:
    """The rows of the result files whose name matches, each with the commit that was measured."""
    found = []
    for file in sorted(RESULTS.glob(pattern)):
        document = json.loads(file.read_text())
        found += [{**row, "commit": _commit(document)} for row in document["rows"]]
    return found


def _commit(document: dict[str, Any]) -> str:
    head, dash, dirty = str(document.get("commit", "")).partition("-")
    return head[:9] + dash + dirty


def engines() -> Iterable[str]:
    """What a run of the shared engine costs over both yardsticks."""
    ratios = (
        "over `dbt build` as a task | over dbt's own time | CPU over `dbt build` | s per layer beyond dbt"
    )
    yield f"| models | `gate` | `tasks` | tasks | {ratios} | commit |"
    yield "|---|---|---|---|---|---|---|---|---|"
    rows = [
        row
        for row in rows_of("engines-*.json")
        if row["variant"] == "shared" and row["case"] == "green" and row["models"] >= 100
    ]
    for row in sorted(rows, key=lambda row: (row["gate"], row["models"], row["tasks"])):
        about = (
            f"| {row['models']:,} | `{row['gate']}` | `{row.get('granularity', 'test')}` | {row['tasks']:,}"
        )
        numbers = [_number(row.get(name), 2) for name in ("ratio", "ratio_dbt", "ratio_cpu", "per_layer_s")]
        yield " | ".join([about, *numbers, row["commit"], ""]).rstrip()


def steps() -> Iterable[str]:
    """The seconds of each step between the layers, of the runs with gates, summed over the layers."""
    found, commits = {}, {}
    for file in sorted(RESULTS.glob("engines-*-layer.json")):
        document = json.loads(file.read_text())
        if document.get("steps"):
            models = document["rows"][0]["models"]
            found[models], commits[models] = document["steps"], _commit(document)
    if not found:
        yield "Not measured yet."
        return
    yield f"| step | {' | '.join(f'{models:,} models' for models in sorted(found))} |"
    yield "|---" * (len(found) + 1) + "|"
    names = [name for name in next(iter(found.values()))[0] if name != "layer"]
    for name in names:
        sums = [sum(layer[name] for layer in found[models]) for models in sorted(found)]
        yield f"| {name} | {' | '.join(f'{value:.1f}' for value in sums)} |"
    yield f"| commit | {' | '.join(commits[models] for models in sorted(found))} |"


def growth() -> Iterable[str]:
    """How the cost of a run grows with its tasks."""
    names = ("scheduler", "api", "postgres", "parse", "tasks_api", "grid", "graph")
    titles = "scheduler | API server | PostgreSQL | parse | list of tasks | grid | graph"
    yield f"| models | `tasks` | tasks | {titles} | commit |"
    yield "|---" * 11 + "|"
    for row in rows_of("growth.json"):
        digits = [1, 1, 1, 2, 2, 2, 2]
        cells = [_number(row[f"{name}_s"], digit) for name, digit in zip(names, digits, strict=True)]
        about = f"| {row['models']:,} | `{row['granularity']}` | {row['tasks']:,} | "
        yield f"{about}{' | '.join(cells)} | {row['commit']} |"


TABLES: dict[str, Callable[[], Iterable[str]]] = {"engines": engines, "steps": steps, "growth": growth}


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def filled(text: str) -> str:
    """A page with its tables made anew."""
    for name, table in TABLES.items():
        pattern = re.compile(rf"(<!-- benchmarks: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        lines = "\n".join(table())
        text, number = pattern.subn(lambda found, lines=lines: f"{found[1]}{lines}\n{found[2]}", text)
        if number != 1:
            raise SystemExit(f"{PAGE.name} has {number} places for the table {name!r}, and not 1.")
    return text


def main() -> None:
    """Write the page and the picture, or compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if the page has other numbers"
    )
    options = parser.parse_args()
    before = PAGE.read_text(encoding="utf-8")
    after = filled(before)
    if options.check:
        if after != before:
            sys.exit(f"{PAGE.name} has other numbers than benchmarks/results: python benchmarks/docs.py")
        return
    from figure import draw

    PAGE.write_text(after, encoding="utf-8")
    draw([row for row in rows_of("engines-*-layer*.json") if row["gate"] == "layer"], PICTURE)


if __name__ == "__main__":
    main()
