"""The shared engine while things break, people interfere and runs meet: nothing is green that was not built.

The audited project notes each committed build in the warehouse itself, in the build's own transaction.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import combinations, cycle
from pathlib import Path
from typing import Any

import pytest

from goldsmith.client.parsed import wait_until_parsed
from goldsmith.rest import Login, RestClient, Run
from goldsmith.rest.transport import run_path
from goldsmith.stack.environment import TASKS_USER

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import chaos  # type: ignore[import-not-found]
import proving  # type: ignore[import-not-found]

pytestmark = pytest.mark.integration

WIDTH = 3
SLACK = 1.5  # seconds: a turn, and a machine that has other things to do
ENDS_WITHIN = 10.0
FREEZE = 30.0
Fault = Callable[[Any, Run, str], list[tuple[datetime, datetime]]]


@pytest.fixture(scope="module")
def ground() -> Iterator[Any]:
    """The audited project under both gates, and once with a schedule, in one Airflow."""
    with proving.ground(width=WIDTH, dags=tuple(proving.GATES)) as here:
        yield here


@pytest.fixture(autouse=True)
def _nothing_broken(ground: Any) -> None:
    ground.sql("truncate audit.broken")
    ground.pace()


def _build_of(run: Run) -> str:
    return "build" if run.dag_id == "by_node" else "bronze.build"


def _last_reconcile(run: Run) -> str:
    return "reconcile" if run.dag_id == "by_node" else "gold.reconcile"


def _building(ground: Any, dag_id: str, *, committed: int) -> Run:
    """A run that has built so many models and is at the next ones."""
    run: Run = ground.trigger(dag_id)
    ground.until(lambda: len(ground.built(run)) >= committed and ground.querying(run))
    return run


def _decide(api: RestClient, run: Run, task_id: str, state: str) -> None:
    """Set a task's state as Airflow's web page does."""
    path = f"{run_path(run.dag_id, run.run_id)}/taskInstances/{task_id}"
    api.send("PATCH", path, body={"new_state": state})


def _models(ground: Any) -> set[str]:
    return {model.name for model in ground.models}


def _green_without_build(ground: Any, run: Run) -> set[str]:
    built = {one.model for one in ground.built(run)}
    tasks = ground.tasks(run)
    return {
        model.name
        for model in ground.models
        if model.task_id in tasks and tasks[model.task_id].state == "success" and model.name not in built
    }


@pytest.mark.parametrize("dag_id", ["by_layer", "by_node"])
def test_a_run_marked_failed_stays_red_and_ends_dbt_with_its_query(ground: Any, dag_id: str) -> None:
    """Within ten seconds; the teardowns run all the same, and none of them turns the run green."""
    ground.pace(bronze_1=120, all_others=0.2)
    run = _building(ground, dag_id, committed=1)
    dbt = ground.dbt(run, _build_of(run)).pid
    ground.api.send("PATCH", run_path(dag_id, run.run_id), body={"state": "failed"})
    ground.until(lambda: not proving.alive(dbt) and ground.querying(run) == [], limit=ENDS_WITHIN)
    reconcile = _build_of(run).replace("build", "reconcile")
    ended = ground.until(lambda: ground.tasks(run)[reconcile].state in ("failed", "success"))
    assert ended
    assert ground.wait(run).state == "failed"
    tasks = ground.tasks(run)
    assert tasks[reconcile].state == "failed"
    assert "cancelled" in ground.log(run, reconcile)
    assert _green_without_build(ground, run) == set()


FAULTS: dict[str, Fault] = {
    "task": lambda ground, run, task: ground.kill_task(run, task),
    "worker": lambda ground, run, task: ground.kill_worker(run, task),
    "dbt": lambda ground, run, task: ground.kill_dbt(run, task),
    "scheduler": lambda ground, _, __: ground.kill("scheduler"),
    "postgres": lambda ground, _, __: ground.restart_postgres(),
    "api-server": lambda ground, _, __: ground.kill("api-server"),
    "frozen api-server": lambda ground, _, __: ground.freeze("api-server", FREEZE),
}


@pytest.mark.parametrize(("fault", "dag_id"), list(zip(FAULTS, cycle(["by_layer", "by_node"]), strict=False)))
def test_after_a_fault_every_node_is_built_and_what_was_done_is_not_done_again(
    ground: Any, fault: str, dag_id: str
) -> None:
    """Whatever was lost: the run ends green, each model was built, and nothing older than two seconds twice."""
    ground.pace(all_others=1.2)
    tested = ground.tested(dag_id)
    run = _building(ground, dag_id, committed=2)
    lost = FAULTS[fault](ground, run, _build_of(run))
    assert ground.wait(run).state == "success"
    built = ground.built(run)
    assert {one.model for one in built} == _models(ground)
    assert {task.state for task in ground.tasks(run).values()} == {"success"}
    tested_now = ground.tested(dag_id)
    assert [model for model in _models(ground) if tested_now[model] <= tested[model]] == []
    assert proving.built_again(built, lost, slack=SLACK) == [], (lost, built)
    if fault == "frozen api-server":
        assert len(built) == len(ground.models)


def test_a_retry_that_is_lost_goes_on_where_it_was(ground: Any) -> None:
    """A root heals with all that waits for it; what its lost try has built is not built again."""
    ground.pace(all_others=1.2)
    ground.sql("insert into audit.broken values ('bronze_0')")
    run: Run = ground.trigger("by_node")
    root = ground.models[0].task_id
    # Without a person it would be tried three times within a few seconds.
    ground.until(lambda: ground.tasks(run)[root].state in ("up_for_retry", "failed"))
    ground.sql("truncate audit.broken")
    before = len(ground.built(run))
    ground.until(lambda: len(ground.built(run)) >= before + 3 and ground.dbt(run, root))
    lost = ground.kill_task(run, root)
    assert ground.wait(run).state == "success"
    built = ground.built(run)
    assert {one.model for one in built} == _models(ground)
    assert proving.built_again(built, lost, slack=SLACK) == []


def test_a_test_that_is_lost_is_tried_again_and_one_that_fails_is_not(ground: Any) -> None:
    """Cleared alone, its task is killed while its query runs; later it fails."""
    run = ground.wait(ground.trigger("by_node"))
    test = ground.models[0].test_task_id
    tested = ground.tested("by_node")["bronze_0"]
    ground.pace(test_bronze_0=6)
    ground.api.clear(run.dag_id, run.run_id, [test])
    ground.until(lambda: ground.querying(run))
    ground.kill_task(run, test)
    ground.pace()
    assert ground.wait(run).state == "success"
    assert ground.tested("by_node")["bronze_0"] > tested
    ground.sql("insert into audit.broken values ('test_bronze_0')")
    tries = ground.tasks(run)[test].try_number
    ground.api.clear(run.dag_id, run.run_id, [test])
    assert ground.wait(run).state == "failed"
    assert (ground.tasks(run)[test].state, ground.tasks(run)[test].try_number) == ("failed", tries + 1)


def test_a_cleared_build_that_fails_turns_a_green_run_red(ground: Any) -> None:
    """Nothing below it runs again, and the comparison of before is no word about now."""
    run = ground.wait(ground.trigger("by_node"))
    ground.pace(bronze_0=60)
    ground.api.clear(run.dag_id, run.run_id, ["build", ground.models[0].task_id])
    ground.until(lambda: ground.querying(run))
    _decide(ground.api, run, "build", "failed")
    assert ground.wait(run).state == "failed"
    assert ground.tasks(run)["reconcile"].state == "failed"


@pytest.mark.parametrize("dag_id", ["by_layer", "by_node"])
def test_what_a_person_decides_while_dbt_runs_stands(ground: Any, dag_id: str) -> None:
    """Success, failed and skipped; one by one and where whole groups are marked afterwards."""
    ground.pace(bronze_0=5)
    run: Run = ground.trigger(dag_id)
    ground.until(lambda: ground.querying(run))
    decided = {
        "bronze.bronze_2.counted_id": "success",
        "silver.silver_0.run": "failed",
        "gold.gold_1.counted_id": "skipped",
    }
    for task_id, state in decided.items():
        _decide(ground.api, run, task_id, state)
    assert ground.wait(run).state == "failed"
    states = {task_id: task.state for task_id, task in ground.tasks(run).items()}
    assert {task_id: states[task_id] for task_id in decided} == decided
    assert states["bronze.bronze_0.run"] == "success"
    assert _green_without_build(ground, run) == set()


@pytest.mark.parametrize("dag_id", ["by_layer", "by_node"])
def test_a_build_that_a_person_marks_successful_fails_its_nodes_and_starts_no_dbt(
    ground: Any, dag_id: str
) -> None:
    """Its running dbt ends, and each node's task says what happened."""
    ground.pace(bronze_0=60, bronze_1=60, bronze_2=60)
    run: Run = ground.trigger(dag_id)
    ground.until(lambda: ground.querying(run))
    _decide(ground.api, run, _build_of(run), "success")
    assert ground.wait(run).state == "failed"
    assert ground.built(run) == []
    tasks = ground.tasks(run)
    assert tasks["bronze.bronze_0.run"].state == "failed"
    assert tasks["bronze.bronze_0.run"].try_number == 1
    assert "marked as successful by hand" in ground.log(run, "bronze.bronze_0.run")
    assert not [task for task in tasks.values() if task.task_id.endswith(".run") and task.state == "success"]


