r"""What a run costs: `python benchmarks/engines.py --models 100 --variants dbt_build,shared --gate node --json FILE`.

A generated dbt project runs in a private Airflow (`goldsmith up` in a temporary folder: embedded PostgreSQL, four
slots, Airflow's and dbt's settings those of the local stack). The variants take turns, and every run starts from an
empty schema; the table shows medians.

    dbt_build       the yardstick: plain `dbt build` as the only task of a DAG
    shared          Goldsmith's shared engine: one dbt build per layer, every node a task
    isolated        Goldsmith's isolated engine: one dbt per task
    cosmos_watcher  Cosmos, ExecutionMode.WATCHER, dbtRunner, tests after each model
    cosmos_local    Cosmos, ExecutionMode.LOCAL, dbtRunner, tests after each model

    wall_s          from the start of the run to its end
    ratio           wall_s over that of dbt_build in the same invocation, which pays for loading dbt and the project
    ratio_dbt       wall_s over dbt's own elapsed time in dbt_build, which does not
    ratio_cpu       cpu_s over that of dbt_build
    per_layer_s     wall_s beyond dbt's own elapsed time, for each build of the run
    cpu_s           of Airflow's components, tasks and dbt; PostgreSQL, which serves both, is apart
    cpu_s_per_task  cpu_s over the tasks; what dbt itself needs is the cpu_s of dbt_build
    tail_s          end of the run minus the end of the last task that builds many nodes
    rss_mb          peak of the sum of resident sets, shared pages counted repeatedly

Of green runs of the shared engine a second table has the seconds of each step between the layers: see steps.py. The
JSON has all of it, with the id of the commit.

Other cases than green runs: --fail-share (until every unaffected node is green), --heal (a root with 200 nodes below
it fails once; from the start of its retry until all is green) and --retry-one (from the click to green, over
`dbt run -s model` on the command line).
"""

from __future__ import annotations

import argparse
import json
import signal
import statistics
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import steps
from arena import arena
from cases import Case, Measured, failing, green, healing, retrying
from dag_files import BASELINE, GOLDSMITH, SHARED, VARIANTS
from projects import Shape, rooted_shape, shape
from record import Record
from rich.console import Console
from rich.table import Table

_NUMBERS = tuple(one.name for one in fields(Measured) if one.name != "layers")
_RATIOS = ("ratio", "ratio_dbt", "ratio_cpu", "per_layer_s")
_COLUMNS = ("tasks", "wall_s", "cpu_s", "cpu_s_per_task", "postgres_cpu_s", "tail_s", "rss_mb", *_RATIOS)


def case_of(options: argparse.Namespace) -> tuple[str, Case, Shape, dict[str, Any]]:
    """The case that was asked for: its name, how it is measured, the project, and what the spec has besides."""
    spec = {"gate": options.gate, "tasks": options.tasks}
    if options.heal:
        retries = {"retries": {"models": 1, "delay": "1s", "errors": "any"}}
        return "heal", healing, rooted_shape(seed=options.seed), {**spec, **retries}
    made = shape(options.models, seed=options.seed, fail_share=options.fail_share)
    if options.fail_share:
        return f"fail {options.fail_share:g}", failing, made, {**spec, "retries": {"models": 0}}
    return ("retry one", retrying, made, spec) if options.retry_one else ("green", green, made, spec)


