"""The build of a layer: what it builds, what it shows and leaves behind, and when it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowFailException
from structlog.testing import capture_logs
from tests.airflow.build_lab import (
    BUILD,
    CHECK,
    FRESH,
    GATE,
    GOOD,
    MINE,
    ORDERS,
    PLAN,
    REPORT,
    STOCK,
    TASKS,
    Airflow,
    Instance,
    Lab,
    left_behind,
)
from tests.airflow.joint_tasks import Result
from tests.builders import planned_node
from tests.sites import site_of

from goldsmith.engine.build_state import REASON_KEY, WARNINGS_KEY, XCOM_KEY, BuildState
from goldsmith.engine.packed import pack
from goldsmith.engine.shared import build
from goldsmith.errors import DbtStopped
from goldsmith.results.microbatch import Microbatches

ERROR = {**GOOD, ORDERS.unique_id: "error", CHECK.unique_id: "skipped"}
BOTH_RED = {**ERROR, STOCK.unique_id: "error"}


@pytest.fixture
def lab(tmp_path: Path, result: Result, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A run whose first build begins."""
    monkeypatch.setenv("AIRFLOW_CONN_NONE", '{"conn_type": "postgres"}')  # nothing connects
    site = site_of(PLAN, tmp_path, given=dict(FRESH))
    made = Lab(site, result, Airflow(site))
    for module in ("shared.agreement", "comparison"):
        monkeypatch.setattr(f"goldsmith.engine.{module}.airflow_api", lambda: nullcontext(made.airflow))
    monkeypatch.setattr(build, "write_verdict", lambda _, __, verdict: made.verdicts.append(verdict))
    return made


def test_a_good_layer_is_shown_with_its_verdict_and_compared(lab: Lab) -> None:
    """By the build alone: none of the tasks of the layer has to run, neither its gate nor its comparison."""
    instance = Instance()
    assert lab.build(instance) == {"success": 2, "pass": 1}
    assert lab.ran() == [["orders", "check", "stock"]]
    assert lab.airflow.calls == [("success", [*sorted(TASKS), GATE]), ("success", ["silver.reconcile"])]
    assert lab.airflow.times[CHECK.task_id] == ("2026-11-20T13:00:01", "2026-11-20T13:00:02")
    assert lab.airflow.open == 0
    assert [one.verdict for one in lab.verdicts] == ["pass"]
    assert lab.site.writer.wrote == [BUILD]
    assert lab.kept(*MINE).keys() == GOOD.keys()
    left, kept = left_behind(instance), BuildState.load(lab.store)
    assert (left.statuses, left.settled, left.failure) == (GOOD, set(GOOD), "")
    assert kept is not None
    assert (kept.statuses, kept.build_id) == (GOOD, left.build_id)


@pytest.fixture
def said() -> Iterator[Callable[[], str]]:
    """What the task's own log says."""
    with capture_logs() as entries:
        yield lambda: "\n".join(str(one["event"]) for one in entries)


def test_only_tasks_without_a_state_are_built(lab: Lab, said: Callable[[], str]) -> None:
    """What a person has decided stands; a node that came into the manifest later is no part of the run."""
    lab.site.given |= {STOCK.task_id: "skipped"}
    del lab.site.given[CHECK.task_id]
    assert lab.build() == {"success": 1}
    assert lab.ran() == [["orders"]]
    assert (
        f"1 nodes came into the manifest after this run began and are not part of it: {CHECK.task_id}"
        in said()
    )


@pytest.mark.parametrize("state", ["failed", "upstream_failed", "removed"])
def test_what_lies_below_a_failure_is_held_back(lab: Lab, state: str) -> None:
    """As Airflow does it; and the layer has no verdict of its build."""
    lab.site.given[ORDERS.task_id] = state
    assert lab.build() == {"success": 1, "skipped": 1}
    assert lab.ran() == [["stock"]]
    assert lab.airflow.calls == [("success", [STOCK.task_id])]
    assert lab.verdicts == []


def test_a_node_that_fails_does_not_fail_the_build(lab: Lab) -> None:
    """Its own task does, which has no state yet, and finds what dbt said; so do the gate and the comparison."""
    lab.said, instance = ERROR, Instance()
    assert lab.build(instance) == {"error": 1, "skipped": 1, "success": 1}
    assert lab.airflow.calls == [("success", [STOCK.task_id])]
    assert left_behind(instance).settled == {STOCK.unique_id}
    assert REASON_KEY not in instance.pushed