def test_runs_at_once_take_turns_and_keep_their_progress_apart(ground: Any) -> None:
    """The schedule's run, two by hand and a backfill of two dates: each builds all, and no two write at once."""
    ground.pace(all_others=0.2)
    ground.api.unpause("daily")
    for _ in range(2):
        ground.trigger("daily")
    ground.api.send(
        "POST",
        "/api/v2/backfills",
        body={
            "dag_id": "daily",
            "from_date": "2026-02-01T00:00:00Z",
            "to_date": "2026-02-02T00:00:00Z",
            "max_active_runs": 2,
            "reprocess_behavior": "none",
            "run_backwards": False,
            "dag_run_conf": {},
        },
    )
    ground.until(lambda: len(ground.api.runs("daily", limit=20)) >= 5, limit=60)
    runs = [ground.wait(run) for run in ground.api.runs("daily", limit=20)]
    assert {run.run_type for run in runs} == {"manual", "scheduled", "backfill"}
    assert {run.state for run in runs} == {"success"}
    built = {run.run_id: ground.built(run) for run in runs}
    for mine in built.values():
        assert sorted(one.model for one in mine) == sorted(_models(ground))
    for one, other in combinations(built.values(), 2):
        assert not [(a, b) for a in one for b in other if a.began < b.ended and b.began < a.ended]


