"""What it costs Airflow to parse a pipeline's DAG file: `python benchmarks/parse.py --models 5000 --json FILE`.

Each measurement is a process of its own that imports Airflow first, as the dag-processor and a worker have done before
they fork. CPU seconds beyond that, medians:

    import      Goldsmith, Cosmos and what they need: a dag-processor pays it at each parse, a preloaded worker never
    parse       the DAG file as the dag-processor runs it; of it plan (loading the compiled plan), create (operators,
                groups, Airflow's own checks) and wire (setting the edges)
    serialise   the DAG to what Airflow stores, with its hash
    task parse  the DAG file in a task's process, where only the wanted task is built
    rss         peak memory of the process that Airflow starts for the DAG file: import, parse, serialise
    manager rss the same with the hash, which the dag-processor itself makes of what that process sends

The plan is compiled from the manifest once, before, and reported apart (compile): that happens once per deployment.
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

from dag_files import write_dag_file
from projects import TARGET, parse_project, shape, write_project
from record import Record
from rich.console import Console
from rich.table import Table

SEED = 1
PROBE = """
import json, os, resource, sys, time
from airflow.dag_processing.dagbag import DagBag
from airflow.models.serialized_dag import SerializedDagModel
from airflow.serialization.serialized_objects import DagSerialization

file, is_task = sys.argv[1], "_AIRFLOW_PARSING_CONTEXT_TASK_ID" in os.environ
spent = {}

def timed(module, name, label):
    inner = getattr(module, name)
    def outer(*args, **kwargs):
        before = time.process_time()
        try:
            return inner(*args, **kwargs)
        finally:
            spent[label] = spent.get(label, 0) + time.process_time() - before
    setattr(module, name, outer)

def peak_mb():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

before = time.process_time()
import goldsmith.dag.build, goldsmith.pipeline
spent["import"] = time.process_time() - before
timed(goldsmith.pipeline, "load_plan", "plan")
timed(goldsmith.dag.build, "wire", "wire")
before = time.process_time()
bag = DagBag(file, safe_mode=not is_task)
spent["parse"] = time.process_time() - before
if bag.import_errors:
    sys.exit(str(bag.import_errors))
[dag] = bag.dags.values()
if not is_task:
    before = time.process_time()
    stored = DagSerialization.to_dict(dag)
    spent["rss_mb"] = peak_mb()
    SerializedDagModel.hash(stored)
    spent["serialise"] = time.process_time() - before
    spent["manager_rss_mb"] = peak_mb()
print(json.dumps({**spent, "tasks": sorted(dag.task_ids)}))
"""


def prepare(root: Path, *, models: int, engine: str, gate: str, tasks: str) -> Path:
    """Write and parse the project where that has not been done, write the DAG file, and forget an earlier plan.

    Returns:
        The DAG file.
    """
    project = root / "dbt_project"
    if not (project / "target" / "manifest.json").is_file():
        write_project(project, shape(models, seed=SEED), schema=engine)
        fake = {
            "HOST": "localhost",
            "PORT": "5432",
            "USER": "nobody",
            "PASSWORD": "none",
            "DATABASE": "warehouse",
        }
        parse_project(project, {f"WAREHOUSE_{name}": value for name, value in fake.items()})
    for plan in (project / "target").glob("goldsmith_plan_*"):
        plan.unlink()
    dags = root / "dags"
    dags.mkdir(exist_ok=True)
    write_dag_file(dags, engine, project, spec={"gate": gate, "tasks": tasks})
    return dags / f"bench_{engine}.py"


def probe(file: Path, *, task: tuple[str, str] | None = None) -> dict[str, Any]:
    """Parse the DAG file in a process of its own.

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
        "AIRFLOW__COSMOS__ENABLE_DAG_VERSIONING": "False",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
        "GOLDSMITH_TARGET": TARGET,
        "_AIRFLOW_PROCESS_CONTEXT": "client",  # as Airflow says in each process it starts for a file or a task
    }
    if task:
        env["_AIRFLOW_PARSING_CONTEXT_DAG_ID"], env["_AIRFLOW_PARSING_CONTEXT_TASK_ID"] = task
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROBE, str(file)],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def measure(file: Path, *, engine: str, gate: str, models: int, repeat: int) -> dict[str, Any]:
    """Parse the file several times as either process, and give the medians."""
    first = probe(file)  # compiles the plan
    tasks = first["tasks"]
    wanted = next(task for task in reversed(tasks) if task.endswith(".run"))
    whole = [probe(file) for _ in range(repeat)]
    single = [probe(file, task=(engine, wanted)) for _ in range(repeat)]
    if any(one["tasks"] != [wanted] for one in single):
        raise SystemExit(f"In a task's process the DAG has {single[0]['tasks'][:5]} and not {wanted} alone.")

    def median(found: list[dict[str, Any]], name: str) -> float:
        return float(statistics.median(one[name] for one in found))

    return {
        "engine": engine,
        "gate": gate,
        "models": models,
        "tasks": len(tasks),
        "compile_cpu_s": first["plan"] - median(whole, "plan"),
        "import_cpu_s": median(whole, "import"),
        "parse_cpu_s": median(whole, "parse"),
        "plan_cpu_s": median(whole, "plan"),
        "create_cpu_s": float(statistics.median(one["parse"] - one["plan"] - one["wire"] for one in whole)),
        "wire_cpu_s": median(whole, "wire"),
        "serialise_cpu_s": median(whole, "serialise"),
        "task_parse_cpu_s": median(single, "parse"),
        "rss_mb": median(whole, "rss_mb"),
        "manager_rss_mb": median(whole, "manager_rss_mb"),
    }


def main() -> None:
    """Generate, measure, report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=int, default=5000)
    parser.add_argument("--engine", choices=("shared", "isolated"), default="shared")
    parser.add_argument("--gate", choices=("layer", "node"), default="layer")
    parser.add_argument(
        "--tasks", choices=("test", "model_tests", "model"), default="test", dest="granularity"
    )
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--root", type=Path, help="keep the project here, and use the one that is there")
    parser.add_argument("--json", type=Path, help="write the medians here")
    options = parser.parse_args()
    record = Record()
    with tempfile.TemporaryDirectory(prefix="goldsmith-bench-") as name:
        root = (options.root or Path(name)).resolve()
        root.mkdir(parents=True, exist_ok=True)
        file = prepare(
            root, models=options.models, engine=options.engine, gate=options.gate, tasks=options.granularity
        )
        row = measure(
            file, engine=options.engine, gate=options.gate, models=options.models, repeat=options.repeat
        )
    table = Table(title="Parsing a DAG file: CPU seconds beyond importing Airflow")
    table.add_column("measure")
    table.add_column("value", justify="right")
    for key, value in row.items():
        table.add_row(key, f"{value:.3f}" if isinstance(value, float) else str(value))
    Console(width=120).print(table)
    record.write(options.json, [row])


if __name__ == "__main__":
    main()
