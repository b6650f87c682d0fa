"""Whether a node that failed is tried again, and how soon: by the class of its error, and the time that is left.

Airflow asks a task's retry policy where the task failed by an exception. A task that was lost with its worker is tried
again without it, as often as the task has retries.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from airflow.sdk import Context, ExceptionRetryPolicy, RetryAction, RetryDecision, RetryPolicy, RetryRule

from goldsmith.dbt.error_class import error_class
from goldsmith.engine.task_end import Failed, NodeFailed
from goldsmith.errors import UnusableConnection, WarehouseRefused
from goldsmith.run_limit import is_over
from goldsmith.spec.retries import Retries
from goldsmith.wording import some

log = logging.getLogger(__name__)

FINAL = (UnusableConnection, WarehouseRefused)
"""Errors after which the same task would end the same, until a person has done something."""
_NAMED = 5
_RED = "fail"  # dbt's status of a test that found rows


def but_final_errors(retries: Retries) -> RetryPolicy | None:
    """The retry policy of tasks that are no nodes: Airflow's own, but no retry after `FINAL`.

    Args:
        retries: The spec's; with `errors: any` there is no exception.
    """
    if retries.errors == "any":
        return None
    return ExceptionRetryPolicy(rules=[RetryRule(exception=one, action=RetryAction.FAIL) for one in FINAL])


@dataclass(frozen=True)
class NodeRetryPolicy(RetryPolicy):
    """The retry policy of nodes.

    Args:
        retries: The spec's.
        run_timeout: The run's time limit, from its start.
    """

    retries: Retries
    run_timeout: timedelta

    def evaluate(
        self, exception: BaseException, try_number: int, max_tries: int, context: Context | None = None
    ) -> RetryDecision:
        """Decide.

        Args:
            exception: What ended the task; of others than `NodeFailed` and `FINAL` nothing is known here.
            try_number: From 1; Airflow counts on after a clear.
            max_tries: Retries that the task had so far, those before a clear included.
            context: Airflow's, with the task.
        """
        if context is None:
            return RetryDecision.default()
        task = context["task"]
        done = max(1, try_number - (max_tries - (task.retries or 0)))
        decision = self._by_error(exception, done)
        if decision.action == RetryAction.FAIL:
            return decision
        delay = decision.retry_delay or _airflows(task, done)
        if is_over(delay, run_started=context["dag_run"].start_date, run_timeout=self.run_timeout):
            return RetryDecision.fail(
                _logged(f"not tried again: the run's time limit of {self.run_timeout} comes before that")
            )
        return RetryDecision.retry(delay, decision.reason)

    def _by_error(self, exception: BaseException, done: int) -> RetryDecision:
        if isinstance(exception, FINAL) and self.retries.errors != "any":
            return RetryDecision.fail(_logged(f"not tried again: {type(exception).__name__}"))
        if not isinstance(exception, NodeFailed) or not exception.failed:
            return RetryDecision.default()
        ahead = [one for one in exception.failed if done <= self._number(one)]
        if not ahead:
            return RetryDecision.fail(_logged(f"not tried again: {_said(exception.failed)}"))
        if all(_is_transient(one) for one in ahead):
            return RetryDecision.retry(self._soon(done), _logged(f"tried again soon: {_said(ahead)}"))
        return RetryDecision.default()

    def _number(self, one: Failed) -> int:
        """How often a node is tried again after such an error."""
        is_permanent = one.status != _RED and (found := error_class(one.message)) and not found.is_transient
        if is_permanent and (one.node.retry_errors or self.retries.errors) != "any":
            return 0
        if one.own_retries is not None:
            return one.own_retries
        return self.retries.models if one.is_model or _is_transient(one) else self.retries.tests

    def _soon(self, done: int) -> timedelta:
        """Doubling, and spread: what failed together is not to come back together.

        Args:
            done: Tries so far.
        """
        delay: timedelta = min(self.retries.build_delay * 2 ** (done - 1), self.retries.max_delay)
        return delay * random.uniform(0.5, 1.5)  # noqa: S311 - no secret


def _airflows(task: Any, done: int) -> timedelta:
    """As long as Airflow would wait; but that depends on tries before a clear, and on chance.

    Args:
        task: The task.
        done: Tries so far.
    """
    delay: timedelta = task.retry_delay * (2 ** (done - 1) if task.retry_exponential_backoff else 1)
    return min(delay, task.max_retry_delay or delay)


def _is_transient(one: Failed) -> bool:
    """Not, where a test found rows, whatever is in them."""
    found = error_class(one.message)
    return one.status != _RED and found is not None and found.is_transient


def _said(failed: Iterable[Failed]) -> str:
    """Nodes and the classes of their errors."""
    named = []
    for one in failed:
        found = error_class(one.message)
        kind = "test failure" if one.status == _RED else found.name if found else "error of no known class"
        named.append(f"{one.node.name} ({kind})")
    return some(named, _NAMED)


def _logged(reason: str) -> str:
    """Say it in the log as a line of its own too: Airflow shows a reason only beside its own line."""
    log.info("%s", reason)
    return reason
