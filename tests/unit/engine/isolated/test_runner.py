"""What dbt's runner says about a node becomes its details."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from tests.builders import planned_node

from goldsmith.dbt.error_class import CANCELLED
from goldsmith.engine.isolated.runner import Listener, failed_beside, result_at_limit, result_of

ORDERS, CHECK = planned_node("model.shop.orders"), planned_node("test.shop.check")
BEGAN = datetime(2026, 11, 20, 13, tzinfo=UTC)


def event(text: str, *, level: str = "info", about: str = ORDERS.unique_id) -> Any:
    """An event of dbt."""
    data = SimpleNamespace(node_info=SimpleNamespace(unique_id=about)) if about else SimpleNamespace()
    return SimpleNamespace(info=SimpleNamespace(invocation_id="i-1", level=level, msg=text), data=data)


def outcome(*results: Any) -> Any:
    """What the runner gives back."""
    return SimpleNamespace(result=SimpleNamespace(results=results))


def said(unique_id: str = ORDERS.unique_id, *, is_aware: bool = True, **values: Any) -> Any:
    """dbt's result of a node, which ran for two seconds."""
    begun = BEGAN if is_aware else BEGAN.replace(tzinfo=None)
    times = [
        SimpleNamespace(started_at=begun, completed_at=begun + timedelta(seconds=1)),
        SimpleNamespace(started_at=None, completed_at=begun + timedelta(seconds=2)),
    ]
    node = SimpleNamespace(
        unique_id=unique_id,
        relation_name='"lake"."orders"',
        compiled_code=" select 1\n",
        config=SimpleNamespace(materialized="table"),
    )
    usual = {
        "node": node,
        "status": "success",
        "message": "SELECT 7",
        "timing": times,
        "execution_time": 2.0,
        "adapter_response": {"rows_affected": 7},
        "failures": None,
    }
    return SimpleNamespace(**{**usual, **values})


def details(*results: Any, node: Any = ORDERS) -> Any:
    """The details that are kept of a node."""
    listener = Listener(node.unique_id)
    listener(event("1 of 1 OK", about=node.unique_id))
    return result_of(outcome(*results), listener, node=node, task_id="t", command="dbt run")


@pytest.mark.parametrize("is_aware", [True, False])
def test_a_models_details_are_all_that_dbt_says(*, is_aware: bool) -> None:
    """Times in UTC, also where dbt does not say so."""
    found = details(said("model.shop.other"), said(is_aware=is_aware))
    assert (found.status, found.rows, found.failures) == ("success", 7, None)
    assert (found.started, found.ended) == ("2026-11-20T13:00:00+00:00", "2026-11-20T13:00:02+00:00")
    assert (found.relation, found.materialized, found.compiled_sql) == (
        '"lake"."orders"',
        "table",
        "select 1",
    )
    assert (found.invocation_id, found.lines, found.command) == ("i-1", ("1 of 1 OK",), "dbt run")


def test_a_tests_details_count_its_failing_rows() -> None:
    """It has neither rows nor a relation of its own."""
    failed = said(CHECK.unique_id, status=SimpleNamespace(value="Fail"), failures=3, message=None)
    found = details(failed, node=CHECK)
    assert (found.status, found.failures, found.rows, found.relation, found.message) == (
        "fail",
        3,
        None,
        "",
        "",
    )


@pytest.mark.parametrize(
    "nothing", [outcome(), outcome(said("model.shop.other")), SimpleNamespace(result=None)]
)
def test_a_node_that_dbt_did_not_get_to_has_no_details(nothing: Any) -> None:
    """Another one's are not its own."""
    listener = Listener(ORDERS.unique_id)
    assert result_of(nothing, listener, node=ORDERS, task_id="t", command="") is None


def test_a_node_that_was_never_begun_has_no_times() -> None:
    """It was skipped."""
    skipped = said(timing=[], status="skipped", execution_time=None)
    assert (details(skipped).started, details(skipped).ended, details(skipped).seconds) == ("", "", 0.0)


def test_what_failed_beside_a_node_is_named() -> None:
    """Hooks, which dbt lists among the results."""
    hook = said("operation.shop.on-run-end", status=SimpleNamespace(value="error"), message="no such table")
    assert failed_beside(outcome(said(status="error"), hook), ORDERS.unique_id) == (
        "operation.shop.on-run-end: no such table"
    )
    assert failed_beside(outcome(said()), ORDERS.unique_id) == ""


def test_lines_about_a_node_are_kept_and_errors_have_room() -> None:
    """Not what is said of others, nor what only debugging needs."""
    listener = Listener(ORDERS.unique_id)
    for taken in (
        event("START\n"),
        event("dbt.debug", level="debug"),
        event("  "),
        event("other", about="x"),
    ):
        listener(taken)
    listener(event("Running with dbt=1.12.5", about=""))
    assert listener.lines == ["START"]
    for number in range(60):
        listener(event(f"line {number}"))
    assert len(listener.lines) == 40
    listener(event("division by zero", level="error"))
    assert listener.lines[-1] == "division by zero"


def test_a_node_at_its_tasks_limit_was_cancelled() -> None:
    """The class of the error is that of a cancelled one: it is not tried again for being slow."""
    listener = Listener(ORDERS.unique_id)
    limit = timedelta(minutes=30, milliseconds=2)
    found = result_at_limit(listener, limit=limit, node=ORDERS, task_id="t", command="dbt run")
    assert (found.status, found.message) == (
        "error",
        f"Its task's time limit of 0:30:00 was over: {CANCELLED}",
    )
    assert found.started == listener.began.isoformat()
    assert found.seconds >= 0
