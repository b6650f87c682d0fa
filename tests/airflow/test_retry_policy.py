from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import RetryAction
from airflow.sdk.exceptions import AirflowTaskTimeout
from tests.airflow.joint_tasks import NODES

from goldsmith.engine.retry_policy import NodeRetryPolicy, but_final_errors
from goldsmith.engine.task_end import NodeFailed, failure_of
from goldsmith.errors import DbtStopped, EnvironmentProblem, UnusableConnection, WarehouseRefused
from goldsmith.spec.retries import Retries

MODEL, TEST = NODES[2], NODES[3]
TRANSIENT, PERMANENT, UNKNOWN = "deadlock detected", "division by zero", "something else"
RUN_TIMEOUT = timedelta(hours=2)
RETRIES = 2
"""Of the tasks here."""


def decide(
    *failed: tuple[Any, str, str],
    retries: Retries,
    tries: tuple[int, int] = (1, RETRIES),
    nodes: Any = NODES[2:],
    left: timedelta = RUN_TIMEOUT,
) -> Any:
    """What the policy says of a task whose nodes failed: node, status and message of each."""
    error = NodeFailed(
        "text", failed=[failure_of(nodes, one, status=status, message=text) for one, status, text in failed]
    )
    number, most = tries
    return NodeRetryPolicy(retries, RUN_TIMEOUT).evaluate(error, number, most, context(left))


def context(left: timedelta) -> Any:
    """Airflow's context of a task, in a run that has some time left."""
    began = datetime.now(UTC) - RUN_TIMEOUT + left
    return {
        "task": SimpleNamespace(
            retries=RETRIES,
            retry_delay=timedelta(minutes=5),
            retry_exponential_backoff=True,
            max_retry_delay=timedelta(minutes=12),
        ),
        "dag_run": SimpleNamespace(start_date=began),
    }


@pytest.mark.parametrize(
    ("node", "status", "text", "expected"),
    [
        (MODEL, "error", TRANSIENT, RetryAction.RETRY),
        (MODEL, "error", PERMANENT, RetryAction.FAIL),
        (MODEL, "error", UNKNOWN, RetryAction.RETRY),
        (TEST, "fail", "Got 1 result, configured to fail if != 0", RetryAction.FAIL),
        (TEST, "error", TRANSIENT, RetryAction.RETRY),
        (TEST, "error", PERMANENT, RetryAction.FAIL),
        (TEST, "error", UNKNOWN, RetryAction.FAIL),
        (TEST, "fail", TRANSIENT, RetryAction.FAIL),  # the words of a test's own name, say
    ],
)
def test_the_class_of_the_error_decides(node: Any, status: str, text: str, expected: RetryAction) -> None:
    """A test is not tried again, unless its error was transient."""
    decision = decide((node, status, text), retries=Retries())
    assert decision.action == expected
    assert (decision.reason or "") == "" or node.name in decision.reason


@pytest.mark.parametrize(
    ("failed", "models_tests", "tries", "is_final"),
    [
        ([(TEST, "fail")], (2, 0), (1, 2), True),
        ([(TEST, "fail")], (2, 1), (1, 2), False),
        ([(TEST, "fail")], (2, 1), (2, 2), True),
        ([(TEST, "fail")], (2, 1), (4, 5), False),  # first try after a clear
        ([(TEST, "fail")], (2, 1), (5, 5), True),
        ([(TEST, "fail")], (0, 2), (1, 2), False),
        ([(MODEL, "error")], (2, 0), (1, 2), False),
        ([(MODEL, "error"), (TEST, "fail")], (2, 0), (1, 2), False),
        ([(MODEL, "error")], (0, 2), (1, 2), True),
        ([(MODEL, "error")], (1, 2), (2, 2), True),
    ],
)
def test_what_failed_is_tried_again_as_often_as_its_kind_is(
    failed: list[tuple[Any, str]], models_tests: tuple[int, int], tries: tuple[int, int], *, is_final: bool
) -> None:
    """Although their task has the greater number of both."""
    models, tests = models_tests
    what = [(one, status, UNKNOWN) for one, status in failed]
    decision = decide(*what, retries=Retries(models=models, tests=tests), tries=tries)
    assert (decision.action == RetryAction.FAIL) == is_final


