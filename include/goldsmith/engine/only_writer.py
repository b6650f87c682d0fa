"""The right of a task to be the only writer of its target's schemas, and the sessions that it has in the warehouse."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.sdk import Context

from goldsmith.engine.dbt.workspace import DbtTarget
from goldsmith.errors import DbtStopped, EnvironmentProblem
from goldsmith.warehouse.tags import session_tag

if TYPE_CHECKING:
    from goldsmith.warehouse.base import Warehouse, Writer

# What talks to the warehouse is imported where it is used: a DAG file is parsed without its driver.

log = logging.getLogger(__name__)

# Seconds, in a signal handler: dbt had its own before, and after 5 in all Airflow kills the task.
_END_TIME = 1.2
_LEFTOVERS_TIME = 20.0
_LOOK_EVERY = 2.0


class OnlyWriter:
    """Keeps other runs out of a target's schemas while a task writes them.

    Args:
        target: The dbt target.
    """

    def __init__(self, target: DbtTarget) -> None:
        self._target = target
        self._writer: Writer | None = None
        self._looked = 0.0

    def session(self, run_id: str, task_id: str) -> str:
        """The tag of the sessions that dbt opens in the warehouse for a task."""
        return session_tag(self._target.dag_id, run_id, task_id)

    @contextmanager
    def held(self, context: Context, task_id: str, *, is_alone: bool = True) -> Iterator[None]:
        """Keep other runs from writing the target's schemas, and wait while one does.

        Args:
            context: Of the task.
            task_id: The task.
            is_alone: Keep also the other tasks of this run out.
        """
        run_id = context["run_id"]
        self._end_lost_try(run_id, task_id)
        with self._warehouse.writer(
            target=self._target.writes_to,
            run=f"{self._target.dag_id}/{run_id}",
            exclusive=is_alone,
            on_wait=log.info,
            tag=self._own_session(run_id, task_id),
        ) as self._writer:
            yield

    def check(self, *, is_last: bool = False) -> None:
        """Ask the warehouse once in a while whether this task is still the writer.

        Args:
            is_last: dbt has ended: a server that went away and came back took the right with it, and whatever dbt
                said of nodes since then is about the server, not about them.

        Raises:
            DbtStopped: It is not.
        """
        now = time.monotonic()
        if self._writer is None or (not is_last and now - self._looked < _LOOK_EVERY):
            return
        self._looked = now
        if not self._writer.is_held():
            raise DbtStopped(
                "The warehouse has ended the session that made this task the only writer: it was restarted, or "
                "somebody ended the session. What dbt reported as failed since then is built again.",
                hint="The task's next try builds what is missing.",
            )

    def end_sessions(self, run_id: str, task_id: str) -> None:
        """End what a task runs in the warehouse, as far as that goes in the time a signal handler has.

        It says nothing: the handler may have interrupted a line that was being logged.
        """
        with contextlib.suppress(EnvironmentProblem):
            self._warehouse.end_sessions(self.session(run_id, task_id), timeout=_END_TIME)

    def _end_lost_try(self, run_id: str, task_id: str) -> None:
        """End what an earlier try has left in the warehouse, dbt's queries first, then its right to write."""
        tags = self.session(run_id, task_id), self._own_session(run_id, task_id)
        ended = [self._warehouse.end_sessions(tag, timeout=_LEFTOVERS_TIME) for tag in tags]
        if any(ended):
            log.warning(
                "Ended %d sessions in the warehouse that an earlier try of %s had left", sum(ended), task_id
            )

    @property
    def _warehouse(self) -> Warehouse:
        from goldsmith.warehouse.choose import warehouse_of

        return warehouse_of(self._target.connection)

    def _own_session(self, run_id: str, task_id: str) -> str:
        return session_tag(self._target.dag_id, run_id, f"{task_id} writer")
