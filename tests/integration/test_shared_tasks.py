"""Tasks of several dbt nodes in a real Airflow: a model with its tests, and a model's tests together."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from tests.integration.shared_lab import Lab, Seen

pytestmark = pytest.mark.integration

PIPELINES = ("by_task_model", "by_model_tests")
BUILDS = {"by_task_model": 3, "by_model_tests": 1}
RATES, PRICED, PEOPLE = "bronze.rates.run", "silver.priced.run", "bronze.people.run"
TESTS_OF_PEOPLE = {"by_task_model": PEOPLE, "by_model_tests": "bronze.people.tests"}
WARNS = {"by_task_model": "silver.customers.run", "by_model_tests": "silver.customers.tests"}
NOT_NULL, UNIQUE = "not_null_people_customer", "unique_people_id"


def builds(seen: Seen, task_id: str) -> Counter[str]:
    """Unique id to how often dbt came to a node of a task, and did not leave it out."""
    return Counter(one.unique_id for one in seen.records.get(task_id, ()) if one.status != "skipped")


def statuses(seen: Seen, task_id: str) -> dict[str, str]:
    """Name of each node of a task to dbt's last word."""
    return {one.unique_id.split(".")[2]: one.status for one in seen.records[task_id]}


def nodes_of(lab: Lab, pipeline: str, task_ids: Iterable[str]) -> dict[str, dict[str, int]]:
    """Task id to its nodes, each once."""
    tasks = lab.graph(pipeline).tasks
    return {task_id: {node.unique_id: 1 for node in tasks[task_id]} for task_id in task_ids}


def built_since(after: Seen, before: Seen) -> dict[str, dict[str, int]]:
    """Task id to how often dbt built each of its nodes after an earlier moment."""
    new = {task_id: builds(after, task_id) - builds(before, task_id) for task_id in after.records}
    return {task_id: dict(times) for task_id, times in new.items() if times}


@pytest.fixture(scope="module")
def first(lab: Lab) -> dict[str, Seen]:
    """A run of each pipeline in which nothing fails, as it was when it had ended."""
    return lab.finished(lab.start(PIPELINES))


@pytest.fixture(scope="module")
def broken(lab: Lab, first: dict[str, Seen]) -> dict[str, Seen]:
    """A run in which a model and, beside it, a test have failed for good."""
    assert first
    lab.control(PIPELINES, divisor=0, unknown=1)
    seen = lab.finished(lab.start(PIPELINES))
    lab.control(PIPELINES, divisor=1, unknown=0)
    # Where the tests have a task of their own, their model is not built again, whichever test of this file is next.
    lab.sql("update by_model_tests_bronze.people set customer = 'eve' where customer is null")
    return seen


def test_all_green_and_no_worker(lab: Lab, first: dict[str, Seen]) -> None:
    """Fewer tasks than nodes; every node has its record, and the comparison has looked at each."""
    for pipeline, seen in first.items():
        tasks = lab.nodes(pipeline)
        assert seen.run.state == "success", seen.not_green
        assert set(seen.states.values()) == {"success"}
        assert {task_id for task_id in tasks if seen.tasks[task_id].try_number} == set()
        assert {task_id: dict(builds(seen, task_id)) for task_id in tasks} == nodes_of(lab, pipeline, tasks)
        assert len(tasks) < len(lab.plans[pipeline].nodes)
        assert len(seen.invocations()) == BUILDS[pipeline]
        # Where there is a gate, the build compares.
        compared = [
            lab.log(seen.run, seen.tasks[one.task_id if lab.plans[pipeline].gates else one.reconcile_id])
            for one in lab.plans[pipeline].builds
        ]
        numbers = [
            int(re.findall(r"(\d+) nodes: Airflow, dbt and the warehouse agree", log)[0]) for log in compared
        ]
        assert sum(numbers) == len(lab.plans[pipeline].nodes)


