"""What a build leaves behind for the tasks after it, in Airflow's XCom."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk import Context

from goldsmith.engine.build_state import REASON_KEY, XCOM_KEY, BuildState
from goldsmith.masking import masked

REASON_LENGTH = 4000
"""Characters of a text that is left for people."""


@contextmanager
def saying_why(context: Context) -> Iterator[None]:
    """Keep why a task failed, for the report of the run and the comparison; its log has it too."""
    try:
        yield
    except Exception as error:
        if str(error):
            context["ti"].xcom_push(key=REASON_KEY, value=masked(str(error))[:REASON_LENGTH])
        raise


def left_by(build: str, context: Context) -> BuildState | None:
    """What a build has left behind for the tasks after it; None where that is nothing.

    Args:
        build: Id of its task.
        context: Of the task that asks.

    Raises:
        ValueError: It cannot be read.
    """
    packed = context["ti"].xcom_pull(task_ids=build, key=XCOM_KEY)
    return BuildState.unpack(packed) if packed else None
