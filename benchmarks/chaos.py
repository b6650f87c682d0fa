"""Runs with a fault at a random moment: is anything green that was not built, unbuilt, or built again for nothing?

    uv run python benchmarks/chaos.py --runs 50 --seed 1 --executor local

The warehouse itself notes each committed build of a model (`audited.py`), so that the answer does not come from what is
tested. Each run has a seed of its own, which is printed: it decides the moment and whom the fault meets. The kinds of
faults take turns, each under both gates. The exit code is 1 where a number is not 0.
"""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psutil
from proving import Ground, Span, built_again, ground

from goldsmith.client.ended import failure_message
from goldsmith.rest import Run, TaskInstance
from goldsmith.rest.transport import run_path

SLACK = 0.5  # seconds: half a turn of the build's loop
_LIMIT = 300.0
_REACHED = 300.0  # seconds; on a busy machine dbt alone may take two minutes to begin
_HIT_WITHIN = 15.0
_ORPHANED_AFTER = 10.0  # seconds
_PACE = (0.3, 1.5)


class Missed(Exception):  # noqa: N818 - no error: the run was over before the fault
    """The fault met nothing."""


@dataclass(kw_only=True)
class Trial:
    """One run, what was done to it, and what came of it."""

    number: int
    seed: int
    dag_id: str
    kind: str
    moment: str = ""
    state: str = ""
    wall: float = 0.0
    faults: list[Span] = field(default_factory=list)
    decided: dict[str, str] = field(default_factory=dict)
    """Task id to the state that a person gave it."""
    is_cancelled: bool = False
    false_greens: list[str] = field(default_factory=list)
    unbuilt: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    orphans: list[str] = field(default_factory=list)
    """Queries of the run that go on when it has ended."""
    problem: str = ""

    @property
    def is_bad(self) -> bool:
        """Whether anything went wrong."""
        return bool(self.false_greens or self.unbuilt or self.duplicates or self.orphans or self.problem)


Fault = Callable[[Ground, Run, Trial, random.Random], None]


def _busy(here: Ground, run: Run, *, with_dbt: bool) -> str:
    """A task of the run that has a process now."""
    for task in here.tasks(run).values():
        if task.state == "running":
            try:
                (here.dbt if with_dbt else here.task_process)(run, task.task_id)
            except psutil.Error:
                continue
            return task.task_id
    return ""


def _target(here: Ground, run: Run, *, with_dbt: bool = False) -> str:
    end = time.monotonic() + _HIT_WITHIN
    while time.monotonic() < end:
        if found := _busy(here, run, with_dbt=with_dbt):
            return found
        if here.patiently(lambda: here.api.run(run.dag_id, run.run_id)).is_finished:
            break
        time.sleep(0.05)
    raise Missed


def _kill_task(here: Ground, run: Run, trial: Trial, _: random.Random) -> None:
    task_id = _target(here, run)
    trial.moment += f" {task_id}"
    trial.faults += here.kill_task(run, task_id)


def _kill_worker(here: Ground, run: Run, trial: Trial, _: random.Random) -> None:
    task_id = _target(here, run)
    trial.moment += f" {task_id}"
    trial.faults += here.kill_worker(run, task_id)


def _kill_dbt(here: Ground, run: Run, trial: Trial, _: random.Random) -> None:
    task_id = _target(here, run, with_dbt=True)
    trial.moment += f" {task_id}"
    trial.faults += here.kill_dbt(run, task_id)


def _kill_host(here: Ground, run: Run, trial: Trial, _: random.Random) -> None:
    trial.moment += f" {_target(here, run, with_dbt=True)}"
    trial.faults += here.kill_host()


def _scheduler(here: Ground, _: Run, trial: Trial, __: random.Random) -> None:
    trial.faults += here.kill("scheduler")


def _postgres(here: Ground, _: Run, trial: Trial, __: random.Random) -> None:
    trial.faults += here.restart_postgres()


def _api_killed(here: Ground, _: Run, trial: Trial, __: random.Random) -> None:
    trial.faults += here.kill("api-server")


def _api_frozen(here: Ground, _: Run, trial: Trial, choose: random.Random) -> None:
    seconds = choose.uniform(5, 30)
    trial.moment += f" for {seconds:.0f} s"
    trial.faults += here.freeze("api-server", seconds)


def _mark(here: Ground, run: Run, trial: Trial, choose: random.Random) -> None:
    """A person decides about a task that has no state yet."""
    waiting = [task.task_id for task in here.tasks(run).values() if task.state is None]
    nodes = sorted({one.task_id for one in here.models} & set(waiting))
    if not nodes:
        raise Missed
    task_id, state = choose.choice(nodes), choose.choice(["success", "failed", "skipped"])
    trial.moment += f" {task_id} {state}"
    path = f"{run_path(run.dag_id, run.run_id)}/taskInstances/{task_id}"
    here.api.send("PATCH", path, body={"new_state": state})
    trial.decided[task_id] = state