def test_a_task_takes_the_time_of_all_its_nodes(first: dict[str, Seen]) -> None:
    """From the first one's start to the last one's end, as dbt says it."""
    for pipeline, seen in first.items():
        task = seen.tasks[TESTS_OF_PEOPLE[pipeline]]
        records = seen.records[task.task_id]
        assert len(records) > 1
        assert task.started is not None
        assert task.ended is not None
        assert task.started.isoformat()[:19] == min(one.started for one in records)[:19]
        assert task.ended.isoformat()[:19] == max(one.ended for one in records)[:19]


def test_a_warning_is_green_and_named_in_the_note(lab: Lab, first: dict[str, Seen]) -> None:
    """Of a task with more nodes than one, or of a task for the tests of a model."""
    for pipeline, seen in first.items():
        task_id = WARNS[pipeline]
        assert seen.states[task_id] == "success"
        assert statuses(seen, task_id)["unique_customers_customer"] == "warn"
        note = lab.note(seen.run, task_id)
        assert "dbt warned at" in note
        assert len(lab.graph(pipeline).tasks[task_id]) == 1 or "unique_customers_customer: " in note
        assert lab.note(seen.run, TESTS_OF_PEOPLE[pipeline]) == ""


def test_a_failed_model_is_retried_with_its_tests_and_holds_back_what_is_below(
    lab: Lab, broken: dict[str, Seen]
) -> None:
    """Red after its retry; its tests are not run."""
    for pipeline, seen in broken.items():
        assert seen.run.state == "failed"
        assert (seen.states[RATES], seen.tasks[RATES].try_number) == ("failed", 2)
        assert "division by zero" in lab.log(seen.run, seen.tasks[RATES])
        below = lab.graph(pipeline).below([RATES])
        assert PRICED in below
        assert {seen.states[task_id] for task_id in below} == {"upstream_failed"}
        tests = [
            one for task_id in (RATES, *below) for one in seen.records.get(task_id, ()) if one.kind == "test"
        ]
        assert {one.status for one in tests} <= {"skipped"}
        assert {seen.states[one] for one in ("seeds.raw_orders.seed", "bronze.stg_orders.run")} == {"success"}


def test_a_failed_test_makes_its_task_red_at_once_and_is_named(lab: Lab, broken: dict[str, Seen]) -> None:
    """No second try, also where the task has a model; the other nodes of the task have their own result."""
    for pipeline, seen in broken.items():
        task_id = TESTS_OF_PEOPLE[pipeline]
        assert (seen.states[task_id], seen.tasks[task_id].try_number) == ("failed", 1)
        expected = {NOT_NULL: "fail", UNIQUE: "pass"}
        assert statuses(seen, task_id) == (
            expected if pipeline == "by_model_tests" else expected | {"people": "success"}
        )
        [red] = [one for one in seen.records[task_id] if one.status == "fail"]
        assert red.failing_rows is not None
        assert (red.failing_rows.columns, red.failing_rows.rows) == (("customer",), (("NULL",),))
        log = lab.log(seen.run, seen.tasks[task_id])
        assert f"test.lab.{NOT_NULL}" in log
        assert "Got 1 result, configured to fail if != 0" in log
        assert "Failing rows, the first 1:\ncustomer\nNULL" in log
        assert seen.states["silver.greeted.run"] == "upstream_failed"
        assert seen.states[PEOPLE] == ("failed" if task_id == PEOPLE else "success")


def test_the_comparison_names_what_is_red_and_finds_no_difference(lab: Lab, broken: dict[str, Seen]) -> None:
    """A red task with green nodes is none."""
    for pipeline, seen in broken.items():
        reconcile = "bronze.reconcile" if pipeline == "by_task_model" else "reconcile"
        log = lab.log(seen.run, seen.tasks[reconcile])
        assert "No other differences found" in log
        assert RATES in log
        assert TESTS_OF_PEOPLE[pipeline] in log