def measure(options: argparse.Namespace) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Run the variants in turn, and give one row for each, and one for each layer of the shared engine."""
    name, case, made, spec = case_of(options)
    found: dict[str, list[Measured]] = {variant: [] for variant in options.variants}
    with arena(made, options.variants, spec=spec, executor=options.executor, report=_say) as here:
        for variant in options.variants:
            # The connection makes another profile than that of `dbt parse`, so dbt parses the project once more.
            if options.warm_up and variant in GOLDSMITH:
                _say(f"warm-up: {variant}: {case(here, variant).wall_s:.1f} s")
        for number in range(options.repeat):
            for variant in options.variants:
                done = case(here, variant)
                found[variant].append(done)
                _say(f"round {number + 1}: {variant}: {done.wall_s:.1f} s, {done.cpu_s or 0:.1f} CPU-s")
    about = {
        "gate": options.gate,
        "granularity": options.tasks,
        "case": name,
        "executor": options.executor,
        "models": len(made.models),
    }
    yardstick = row_of(found[BASELINE], {}) if BASELINE in found else {}
    rows = [{"variant": variant, **about, **row_of(runs, yardstick)} for variant, runs in found.items()]
    layers = [run.layers for run in found.get(SHARED, ()) if run.layers]
    return rows, steps.medians(layers) if layers else []


def row_of(runs: list[Measured], yardstick: dict[str, Any]) -> dict[str, Any]:
    """Medians of a variant's runs, the ratios to the yardstick, and every single wall time.

    Args:
        runs: The runs.
        yardstick: The row of plain dbt; empty if it was not run.
    """
    row: dict[str, Any] = {name: _median(runs, name) for name in _NUMBERS}
    row["tasks"] = runs[-1].tasks
    row["cpu_s_per_task"] = row["cpu_s"] / row["tasks"] if row["cpu_s"] is not None else None
    row["ratio"] = _over(row["wall_s"], yardstick.get("wall_s"))
    row["ratio_dbt"] = _over(row["wall_s"], yardstick.get("dbt_s"))
    row["ratio_cpu"] = _over(row["cpu_s"], yardstick.get("cpu_s"))
    dbt_s, layers = yardstick.get("dbt_s"), len(runs[-1].layers)
    row["per_layer_s"] = (row["wall_s"] - dbt_s) / layers if dbt_s and layers else None
    return {**row, "all_wall_s": [run.wall_s for run in runs], "all_cpu_s": [run.cpu_s for run in runs]}


def _over(value: float | None, yardstick: float | None) -> float | None:
    return value / yardstick if value is not None and yardstick else None


def _median(runs: list[Measured], name: str) -> float | None:
    values = [value for run in runs if (value := getattr(run, name)) is not None]
    return float(statistics.median(values)) if values else None


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def report(rows: list[dict[str, Any]]) -> None:
    """Print the rows."""
    first = rows[0]
    table = Table(
        title=f"{first['models']} models, gate {first['gate']}, tasks: {first['granularity']}, "
        f"{first['executor']} executor, {first['case']}, medians of {len(first['all_wall_s'])}"
    )
    table.add_column("variant", no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        cells = [_shown(row[name], 3 if name == "cpu_s_per_task" else 2) for name in _COLUMNS]
        table.add_row(row["variant"], *cells)
    Console(width=140).print(table)


def _shown(value: Any, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}" if isinstance(value, float) else str(value)


def _variants(text: str) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in VARIANTS]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}; choose from {', '.join(VARIANTS)}")
    return names


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--variants", type=_variants, default=[BASELINE, "shared"])
    parser.add_argument("--gate", choices=("layer", "node"), default="layer")
    parser.add_argument(
        "--tasks", choices=("test", "model_tests", "model"), default="test", help="what becomes a task"
    )
    parser.add_argument("--executor", choices=("local", "celery"), default="local")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--warm-up",
        action="store_true",
        help="run Goldsmith's variants once before, uncounted: the first run of a project is not what is measured",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the generated project")
    case = parser.add_mutually_exclusive_group()
    case.add_argument(
        "--fail-share", type=float, default=0.0, help="share of the nodes that fail, such as 0.01"
    )
    case.add_argument("--heal", action="store_true", help="the root of 200 nodes fails once")
    case.add_argument("--retry-one", action="store_true", help="one model of a green run is cleared")
    parser.add_argument("--json", type=Path, help="write the rows here")
    parser.add_argument("--figure", type=Path, help="draw the ratios of --from, and measure nothing")
    parser.add_argument("--from", type=Path, nargs="+", default=[], dest="sources", help="files of --json")
    options = parser.parse_args()
    if options.fail_share and options.gate == "layer":
        parser.error("--fail-share needs --gate node: a gate between layers holds back what is not affected")
    if "isolated" in options.variants and options.tasks != "test":
        parser.error("a task of the isolated variant runs one node: --tasks test")
    if options.tasks != "test" and (options.fail_share or options.heal or options.retry_one):
        parser.error("--fail-share, --heal and --retry-one look at the tasks of single tests: --tasks test")
    if options.figure and not options.sources:
        parser.error("--figure needs --from")
    return options


def main() -> None:
    """Measure and report, or draw."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the stack is stopped then too
    options = _options()
    if options.figure:
        from figure import draw

        rows = [row for source in options.sources for row in json.loads(source.read_text())["rows"]]
        draw(rows, options.figure)
        return
    record = Record()
    rows, layers = measure(options)
    report(rows)
    if layers:
        steps.report(layers)
    record.write(options.json, rows, steps=layers)


if __name__ == "__main__":
    main()