@pytest.mark.parametrize("asked", ["of the run", "of dbt"])
def test_fail_fast_fails_the_build_and_shows_the_failed_tasks(lab: Lab, asked: str) -> None:
    """They cannot run below a build that fails; what is good is shown, and all is left behind as ever."""
    instance, lab.said = Instance(), BOTH_RED
    lab.dbt = {"has_failed_fast": asked == "of dbt"}
    with pytest.raises(AirflowFailException, match=r"fail_fast: dbt stopped at .*orders, .*stock\. Clear"):
        lab.build(instance, fail_fast=asked == "of the run")
    assert lab.airflow.calls == [("failed", [ORDERS.task_id, STOCK.task_id])]
    assert left_behind(instance).statuses == BOTH_RED
    assert BuildState.load(lab.store) is not None
    assert instance.pushed[REASON_KEY].startswith("fail_fast: dbt stopped")


def test_fail_fast_without_a_failure_is_a_build_as_any(lab: Lab) -> None:
    """It has its verdict."""
    assert lab.build(fail_fast=True) == {"success": 2, "pass": 1}
    assert lab.site.given[GATE] == "success"


def test_a_hook_that_fails_fails_the_build_without_a_verdict(lab: Lab) -> None:
    """The nodes are built, and shown; tried again, there is no dbt command that could repeat the hook."""
    lab.dbt, instance = {"failure": "on-run-end failed"}, Instance()
    with pytest.raises(AirflowFailException, match="on-run-end failed\nFix the cause, then clear this task"):
        lab.build(instance)
    assert lab.airflow.calls == [("success", sorted(TASKS))]
    assert (lab.verdicts, lab.site.given[GATE]) == ([], None)
    assert left_behind(instance).failure == "on-run-end failed"
    with pytest.raises(AirflowFailException, match="on-run-end failed\nAll nodes of this build have a state"):
        lab.build(Instance(try_number=2))
    assert len(lab.tries) == 1


def test_a_try_goes_on_where_a_lost_one_was(lab: Lab) -> None:
    """It builds what is missing, shows all, and leaves the verdict to the gate; what dbt said before stays known."""
    lab.dbt, lab.said = {"stops_at": STOCK.unique_id}, {**GOOD, CHECK.unique_id: "fail"}
    with pytest.raises(DbtStopped):
        lab.build(instance := Instance())
    assert instance.pushed == {REASON_KEY: "dbt was killed."}
    assert (lab.airflow.calls, lab.airflow.open) == ([], 0)
    lab.dbt, lab.said = {}, GOOD
    assert lab.build(Instance(try_number=2)) == {"success": 2, "pass": 1}
    assert lab.ran() == [["orders", "check", "stock"], ["check", "stock"]]
    assert lab.airflow.calls == [("success", sorted(TASKS))]
    [said] = lab.site.results.all("r1", [CHECK.task_id]).values()
    assert [one.status for one in said] == ["fail", "pass"]


def test_a_try_that_was_lost_when_all_was_built_shows_what_it_did(lab: Lab) -> None:
    """dbt is not run again for it."""
    lab.build()
    lab.site.given |= dict.fromkeys(TASKS)
    lab.airflow.calls.clear()
    assert lab.build(Instance(try_number=2)) == {"success": 2, "pass": 1}
    assert lab.ran()[1:] == [[]]
    assert lab.airflow.calls == [("success", sorted(TASKS))]


def test_a_first_state_in_a_later_try_gives_no_verdict(lab: Lab) -> None:
    """The try before may have built what nothing is kept of."""
    lab.build(Instance(try_number=2))
    assert lab.airflow.calls == [("success", sorted(TASKS))]


def test_a_cleared_build_begins_anew_with_all_batches_that_it_had_to_build(lab: Lab) -> None:
    """Airflow raises the number of tries for a clear; of a model that is done it knows no batches any more."""
    begun = Microbatches(planned=("2026-11-20", "2026-11-21"), built=frozenset({"2026-11-20"}))
    uids = (ORDERS.unique_id, STOCK.unique_id)
    BuildState(
        build_id="b1", max_tries=2, statuses={STOCK.unique_id: "success"}, batches=dict.fromkeys(uids, begun)
    ).save(lab.store)
    stock = replace(STOCK, materialized="incremental")
    lab.site.load_plan = lambda: replace(PLAN, nodes=(ORDERS, CHECK, stock, REPORT))
    lab.site.results.keep("r1", [lab.result(unique_id=stock.unique_id, task_id=stock.task_id)], is_first=True)
    task, kept = lab.task(), BuildState.load(lab.store)
    task._run_id = "r1"
    again, cleared = task._state(kept, 2), task._state(kept, 3)
    assert (again.statuses, again.batches[ORDERS.unique_id]) == ({STOCK.unique_id: "success"}, begun)
    assert (cleared.statuses, cleared.batches) == ({}, {ORDERS.unique_id: begun.anew()})