def test_a_manifest_that_changes_during_a_run_hides_nothing(ground: Any) -> None:
    """A model is removed and another added while bronze is built: no hang, no green without a build."""
    ground.pace(bronze_0=15)
    run = _building(ground, "by_layer", committed=1)
    gone = ground.models[-1]
    new = type(gone)(name="gold_new", layer="gold", parents=gone.parents)
    ground.sql("create sequence audit.by_layer_gold_new")
    try:
        ground.write_project((*ground.models[:-1], new))
        _parse_again(ground, "by_layer")
        now = ground.wait(run)
        tasks = ground.tasks(run)
        built = {one.model for one in ground.built(run)} | {
            model for (model,) in ground.sql("select model from audit.builds where model = 'gold_new'")
        }
        assert tasks.get(gone.task_id) is None or tasks[gone.task_id].state != "success"
        green = {
            task_id for task_id, task in tasks.items() if task_id.endswith(".run") and task.state == "success"
        }
        assert {task_id.split(".")[1] for task_id in green} <= built
        assert now.state == "success" or "manifest" in ground.log(run, "gold.build")
        after = ground.wait(ground.trigger("by_layer"))
        assert after.state == "success"
        assert ground.tasks(after)[new.task_id].state == "success"
        assert gone.task_id not in ground.tasks(after)
    finally:
        ground.write_project(ground.models)
        _parse_again(ground, "by_layer")


def _parse_again(ground: Any, dag_id: str) -> None:
    dag = ground.api.dag(dag_id)
    ground.api.parse_now(dag)
    ground.until(lambda: ground.api.dag(dag_id).last_parsed != dag.last_parsed, limit=90)
    wait_until_parsed(ground.api, dag_id, ground.stack.dags_dir, changed=None)
    time.sleep(1)


def test_reconcile_sees_planted_false_greens(ground: Any) -> None:
    """A table dropped after its build, a state written into Airflow's database, a mark by the tasks' own login."""
    ground.pace(gold_0=12)
    ground.sql("insert into audit.broken values ('test_gold_0')")
    run: Run = ground.trigger("by_node")
    silver = {model.name for model in ground.models if model.layer == "silver"}
    ground.until(lambda: silver <= {one.model for one in ground.built(run)})  # nothing reads bronze any more
    ground.sql("drop table by_node.bronze_2")
    ground.sql_in(
        "airflow",
        "update task_instance set state = 'success' where dag_id = %s and run_id = %s and task_id = %s",
        *("by_node", run.run_id, "gold.gold_0.counted_id"),
    )
    assert ground.wait(run).state == "failed"
    said = ground.log(run, "reconcile")
    assert "bronze.bronze_2.run" in said
    assert "should be a table, the warehouse has nothing there" in said
    assert "gold.gold_0.counted_id: Airflow shows it green, dbt says error" in said


@pytest.mark.parametrize(("who", "ends"), [("admin", "success"), (TASKS_USER, "failed")])
def test_only_a_persons_mark_explains_a_green_that_dbt_contradicts(ground: Any, who: str, ends: str) -> None:
    """A mark by a person is named and stands; the tasks' own login explains nothing."""
    ground.pace(gold_0=8)
    ground.sql("insert into audit.broken values ('test_gold_0')")
    run: Run = ground.trigger("by_node")
    ground.until(lambda: "silver_2" in {one.model for one in ground.built(run)})
    secrets = ground.stack.state.secrets()
    password = secrets.password if who == "admin" else secrets.tasks_password
    with RestClient(ground.stack.url, Login(user=who, password=password)) as api:
        _decide(api, run, "gold.gold_0.counted_id", "success")
    assert ground.wait(run).state == ends
    said = ground.log(run, "reconcile")
    assert "gold.gold_0.counted_id: Airflow shows it green, dbt says error" in said
    assert ("(marked by admin)" in said) == (who == "admin")


TRIALS = chaos.planned(11, 14, list(chaos.KINDS), ["by_layer", "by_node"])


@pytest.mark.parametrize("trial", TRIALS, ids=lambda trial: f"{trial.kind}-{trial.seed}".replace(" ", "_"))
def test_whatever_happens_at_whatever_moment_nothing_is_green_that_was_not_built(
    ground: Any, trial: Any
) -> None:
    """One run of each kind of fault; the seed decides the moment, and whom it meets. .ci/full has 200 of them."""
    chaos.attempt(ground, trial, slack=SLACK)
    assert not trial.is_bad, chaos.line(trial)
