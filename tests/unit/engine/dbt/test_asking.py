"""The warehouse asked through a dbt command: its answers, and what becomes of a command that gives none."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.said_dbt import SaidDbt, event, lake_target, said_dbt

from goldsmith.engine.dbt.asking import ask_dbt
from goldsmith.engine.dbt.workspace import Workspace, workspace
from goldsmith.errors import EnvironmentProblem
from goldsmith.spec.run import RunOptions

QUESTIONS = ["{% set answer = 1 %}", "{% set answer = 2 %}"]


@pytest.fixture
def space(tmp_path: Path) -> Iterator[Workspace]:
    """Where dbt runs."""
    with (
        lake_target(tmp_path) as target,
        workspace(target, session="tag", env={}, options=RunOptions()) as made,
    ):
        yield made


@pytest.fixture
def dbt(tmp_path: Path) -> Iterator[SaidDbt]:
    """A program in its place."""
    with said_dbt(tmp_path) as said:
        yield said


def test_answers_come_in_the_order_of_the_questions(space: Workspace, dbt: SaidDbt) -> None:
    """By one command."""
    dbt.lines = (event("PrintEvent", msg="goldsmith-answers [1, 2]"),)
    assert ask_dbt(space, QUESTIONS, 60) == [1, 2]
    assert dbt.arguments[dbt.arguments.index("show") + 1] == "--inline"
    assert ask_dbt(space, [], 60) == []


@pytest.mark.parametrize(
    ("lines", "code", "said"),
    [
        ((), 0, "dbt gave 0 of 2 answers"),
        ((event("PrintEvent", msg="goldsmith-answers [1]"),), 0, "dbt gave 1 of 2 answers"),
        (
            (event("MainEncounteredError", level="error", msg="no such table"),),
            2,
            "code 2.\nno such table",
        ),
    ],
)
def test_a_command_without_all_answers_is_an_error(
    space: Workspace, dbt: SaidDbt, lines: tuple[str, ...], code: int, said: str
) -> None:
    """Never a part of them: what was not asked is not well."""
    dbt.lines, dbt.code = lines, code
    with pytest.raises(EnvironmentProblem) as raised:
        ask_dbt(space, QUESTIONS, 60)
    assert said in str(raised.value)


def test_a_command_that_takes_too_long_is_ended(space: Workspace, dbt: SaidDbt) -> None:
    """The task goes on, with an error."""
    dbt.seconds = 60
    began = time.monotonic()
    with pytest.raises(EnvironmentProblem, match="took too long"):
        ask_dbt(space, QUESTIONS, 0.2)
    assert time.monotonic() - began < 30