def _cancel(here: Ground, run: Run, trial: Trial, _: random.Random) -> None:
    """A person cancels a run in which something is still to be built, tested or judged."""
    states = {task.state for task in here.tasks(run).values() if not task.task_id.endswith("reconcile")}
    if states <= {"success"}:
        raise Missed
    here.api.send("PATCH", run_path(run.dag_id, run.run_id), body={"state": "failed"})
    trial.is_cancelled = True


def _fails_once(here: Ground, _: Run, trial: Trial, choose: random.Random) -> None:
    """A model fails, and is mended a few seconds later: its own retry has to heal it."""
    model = choose.choice(here.models).name
    trial.moment += f" {model}"
    here.sql("insert into audit.broken values (%s)", model)
    time.sleep(choose.uniform(1, 4))
    here.sql("truncate audit.broken")


KINDS: dict[str, Fault] = {
    "task killed": _kill_task,
    "worker killed": _kill_worker,
    "dbt killed": _kill_dbt,
    "dbt's host killed": _kill_host,
    "scheduler killed": _scheduler,
    "postgres restarted": _postgres,
    "api-server killed": _api_killed,
    "api-server frozen": _api_frozen,
    "marked by hand": _mark,
    "run cancelled": _cancel,
    "model fails once": _fails_once,
}


