r"""How the cost of a run grows with its tasks: `python benchmarks/growth.py --cases 10,100,300,1000,1000:model`.

Each case is a number of models, with or without what becomes a task (`test` by default), and has a private Airflow of
its own. One run of plain `dbt build` and one of the shared engine, and then, with the run in Airflow's database:

    tasks         tasks of the DAG
    ratio         wall time of the run over that of `dbt build`
    scheduler_s   CPU seconds of the scheduler without the tasks it forks (LocalExecutor), during the run
    api_s         CPU seconds of the API server, during the run
    postgres_s    CPU seconds of PostgreSQL, as warehouse and as Airflow's database
    parse_s       CPU seconds to parse and serialise the DAG file in the dag-processor
    tasks_api_s   seconds until the REST API has listed all tasks of the run
    run_api_s     seconds until the REST API has said how the run is
    grid_s        seconds until the API server has answered what the UI's grid asks
    graph_s       seconds until it has answered what the UI's graph asks
"""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
from arena import Arena, arena
from dag_files import BASELINE
from parse import probe
from projects import shape
from record import Record
from rich.console import Console
from rich.table import Table

from goldsmith.rest.transport import run_path
from goldsmith.stack.record import Record as StackRecord

SHARED = "shared"
_ASKED = 3  # times, of which the median counts


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """What one case costs."""

    models: int
    granularity: str
    tasks: int
    ratio: float
    scheduler_s: float
    api_s: float
    postgres_s: float
    parse_s: float
    tasks_api_s: float
    run_api_s: float
    grid_s: float
    graph_s: float


def measure(models: int, granularity: str, *, gate: str, seed: int) -> Row:
    """Run a case in an Airflow of its own.

    Args:
        models: Number of models.
        granularity: The spec's `tasks`.
        gate: The spec's `gate`.
        seed: Of the generated project.
    """
    spec = {"gate": gate, "tasks": granularity}
    made = shape(models, seed=seed)
    with arena(made, [BASELINE, SHARED], spec=spec, executor="local", report=_say) as here:
        plain = here.run(BASELINE)
        before = _own_cpu(here)
        done = here.run(SHARED)
        used = {name: spent - before[name] for name, spent in _own_cpu(here).items()}
        if done.run.state != "success":
            raise SystemExit(f"{models} models: the run ended {done.run.state}.")
        parsed = probe(here.stack.dags_dir / f"bench_{SHARED}.py")
        return Row(
            models=models,
            granularity=granularity,
            tasks=len(done.tasks),
            ratio=done.wall_s / plain.wall_s,
            scheduler_s=used["scheduler"],
            api_s=used["api-server"],
            postgres_s=done.usage.postgres_cpu_s,
            parse_s=parsed["parse"] + parsed["serialise"],
            **_answers(here, done.run.run_id),
        )


def _own_cpu(here: Arena) -> dict[str, float]:
    """Component to CPU seconds of its own processes.

    The API server works in children, which stay. The scheduler's children are the tasks, which are not
    counted, nor are those that have ended (`children_user`).
    """
    found = {}
    for name, leader in StackRecord.read(here.stack.state).components.items():
        if leader:
            process = psutil.Process(leader.pid)
            family = [process] if name == "scheduler" else [process, *process.children(recursive=True)]
            found[name] = sum(one.cpu_times().user + one.cpu_times().system for one in family)
    return found


def _answers(here: Arena, run_id: str) -> dict[str, float]:
    """Seconds until the API server has answered, asked as the UI asks: some answers are lists or streams."""
    login = {"username": here.stack.login.user, "password": here.stack.login.password}
    with httpx.Client(base_url=here.api.base_url, timeout=120.0, trust_env=False) as http:
        token = http.post("/auth/token", json=login).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"

        def ask(path: str, **query: str | int) -> None:
            http.get(path, params=query).raise_for_status()

        def grid() -> None:
            ask(f"/ui/grid/structure/{SHARED}", limit=1, order_by="-run_after")
            ask(f"/ui/grid/ti_summaries/{SHARED}", run_ids=run_id)

        return {
            "tasks_api_s": _timed(lambda: here.api.task_instances(SHARED, run_id)),
            "run_api_s": _timed(lambda: ask(run_path(SHARED, run_id))),
            "grid_s": _timed(grid),
            "graph_s": _timed(lambda: ask("/ui/structure/structure_data", dag_id=SHARED)),
        }


def _timed(ask: Callable[[], Any]) -> float:
    found = []
    for _ in range(_ASKED):
        began = time.perf_counter()
        ask()
        found.append(time.perf_counter() - began)
    return statistics.median(found)


def _case(text: str) -> tuple[int, str]:
    models, _, granularity = text.partition(":")
    if granularity not in ("", "test", "model_tests", "model") or not models.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r}: write 100, or 100:model_tests, or 100:model")
    return int(models), granularity or "test"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def report(rows: list[Row]) -> None:
    """Print the rows."""
    table = Table(title="How cost grows, shared engine, one run each")
    for name in Row.__slots__:
        table.add_column(name, justify="right")
    for row in rows:
        cells = asdict(row).values()
        table.add_row(*(f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells))
    Console(width=160).print(table)


def main() -> None:
    """Measure and report; what is measured is written after each case."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the stack is stopped then too
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", default="10,100,300,1000", help="such as 100,300:model")
    parser.add_argument("--gate", choices=("layer", "node"), default="layer")
    parser.add_argument("--seed", type=int, default=1, help="of the generated projects")
    parser.add_argument("--json", type=Path, help="write the rows here")
    options = parser.parse_args()
    rows: list[Row] = []
    record = Record()
    for models, granularity in [_case(text) for text in options.cases.split(",")]:
        rows.append(measure(models, granularity, gate=options.gate, seed=options.seed))
        _say(str(rows[-1]))
        record.write(options.json, [asdict(row) for row in rows])
    report(rows)


if __name__ == "__main__":
    main()