def test_a_build_with_nothing_to_build_says_how_and_keeps_what_the_last_one_said(
    lab: Lab, said: Callable[[], str]
) -> None:
    """A cleared build without its downstream; the first one of a run leaves nothing."""
    lab.site.given |= dict.fromkeys(TASKS, "success")
    assert lab.build(first := Instance()) == {}
    assert first.pushed == {}
    assert "all 3 tasks of this build have a state already. To build them again, clear them" in said()
    BuildState(build_id="b1", max_tries=2, statuses=ERROR).save(lab.store)
    assert lab.build(again := Instance(max_tries=3)) == {}
    assert left_behind(again).build_id == "b1"
    assert (lab.tries, lab.airflow.calls) == ([], [])


def test_a_dry_run_builds_nothing_and_leaves_word_for_tasks_that_could_not_be_skipped(
    lab: Lab, said: Callable[[], str]
) -> None:
    """They look whether the build has said anything, before they skip themselves."""
    assert lab.build(instance := Instance(), dry_run=True) == {}
    assert lab.airflow.calls == [("skipped", [*TASKS, REPORT.task_id])]
    assert left_behind(instance).statuses == {}
    assert "none is chosen, or all of them have a state already" in said()
    assert lab.tries == []


def test_a_later_build_builds_what_the_first_one_has_chosen(lab: Lab) -> None:
    """Also where the others could not be skipped."""
    other = planned_node("model.shop.other", layer="gold", build="gold.build", materialized="own")
    lab.site.load_plan = lambda: replace(PLAN, nodes=(*PLAN.nodes, other))
    lab.site.given[other.task_id] = None
    lab.said = {other.unique_id: "success"}
    first = Instance(left={BUILD: pack([other.task_id])})
    assert lab.build(first, task_id="gold.build", select="other") == {"success": 1}
    assert lab.ran() == [["other"]]


def test_the_comparison_of_a_later_layer_is_made_again(lab: Lab) -> None:
    """A table that is replaced takes the views of later layers with it; and its own, before the build begins."""
    lab.site.given |= {"silver.reconcile": "failed", "gold.reconcile": "success"}
    task, context = lab.task(), lab.context(Instance())
    task.pre_execute(context)
    assert lab.airflow.calls == [("clear", ["silver.reconcile"])]
    task.execute(context)
    assert ("clear", ["gold.reconcile"]) in lab.airflow.calls


def test_a_build_has_what_is_left_of_the_runs_time(lab: Lab) -> None:
    """A late one is not begun."""
    task, context = lab.task(), lab.context(Instance())
    context["dag_run"].start_date = datetime.now(UTC) - timedelta(minutes=50)
    task.pre_execute(context)
    assert task.execution_timeout is not None
    assert timedelta(minutes=9) < task.execution_timeout <= timedelta(minutes=10)
    context["dag_run"].start_date = datetime.now(UTC) - timedelta(minutes=61)
    with pytest.raises(AirflowFailException, match="time limit of 1:00:00 passed"):
        task.pre_execute(context)


@pytest.mark.parametrize("stops_at", ["", STOCK.unique_id])
def test_what_dbt_warned_of_is_left_for_the_report(lab: Lab, stops_at: str) -> None:
    """The first of it, each cut; also by a try that is lost."""
    lab.dbt = {"stops_at": stops_at, "warned": dict.fromkeys(f"{one} {'x' * 5000}" for one in range(30))}
    with pytest.raises(DbtStopped) if stops_at else nullcontext():
        lab.build(instance := Instance())
    warned = instance.pushed[WARNINGS_KEY]
    assert (len(warned), {len(one) for one in warned}) == (20, {4000})
    assert (XCOM_KEY in instance.pushed) == (not stops_at)


def test_a_cancelled_build_ends_dbt_and_its_sessions(lab: Lab) -> None:
    """Before dbt is ready there is nothing to end."""
    task = lab.task()
    task.on_kill()
    assert lab.site.writer.ended == []
    task.execute(lab.context(Instance()))
    task.on_kill()
    assert [one.is_stopped for one in lab.tries] == [True]
    assert lab.site.writer.ended == [("r1", BUILD)]
