"""How long `goldsmith check` takes, and what it costs: with no manifest yet, and again with everything there.

Generated projects (projects.py), one for each pipeline, all in one temporary repository with an embedded PostgreSQL
that answers. CPU seconds are those of the command and of all it starts.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from projects import shape, write_project
from record import Record
from rich.console import Console
from rich.table import Table

_DAG = '''"""Airflow DAG: {name}."""

from goldsmith import Pipeline, build_dag

dag = build_dag(Pipeline(name="{name}", project="{name}"))
'''


def repository(root: Path, *, pipelines: int, models: int) -> None:
    """Write DAG files and dbt projects."""
    (root / "dags").mkdir(parents=True)
    for number in range(pipelines):
        name = f"pipeline_{number}"
        write_project(root / name, shape(models, seed=number), schema=name)
        (root / "dags" / f"{name}.py").write_text(_DAG.format(name=name))


def timed(arguments: list[str], root: Path, env: Mapping[str, str]) -> dict[str, float]:
    """Call `goldsmith`, and give wall and CPU seconds.

    Raises:
        SystemExit: It failed; a check that finds faults measures something else.
    """
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "goldsmith.cli", *arguments],
        cwd=root,
        env=dict(env),
        capture_output=True,
        text=True,
        check=False,
    )
    seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(f"goldsmith {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "cpu_s": cpu}


def measure(*, pipelines: int, models: int, repeat: int) -> list[dict[str, object]]:
    """The rows of the table for one number of pipelines."""
    named = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "GOLDSMITH"))
    }
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="goldsmith-bench-") as folder:
        root = Path(folder)
        repository(root, pipelines=pipelines, models=models)
        timed(["up", "--warehouse"], root, named)
        try:
            measured = [("cold", [timed(["check"], root, named)])]
            measured.append(("warm", [timed(["check"], root, named) for _ in range(repeat)]))
            measured.append(("import airflow", [_import_airflow(root, named) for _ in range(repeat)]))
        finally:
            timed(["down"], root, named)
    for case, times in measured:
        row: dict[str, object] = {"pipelines": pipelines, "models": models, "case": case}
        for key in ("seconds", "cpu_s"):
            row[key] = statistics.median(one[key] for one in times)
        rows.append({**row, "all_seconds": [one["seconds"] for one in times]})
    return rows


def _import_airflow(root: Path, env: Mapping[str, str]) -> dict[str, float]:
    """The yardstick: what every process of Airflow's pays before it does anything, on this machine at this time."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(
        [sys.executable, "-c", "import airflow"], env={**env, "AIRFLOW_HOME": str(root / "home")}, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {"seconds": time.monotonic() - start, "cpu_s": after.ru_utime - before.ru_utime}


def main() -> None:
    """Generate, measure, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pipelines", default="1,2", help="how many, with commas between")
    parser.add_argument("--models", type=int, default=30, help="of each pipeline's project; at least 10")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the medians here")
    options = parser.parse_args()
    record = Record()
    rows = [
        row
        for pipelines in map(int, options.pipelines.split(","))
        for row in measure(pipelines=pipelines, models=options.models, repeat=options.repeat)
    ]
    table = Table(title="goldsmith check")
    for head in ("pipelines", "case", "seconds", "CPU seconds"):
        table.add_column(head, justify="left" if head == "case" else "right")
    for row in rows:
        table.add_row(str(row["pipelines"]), str(row["case"]), f"{row['seconds']:.1f}", f"{row['cpu_s']:.1f}")
    Console(width=100).print(table)
    record.write(options.json, rows)


if __name__ == "__main__":
    main()