def test_clearing_only_what_failed_builds_those_tasks_whole(lab: Lab, broken: dict[str, Seen]) -> None:
    """Every node of what was not green, and no node of what was."""
    for seen in broken.values():
        lab.clear_run(seen.run, only_failed=True)
    for pipeline, after in lab.finished({pipeline: seen.run for pipeline, seen in broken.items()}).items():
        before = broken[pipeline]
        not_green = {task_id for task_id in lab.nodes(pipeline) if before.states[task_id] != "success"}
        assert after.run.state == "success", after.not_green
        assert built_since(after, before) == nodes_of(lab, pipeline, not_green)
        assert after.untouched_since(before) >= lab.nodes(pipeline) - not_green


def test_the_report_is_made_again_after_a_task_was_cleared(lab: Lab, first: dict[str, Seen]) -> None:
    """With the comparisons of its layer and of the later ones: a replaced table takes their views with it."""
    run = first["by_task_model"].run
    before = lab.see(run)
    lab.clear(run, [PEOPLE])
    after = lab.finished({"by_task_model": run})["by_task_model"]
    assert after.run.state == "success", after.not_green
    made = {task_id for task_id, task in after.tasks.items() if task != before.tasks[task_id]}
    assert made == {PEOPLE, "bronze.reconcile", "silver.reconcile", "gold.reconcile", "report"}
    assert "people" in Path(lab.api.reports(run.dag_id, run.run_id)["path"]).read_text()


def test_a_retry_that_succeeds_builds_what_was_blocked(lab: Lab, first: dict[str, Seen]) -> None:
    """The failed task whole, then what it had blocked, all by one more dbt, and all of it is green."""
    assert first
    lab.control(PIPELINES, divisor=0)
    runs = lab.start(PIPELINES)
    for run in runs.values():
        lab.until_state(run, RATES, "up_for_retry")
    lab.control(PIPELINES, divisor=1)
    for pipeline, seen in lab.finished(runs).items():
        tasks = lab.nodes(pipeline)
        assert seen.run.state == "success", seen.not_green
        assert seen.tasks[RATES].try_number == 2
        expected = nodes_of(lab, pipeline, tasks)
        expected[RATES]["model.lab.rates"] = 2
        assert {task_id: dict(builds(seen, task_id)) for task_id in tasks} == expected
        assert len(seen.invocations()) == BUILDS[pipeline] + 1
        for task_id in tasks - {RATES}:
            assert seen.states[task_id] == "success"


CLEARED = {
    # what is cleared, how, and how many dbt commands that takes with tests in their model's task and beside it
    "one task": (["people"], {}, 1, 1),
    "a model": (["silver.orders.run"], {}, 1, 1),
    "a model with downstream": (["silver.orders.run"], {"include_downstream": True}, 2, 1),
    "a layer without its build": (["silver."], {}, 1, 1),
    "a layer with its build": (["silver.", "build"], {}, 1, 1),
}


@pytest.mark.parametrize("what", CLEARED)
def test_a_clear_builds_exactly_the_nodes_of_what_was_cleared(
    lab: Lab, first: dict[str, Seen], what: str
) -> None:
    """All nodes of each task once, and no other."""
    named, how, *times = CLEARED[what]
    runs = {pipeline: seen.run for pipeline, seen in first.items()}
    before = {pipeline: lab.see(run) for pipeline, run in runs.items()}
    cleared = {}
    for pipeline, run in runs.items():
        names = [TESTS_OF_PEOPLE[pipeline] if name == "people" else name for name in named]
        task_ids = [one for name in names for one in lab.named(pipeline, name)]
        cleared[pipeline] = lab.clear(run, task_ids, **how)
    for number, (pipeline, after) in enumerate(lab.finished(runs).items()):
        tasks = lab.nodes(pipeline)
        assert after.run.state == "success", after.not_green
        assert set(after.states.values()) == {"success"}
        assert built_since(after, before[pipeline]) == nodes_of(lab, pipeline, cleared[pipeline] & tasks)
        assert after.untouched_since(before[pipeline]) >= tasks - cleared[pipeline]
        assert len(after.invocations(before[pipeline])) == times[number]
