"""Where the seconds of a shared run go, layer by layer: from Airflow's times of the tasks and from the builds' logs.

    scheduler    until the build's task has started: from the verdict before, or from the start of the run
    process      from there until dbt is started: Airflow's start of the task, the DAG file, plan, lock, profile
    dbt start    until dbt says its version
    dbt parse    until dbt has the project, from its own cache
    dbt prepare  until its first node begins: connection, schemas, what the warehouse has
    nodes        until its last node is finished
    dbt end      until its process is gone
    after dbt    until the verdict, if the build gives it, else until its task has ended: marks, state, details
    to the gate  until the gate's task has started, if the build has not given the verdict
    gate         until it has ended
    compare      of the last layer: until the run has ended

They follow each other without a gap, so that the sum over the layers is the wall time of the run.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from arena import Arena, Finished
from rich.console import Console
from rich.table import Table

from goldsmith.dbt.pace import PHASES
from goldsmith.rest.records import LogLine

DBT = tuple("nodes" if phase == "nodes" else f"dbt {phase}" for phase in PHASES)
NAMES = ("scheduler", "process", *DBT, "after dbt", "to the gate", "gate", "compare")
_BEYOND = tuple(name for name in NAMES if name != "nodes")
_STARTS = re.compile(r"^dbt (build|test|source freshness) for \d+ nodes")
_PACE = re.compile(rf"({'|'.join(PHASES)}) ([0-9.]+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    """One build of a run, with the seconds of each step."""

    name: str
    seconds: dict[str, float]

    @property
    def beyond_nodes(self) -> float:
        """Everything but the nodes."""
        return sum(self.seconds[name] for name in _BEYOND)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Times:
    started: datetime
    ended: datetime


def layers_of(arena: Arena, done: Finished) -> list[Layer]:
    """The steps of a green run, in the order of its builds."""
    times = _times(arena, done)
    builds = sorted(
        (name for name in times if name.rpartition(".")[2] == "build"), key=lambda name: times[name].started
    )
    if done.run.started is None or done.run.ended is None:
        raise SystemExit(f"{done.run.run_id} has no start or no end.")
    before, found = done.run.started, []
    for build in builds:
        layer, lines = build.rpartition(".")[0], _lines(arena, done, build)
        gate = times.get(f"{layer}.gate")
        found.append(_layer(layer or "all", before, times[build], gate, lines))
        # A build that has given the verdict still compares while the next one starts.
        before = gate.ended if gate else times[build].ended
    found[-1].seconds["compare"] = (done.run.ended - before).total_seconds()
    return found


def _layer(name: str, before: datetime, build: _Times, gate: _Times | None, lines: list[LogLine]) -> Layer:
    seconds = dict.fromkeys(NAMES, 0.0)
    seconds["scheduler"] = (build.started - before).total_seconds()
    at = build.started
    for line in lines:
        if line.time is None:
            continue
        if _STARTS.match(line.text):
            seconds["process"] += (line.time - at).total_seconds()
            at = line.time
        elif line.text.startswith("dbt's seconds:"):
            for phase, value in _PACE.findall(line.text):
                seconds["nodes" if phase == "nodes" else f"dbt {phase}"] += float(value)
            at = line.time
    ended = min(build.ended, gate.started) if gate else build.ended
    seconds["after dbt"] = (ended - at).total_seconds()
    if gate:
        seconds["to the gate"] = (gate.started - ended).total_seconds()
        seconds["gate"] = (gate.ended - gate.started).total_seconds()
    return Layer(name=name, seconds=seconds)


def _times(arena: Arena, done: Finished) -> dict[str, _Times]:
    query = "select task_id, start_date, end_date from task_instance where dag_id = %s and run_id = %s"
    with psycopg.connect(arena.stack.server.conninfo("airflow")) as connection:
        rows = connection.execute(query, (done.run.dag_id, done.run.run_id)).fetchall()
    return {task_id: _Times(started=started, ended=ended) for task_id, started, ended in rows if ended}


def _lines(arena: Arena, done: Finished, task_id: str) -> list[LogLine]:
    task = next(one for one in done.tasks if one.task_id == task_id)
    return arena.api.logs(done.run.dag_id, done.run.run_id, task)


def medians(runs: Sequence[Sequence[Layer]]) -> list[dict[str, Any]]:
    """A row for each layer: the median of each step over the runs."""
    return [
        {
            "layer": same[0].name,
            **{name: statistics.median(one.seconds[name] for one in same) for name in NAMES},
            "beyond nodes": statistics.median(one.beyond_nodes for one in same),
        }
        for same in zip(*runs, strict=True)
    ]


def report(rows: Sequence[dict[str, Any]]) -> None:
    """Print the steps, one line each, a column for each layer and their sum."""
    table = Table(title="Seconds of each step")
    table.add_column("step", no_wrap=True)
    for row in rows:
        table.add_column(row["layer"], justify="right")
    table.add_column("all", justify="right")
    for name in (*NAMES, "beyond nodes"):
        cells = [row[name] for row in rows]
        table.add_row(name, *(f"{cell:.2f}" for cell in (*cells, sum(cells))))
    Console(width=120).print(table)
