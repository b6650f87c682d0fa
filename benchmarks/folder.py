"""What it costs Airflow to parse one DAG file with many pipelines: `python benchmarks/folder.py --pipelines 500`.

A folder of specs over one generated dbt project (projects.py), of which every pipeline runs all models, loaded by
`build_dags`; the plans have been compiled before, as a deployment does. Each measurement is a process of its own that
has imported Airflow, Goldsmith and Cosmos. CPU seconds, medians of interleaved rounds:

    dag         the file in the dag-processor, by the number of pipelines
    serialise   the same DAGs to what Airflow stores, by their number
    task        the file in a task's process, where one of the pipelines is built
    alone       the yardstick: that task's process if a DAG file builds its pipeline alone
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from projects import TARGET, parse_project, shape, write_project
from record import Record
from rich.console import Console
from rich.table import Table

_LOADER = '''"""Airflow DAGs: one for each file in pipelines/."""
from goldsmith import build_dags

globals().update(build_dags("pipelines"))
'''
_ALONE = '''"""Airflow DAG: one pipeline."""
from goldsmith import build_dag

dag = build_dag("pipelines/{name}.yml")
'''
_PROBE = """
import json, os, sys, time
from airflow.dag_processing.dagbag import DagBag
from airflow.models.serialized_dag import SerializedDagModel
from airflow.serialization.serialized_objects import DagSerialization
import goldsmith.dag.build, goldsmith.pipeline_folder, goldsmith.dag.broken

file, is_task = sys.argv[1], "_AIRFLOW_PARSING_CONTEXT_TASK_ID" in os.environ
before = time.process_time()
bag = DagBag(file, safe_mode=False)
parsed = time.process_time()
if bag.import_errors:
    sys.exit(str(bag.import_errors))
if not is_task:
    for dag in bag.dags.values():
        SerializedDagModel.hash(DagSerialization.to_dict(dag))
done = time.process_time()
tasks = sorted(len(dag.tasks) for dag in bag.dags.values())
found = {"parse": parsed - before, "serialise": done - parsed, "dags": len(tasks), "tasks": tasks[len(tasks) // 2]}
print(json.dumps(found))
"""
_FAKE = ("HOST", "PORT", "USER", "PASSWORD", "DATABASE")


def prepare(root: Path, *, pipelines: int, models: int) -> None:
    """Write the project and parse it, and write specs and DAG files."""
    write_project(root / "dbt_project", shape(models, seed=1), schema="folder")
    parse_project(root / "dbt_project", {f"WAREHOUSE_{name}": "5432" for name in _FAKE})
    specs = root / "dags" / "pipelines"
    specs.mkdir(parents=True)
    for number in range(pipelines):
        (specs / f"pipeline_{number:04}.yml").write_text(f"schedule: '@daily'\nowner: team_{number % 7}\n")
    (specs / "defaults.yml").write_text("tags: [benchmark]\n")
    (root / "dags" / "load_all.py").write_text(_LOADER)
    (root / "dags" / "alone.py").write_text(_ALONE.format(name=_middle(pipelines)))


def _middle(pipelines: int) -> str:
    return f"pipeline_{pipelines // 2:04}"


def probe(file: Path, *, task: tuple[str, str] | None = None) -> dict[str, Any]:
    """Parse a DAG file in a process of its own.

    Args:
        file: The DAG file.
        task: DAG id and task id for which a worker parses it; by default the dag-processor does.
    """
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(file.parents[1] / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(file.parent),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "600",  # that it is too slow shall show as a number
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "GOLDSMITH_TARGET": TARGET,
        "_AIRFLOW_PROCESS_CONTEXT": "client",  # as Airflow says in each process it starts for a file or a task
    }
    if task:
        env["_AIRFLOW_PARSING_CONTEXT_DAG_ID"], env["_AIRFLOW_PARSING_CONTEXT_TASK_ID"] = task
    command = [sys.executable, "-W", "ignore", "-c", _PROBE, str(file)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def measure(root: Path, *, pipelines: int, models: int, repeat: int) -> dict[str, Any]:
    """Parse the files several times in turn, and give the medians."""
    dags, name = root / "dags", _middle(pipelines)
    first = probe(dags / "load_all.py")  # compiles the plans
    if first["dags"] != pipelines:
        raise SystemExit(f"{first['dags']} DAGs instead of {pipelines}")
    task = (name, "reconcile.run")
    rounds: dict[str, list[dict[str, Any]]] = {"whole": [], "task": [], "alone": []}
    for _ in range(repeat):
        rounds["whole"].append(probe(dags / "load_all.py"))
        rounds["task"].append(probe(dags / "load_all.py", task=task))
        rounds["alone"].append(probe(dags / "alone.py", task=task))

    if any(one["tasks"] != 1 or one["dags"] != 1 for one in (*rounds["task"], *rounds["alone"])):
        raise SystemExit(f"A task's process built more than its task: {rounds['task']}")

    def median(what: str, key: str = "parse") -> float:
        return float(statistics.median(one[key] for one in rounds[what]))

    return {
        "pipelines": pipelines,
        "models": models,
        "tasks": first["tasks"],
        "first_cpu_s": first["parse"],
        "dag_cpu_ms": 1000 * median("whole") / pipelines,
        "serialise_cpu_ms": 1000 * median("whole", "serialise") / pipelines,
        "task_cpu_s": median("task"),
        "alone_cpu_s": median("alone"),
        "ratio": median("task") / median("alone"),
    }


def main() -> None:
    """Generate, measure, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pipelines", type=int, default=500)
    parser.add_argument("--models", type=int, default=20, help="of each pipeline; at least 10")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the medians here")
    options = parser.parse_args()
    record = Record()
    with tempfile.TemporaryDirectory(prefix="goldsmith-bench-") as name:
        prepare(Path(name), pipelines=options.pipelines, models=options.models)
        row = measure(Path(name), pipelines=options.pipelines, models=options.models, repeat=options.repeat)
    table = Table(title="One DAG file for many pipelines")
    table.add_column("measure")
    table.add_column("value", justify="right")
    for key, value in row.items():
        table.add_row(key, f"{value:.3f}" if isinstance(value, float) else str(value))
    Console(width=100).print(table)
    record.write(options.json, [row])


if __name__ == "__main__":
    main()
