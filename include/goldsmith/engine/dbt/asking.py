"""Ask the warehouse through dbt."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from goldsmith.dbt.inline import answers_in, inline_queries
from goldsmith.engine.dbt.command import WorkspaceCommand
from goldsmith.engine.dbt.workspace import Workspace
from goldsmith.errors import EnvironmentProblem

log = logging.getLogger(__name__)


def ask_dbt(space: Workspace, questions: Sequence[str], timeout: float) -> list[Any]:
    """Ask, with as few dbt commands as the questions fit into.

    Args:
        space: Where dbt runs.
        questions: Jinja, see `goldsmith.dbt.inline`.
        timeout: Seconds for all of them.

    Returns:
        The answers, in the order of the questions.

    Raises:
        EnvironmentProblem: dbt failed, with what it said; or it took too long.
    """
    end = time.monotonic() + timeout
    found = [answer for query in inline_queries(questions) for answer in _ask(space, query, end)]
    if len(found) != len(questions):
        raise EnvironmentProblem(
            f"The warehouse could not be asked: dbt gave {len(found)} of {len(questions)} answers."
        )
    log.info("Asked the warehouse %d questions through dbt", len(questions))
    return found


def _ask(space: Workspace, query: str, end: float) -> list[Any]:
    command = WorkspaceCommand(space, ["show", "--inline", query])
    try:
        command.run(timeout=end - time.monotonic())
    except EnvironmentProblem as error:
        raise EnvironmentProblem(f"The warehouse could not be asked: {error.message}") from error
    return answers_in(command.lines)
