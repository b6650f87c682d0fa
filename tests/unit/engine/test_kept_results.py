"""What dbt said about nodes is kept by run, and read again by those who need it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.builders import planned_node

from goldsmith.engine.kept_results import KEEP_DAYS, RunResults
from goldsmith.errors import EnvironmentProblem
from goldsmith.results.record import NodeResult

ORDERS = planned_node("model.shop.orders")
DAYS = planned_node("model.shop.days", materialized="incremental")
Result = Callable[..., NodeResult]


@pytest.fixture
def results(tmp_path: Path) -> RunResults:
    """Of the pipeline shop."""
    return RunResults(str(tmp_path), "shop")


@pytest.fixture
def said(result: Result) -> Result:
    """What dbt said of the model orders; what is named differs."""
    return lambda **values: result(**{"unique_id": ORDERS.unique_id, "task_id": ORDERS.task_id, **values})


def test_the_latest_word_about_a_node_counts_and_all_are_kept(results: RunResults, said: Result) -> None:
    """Unless a build begins with the nodes: then nothing of another build of the run is left."""
    results.keep("r1", [said(status="error")], is_first=True)
    results.keep("r1", [said(status="success")])
    assert {uid: one.status for uid, one in results.last("r1", [ORDERS, DAYS]).items()} == {
        ORDERS.unique_id: "success"
    }
    told = results.all("r1", [ORDERS.task_id, DAYS.task_id])
    assert {task: [one.status for one in ones] for task, ones in told.items()} == {
        ORDERS.task_id: ["error", "success"],
        DAYS.task_id: [],
    }
    assert results.last("r2", [ORDERS]) == {}
    results.keep("r1", [said(status="skipped")], is_first=True)
    assert [one.status for one in results.all("r1", [ORDERS.task_id])[ORDERS.task_id]] == ["skipped"]


def test_of_a_task_with_several_nodes_only_those_that_are_asked_for_are_told(
    results: RunResults, said: Result
) -> None:
    """Its test is not its model."""
    results.keep("r1", [said(), said(unique_id="test.shop.check", kind="test")], is_first=True)
    assert results.last("r1", [ORDERS]).keys() == {ORDERS.unique_id}


def test_only_models_that_may_have_batches_are_asked_for_them(results: RunResults, said: Result) -> None:
    """A file is read for each."""
    days = said(unique_id=DAYS.unique_id, task_id=DAYS.task_id)
    results.keep("r1", [said(), days], is_first=True)
    assert results.last_with_batches("r1", [ORDERS, DAYS]) == {DAYS.unique_id: days}


def test_nothing_to_keep_needs_no_folder(tmp_path: Path) -> None:
    """A turn of dbt often ends without a result."""
    (tmp_path / "file").touch()
    results = RunResults(str(tmp_path / "file" / "below"), "shop")
    results.keep("r1", [])


def test_what_cannot_be_kept_is_said_and_what_cannot_be_deleted_is_logged(
    tmp_path: Path, said: Result, caplog: pytest.LogCaptureFixture
) -> None:
    """Old details are never a reason to fail."""
    (tmp_path / "file").touch()
    results = RunResults(str(tmp_path / "file"), "shop")
    with pytest.raises(EnvironmentProblem):
        results.keep("r1", [said()], is_first=True)
    results.prune()
    assert "Details of old runs could not be deleted" in caplog.text


def test_a_few_old_runs_are_deleted_at_once(tmp_path: Path, results: RunResults, said: Result) -> None:
    """A build is not to wait for more; the oldest go first, and what is young stays."""
    old = time.time() - (KEEP_DAYS + 1) * 86_400
    for number in range(7):
        results.keep(f"r{number}", [said()], is_first=True)
        os.utime(tmp_path / "shop" / f"r{number}", (old + number, old + number))
    results.keep("young", [said()], is_first=True)
    results.prune()
    assert sorted(one.name for one in (tmp_path / "shop").iterdir()) == ["r5", "r6", "young"]