def test_the_spec_and_a_node_may_ask_for_a_retry_after_any_error() -> None:
    """And a node may take that back; its own number of retries counts for the task that is named after it."""
    failed = (MODEL, "error", PERMANENT)
    assert decide(failed, retries=Retries(errors="any")).action == RetryAction.RETRY
    asking = replace(MODEL, retry_errors="any")
    assert decide((asking, *failed[1:]), retries=Retries()).action == RetryAction.RETRY
    quiet = replace(MODEL, retry_errors="transient")
    assert decide((quiet, *failed[1:]), retries=Retries(errors="any")).action == RetryAction.FAIL
    own = replace(MODEL, operator_kwargs={"retries": 2})
    unknown = ("error", UNKNOWN)
    assert decide((own, *unknown), retries=Retries(models=0), nodes=[own, TEST]).action == RetryAction.RETRY
    assert decide((TEST, *unknown), retries=Retries(models=0), nodes=[own, TEST]).action == RetryAction.FAIL


def test_a_transient_error_is_tried_again_soon_and_later_each_time() -> None:
    """Within half and one and a half of a doubling delay, bounded."""
    retries = Retries(models=9, build_delay="10s", max_delay="30s")
    for number, delay in ((1, 10), (2, 20), (3, 30), (9, 30)):
        found = decide((MODEL, "error", TRANSIENT), retries=retries, tries=(number, RETRIES)).retry_delay
        assert timedelta(seconds=delay / 2) <= found <= timedelta(seconds=delay * 1.5)


def test_other_exceptions_are_airflows_business() -> None:
    """A time limit, a warehouse that is away before dbt began."""
    policy = NodeRetryPolicy(Retries(), RUN_TIMEOUT)
    assert policy.evaluate(RuntimeError("deadlock"), 1, 2, None).action == RetryAction.DEFAULT
    for number, most, minutes in ((1, 2, 5), (2, 2, 10), (3, 4, 5), (4, 4, 10), (3, 2, 12)):
        decision = policy.evaluate(RuntimeError("deadlock"), number, most, context(RUN_TIMEOUT))
        assert decision.action == RetryAction.RETRY
        assert decision.retry_delay == timedelta(minutes=minutes), (
            "doubling, from the first try after a clear"
        )


@pytest.mark.parametrize(
    ("text", "minutes", "expected"),
    [
        (TRANSIENT, 4, RetryAction.RETRY),  # its retry comes in seconds
        (TRANSIENT, 0.01, RetryAction.FAIL),
        (UNKNOWN, 6, RetryAction.RETRY),  # the task's delay, of 5 minutes
        (UNKNOWN, 4, RetryAction.FAIL),
    ],
)
def test_a_retry_that_would_come_after_the_runs_time_is_not_waited_for(
    text: str, minutes: float, expected: RetryAction
) -> None:
    """The run ends at its limit; what is tried again soon is measured by its own delay."""
    left = timedelta(minutes=minutes)
    decision = decide((MODEL, "error", text), retries=Retries(build_delay="10s"), left=left)
    assert decision.action == expected
    if expected == RetryAction.FAIL:
        assert decision.reason == "not tried again: the run's time limit of 2:00:00 comes before that"
    late = NodeRetryPolicy(Retries(), RUN_TIMEOUT).evaluate(AirflowTaskTimeout("late"), 1, 2, context(left))
    assert (late.action == RetryAction.FAIL) == (minutes < 5)


@pytest.mark.parametrize(
    ("error", "of_a_node", "of_a_build"),
    [
        (WarehouseRefused("wrong password"), RetryAction.FAIL, RetryAction.FAIL),
        (UnusableConnection("no variable"), RetryAction.FAIL, RetryAction.FAIL),
        (EnvironmentProblem("nothing listens"), RetryAction.RETRY, RetryAction.DEFAULT),
        (DbtStopped("killed"), RetryAction.RETRY, RetryAction.DEFAULT),
    ],
)
def test_what_only_a_person_can_change_is_not_tried_again(
    error: Exception, of_a_node: RetryAction, of_a_build: RetryAction
) -> None:
    """A warehouse that is away may come back; a wrong password stays one."""
    found = NodeRetryPolicy(Retries(), RUN_TIMEOUT).evaluate(error, 1, RETRIES, context(RUN_TIMEOUT))
    assert found.action == of_a_node
    policy = but_final_errors(Retries())
    assert policy is not None
    assert policy.evaluate(error, 1, RETRIES, context(RUN_TIMEOUT)).action == of_a_build


def test_who_wants_any_error_to_be_tried_again_gets_that() -> None:
    """Also a wrong password."""
    every, refused = Retries(errors="any"), WarehouseRefused("wrong password")
    found = NodeRetryPolicy(every, RUN_TIMEOUT).evaluate(refused, 1, RETRIES, context(RUN_TIMEOUT))
    assert found.action == RetryAction.RETRY
    assert but_final_errors(every) is None
