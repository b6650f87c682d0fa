"""What is measured: green runs, runs with failing nodes, a root that heals, the retry of one model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from arena import Arena, Finished
from dag_files import BASELINE, GOLDSMITH, SHARED
from projects import TRIES
from steps import Layer, layers_of

from goldsmith.rest import TaskInstance

PRODUCER = "dbt_producer_watcher"


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """One measurement of one variant."""

    tasks: int
    wall_s: float
    cpu_s: float | None = None
    postgres_cpu_s: float | None = None
    tail_s: float | None = None
    rss_mb: float | None = None
    dbt_s: float | None = None
    """dbt's own elapsed time, of the baseline."""
    layers: tuple[Layer, ...] = ()
    """Where the time went, of a green run of the shared engine."""


Case = Callable[[Arena, str], Measured]


def green(arena: Arena, variant: str) -> Measured:
    """Run a variant; every task has to succeed and every model's table to exist."""
    done = arena.run(variant)
    _check(done, arena)
    layers = tuple(layers_of(arena, done)) if variant == SHARED else ()
    dbt_s = arena.dbt_elapsed() if variant == BASELINE else None
    return replace(_measured(done, variant, done.wall_s), layers=layers, dbt_s=dbt_s)


def failing(arena: Arena, variant: str) -> Measured:
    """Run a variant of which nodes fail; the time is that until every unaffected node is green."""
    done = arena.run(variant)
    if variant not in GOLDSMITH:
        return _measured(done, variant, done.wall_s)
    expected = arena.made.unaffected()
    nodes = {model.task_id(node) for model in arena.made.models for node in model.nodes}
    found = {task.task_id for task in done.tasks if task.state == "success"} & nodes
    if found != expected:
        raise SystemExit(
            f"{variant}: not green but unaffected: {sorted(expected - found)[:5]}; green but affected: "
            f"{sorted(found - expected)[:5]}; in {done.run.run_id}."
        )
    return _measured(done, variant, done.last_end(expected))


def healing(arena: Arena, variant: str) -> Measured:
    """Let the root fail once; the time is that from the start of its retry until all is green."""
    arena.sql(f"select setval('{TRIES}', 1, {str(variant == BASELINE).lower()})")
    done = arena.run(variant)
    _check(done, arena)
    if variant == BASELINE:
        return _measured(done, variant, done.wall_s)
    root = next(task for task in done.tasks if task.task_id == arena.made.models[0].task_id("model"))
    if root.try_number != 2:
        raise SystemExit(f"{variant}: the root had {root.try_number} tries and not 2.")
    return _measured(done, variant, done.wall_s - done.seconds_until(root.started))


def retrying(arena: Arena, variant: str) -> Measured:
    """Clear one model of a green run; the time is that from the click until it is green.

    The baseline is `dbt run -s model` on the command line.
    """
    model = next(model for model in arena.made.models if model.layer == "silver")
    if variant == BASELINE:
        if arena.unbuilt(variant):
            _check(arena.run(variant), arena)
        return Measured(tasks=1, wall_s=arena.dbt("run", "--select", model.name))
    if arena.unbuilt(variant):
        _check(arena.run(variant), arena)
    run = arena.api.runs(variant, limit=1)[0]
    clicked = time.time()
    arena.api.clear(variant, run.run_id, [model.task_id("model")])
    run = arena.wait(run)
    tasks = {task.task_id: task for task in arena.api.task_instances(variant, run.run_id)}
    again = tasks[model.task_id("model")]
    if {task.state for task in tasks.values()} != {"success"} or again.ended is None:
        raise SystemExit(f"{variant}: after the retry of {model.name}: {_states(tuple(tasks.values()))}.")
    if again.ended.timestamp() < clicked:
        raise SystemExit(f"{variant}: {again.task_id} did not run again.")
    return Measured(tasks=1, wall_s=again.ended.timestamp() - clicked)


def _check(done: Finished, arena: Arena) -> None:
    dag_id = done.run.dag_id
    if done.run.state != "success" or {task.state for task in done.tasks} != {"success"}:
        raise SystemExit(
            f"{dag_id}: the run ended {done.run.state}, its tasks {_states(done.tasks)}.\n{_said(arena, done)}"
        )
    if missing := arena.unbuilt(dag_id):
        raise SystemExit(f"{dag_id}: {len(missing)} models have no table: {', '.join(missing[:5])}.")


def _said(arena: Arena, done: Finished) -> str:
    """The end of the log of the first task that failed."""
    failed = next((task for task in done.tasks if task.state == "failed"), None)
    lines = arena.api.logs(done.run.dag_id, done.run.run_id, failed) if failed else []
    return "\n".join(f"{line.level} {line.text} {line.error}" for line in lines[-40:])


def _states(tasks: Sequence[TaskInstance]) -> dict[str, Any]:
    states: dict[str, list[str]] = {}
    for task in tasks:
        states.setdefault(str(task.state), []).append(task.task_id)
    return {state: f"{len(ids)}: {', '.join(ids[:3])}" for state, ids in states.items()}


def _measured(done: Finished, variant: str, wall_s: float) -> Measured:
    last = _end_of_dbt(done, variant)
    tail = None if last is None else done.wall_s - last
    return Measured(tasks=len(done.tasks), wall_s=wall_s, tail_s=tail, **asdict(done.usage))


def _end_of_dbt(done: Finished, variant: str) -> float | None:
    """When the process that builds all nodes ended; none where each task has its own."""
    builds = {
        task.task_id
        for task in done.tasks
        if task.task_id in ("dbt_build", PRODUCER) or task.task_id.rpartition(".")[2] == "build"
    }
    return done.last_end(builds) if builds and variant != "isolated" else None