def main() -> int:
    """Run the trials and print what came of them."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the stack is stopped then too
    options = _options()
    kinds = options.kinds.split(",") if options.kinds else list(KINDS)
    trials = planned(options.runs, options.seed, kinds, options.gates.split(","))
    done: list[Trial] = []
    with ground(width=options.width, executor=options.executor) as here:
        for trial in trials:
            attempt(here, trial)
            done.append(trial)
            print(line(trial), flush=True)
            if options.minutes and time.monotonic() - _BEGAN > 60 * options.minutes:
                break
    return _summary(done)


_BEGAN = time.monotonic()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--executor", choices=["local", "celery"], default="local")
    parser.add_argument("--gates", default="by_layer,by_node", help="DAGs that take turns")
    parser.add_argument("--kinds", default="", help=f"only these, of: {','.join(KINDS)}")
    parser.add_argument("--width", type=int, default=4, help="models in each layer")
    parser.add_argument("--minutes", type=float, default=0.0, help="begin no run after so long")
    return parser.parse_args()


def planned(runs: int, seed: int, kinds: list[str], dags: list[str]) -> list[Trial]:
    """Each kind as often as the others, under both gates, in a random order."""
    pairs = [
        (kind, dags[(turn + place) % len(dags)]) for turn in range(runs) for place, kind in enumerate(kinds)
    ]
    chosen = pairs[:runs]
    random.Random(seed).shuffle(chosen)  # noqa: S311 - no secret
    return [
        Trial(number=number, seed=1000 * seed + number, dag_id=dag_id, kind=kind)
        for number, (kind, dag_id) in enumerate(chosen, start=1)
    ]


def attempt(here: Ground, trial: Trial, *, slack: float = SLACK) -> None:
    """Run a trial to its end, and note in it what went wrong.

    Args:
        here: The running Airflow.
        trial: The trial.
        slack: Seconds beyond `LOST` before a fault, of which it is forgiven that what was built in them is built again.
    """
    choose = random.Random(trial.seed)  # noqa: S311 - no secret
    began = time.monotonic()
    try:
        here.until(lambda: here.sql("truncate audit.broken") == [], limit=60)
        here.pace(all_others=round(choose.uniform(*_PACE), 2))
        tested = here.tested(trial.dag_id)
        run = here.trigger(trial.dag_id)
        _disturb(here, run, trial, choose)
        trial.state = here.wait(run, limit=_LIMIT).state
        trial.orphans = _orphans(here, run)
        _judge(here, run, trial, tested, slack)
    except Exception as error:  # noqa: BLE001 - the next trial has its own answer
        trial.problem = f"{type(error).__name__}: {error}"[:600]
        traceback.print_exc(limit=3)
    trial.wall = time.monotonic() - began


def _disturb(here: Ground, run: Run, trial: Trial, choose: random.Random) -> None:
    """Wait for the moment: a number of committed builds, of which dbt is just about to tell, and a little more."""
    committed, later = choose.randint(0, len(here.models)), choose.uniform(0, 2.5)
    try:
        here.until(lambda: committed == 0 or len(here.built(run)) >= committed, limit=_REACHED, pause=0.05)
    except TimeoutError as error:
        states = Counter(task.state for task in here.tasks(run).values())
        raise TimeoutError(
            f"the fault was not reached within {_REACHED} s: {len(here.built(run))} of {committed} models are built, "
            f"the run is {here.api.run(run.dag_id, run.run_id).state}, its tasks: {dict(states)}"
        ) from error
    time.sleep(later)
    trial.moment = f"{committed} built, {later:.1f} s later"
    began = datetime.now(UTC)
    try:
        KINDS[trial.kind](here, run, trial, choose)
    except Missed:
        trial.kind += " (missed)"
    except psutil.NoSuchProcess:
        trial.kind += " (missed)"
    ended = datetime.now(UTC)
    trial.faults += [(began, began), (ended, ended)]


def _judge(here: Ground, run: Run, trial: Trial, tested: dict[str, int], slack: float) -> None:
    built = here.built(run)
    names = {one.model for one in built}
    tasks = here.tasks(run)
    ran = {model for model, count in here.tested(trial.dag_id).items() if count > tested[model]}
    held_back = _below(here, {task for task, state in trial.decided.items() if state == "failed"})
    for model in here.models:
        checks = ((model.task_id, model.name in names), (model.test_task_id, model.name in ran))
        for task_id, is_done in checks:
            if task_id in trial.decided or is_done:
                continue
            if tasks[task_id].state == "success":
                trial.false_greens.append(task_id)
            elif not trial.is_cancelled and task_id not in held_back:
                trial.unbuilt.append(task_id)
        if trial.state == "success" and tasks[model.task_id].state not in ("success", "skipped"):
            trial.false_greens.append(f"run, with {model.task_id} {tasks[model.task_id].state}")
    is_red = trial.is_cancelled or "failed" in trial.decided.values()
    if trial.state != ("failed" if is_red else "success") and "skipped" not in trial.decided.values():
        trial.problem = f"the run ended {trial.state}: " + ", ".join(
            f"{task.task_id} {task.state}" for task in tasks.values() if task.state not in ("success", None)
        )
        trial.problem += "".join(f"\n    {why}" for why in _whys(here, run, tasks.values()))
    trial.duplicates = [one.model for one in built_again(built, trial.faults, slack=slack)]


def _whys(here: Ground, run: Run, tasks: Iterable[TaskInstance]) -> list[str]:
    """Why its tasks failed, in the words of their logs."""
    return [
        f"{task.task_id}, try {task.try_number}: {failure_message(here.api, run.dag_id, run.run_id, task)[:600]}"
        for task in tasks
        if task.state == "failed"
    ]


def _orphans(here: Ground, run: Run) -> list[str]:
    """What still runs in the warehouse a few seconds after the end of a run."""
    end = time.monotonic() + _ORPHANED_AFTER
    while (left := here.querying(run)) and time.monotonic() < end:
        time.sleep(0.2)
    return [str(one[0]) for one in left]


def _below(here: Ground, stopped: set[str]) -> set[str]:
    """What a failed task holds back: its own test, and all that reads it; with gates the layers after it."""
    names = {one.name for one in here.models if one.task_id in stopped}
    layers = [one.layer for one in here.models if one.name in names]
    order = list(dict.fromkeys(one.layer for one in here.models))
    found = set()
    for one in here.models:
        if set(one.parents) & names:
            names.add(one.name)
        if one.name in names or any(order.index(one.layer) > order.index(layer) for layer in layers):
            found |= {one.task_id, one.test_task_id}
    return found


def line(trial: Trial) -> str:
    """A trial and what went wrong in it, in one line."""
    wrong: dict[str, Any] = {
        "false greens": trial.false_greens,
        "unbuilt": trial.unbuilt,
        "built again": trial.duplicates,
        "orphaned queries": trial.orphans,
        "problem": trial.problem,
    }
    said = "; ".join(f"{name}: {what}" for name, what in wrong.items() if what) or "well"
    return (
        f"{trial.number:3} seed {trial.seed} {trial.dag_id:8} {trial.kind:20} {trial.moment:45} "
        f"{trial.state or '-':7} {trial.wall:5.0f} s  {said}"
    )


def _summary(done: list[Trial]) -> int:
    kinds = Counter(trial.kind for trial in done)
    print(f"\nruns                          {len(done)}")
    for kind, number in sorted(kinds.items()):
        print(f"  {kind:28}{number}")
    print(f"false greens                  {sum(len(trial.false_greens) for trial in done)}")
    print(f"unbuilt nodes                 {sum(len(trial.unbuilt) for trial in done)}")
    print(f"duplicate builds beyond 2 s   {sum(len(trial.duplicates) for trial in done)}")
    print(f"orphaned queries              {sum(len(trial.orphans) for trial in done)}")
    print(f"other problems                {sum(bool(trial.problem) for trial in done)}")
    print(f"seeds                         {' '.join(str(trial.seed) for trial in done)}")
    return int(any(trial.is_bad for trial in done))


if __name__ == "__main__":
    sys.exit(main())
