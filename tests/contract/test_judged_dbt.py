"""What Goldsmith makes of a dbt command that says an event and ends with a code; the lines are dbt's own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.builders import dbt_target
from tests.contract.dbt_events import BATCH, ERROR, EVENTS, HOOK, HOOK_NODE, LINE, NOTHING, RESULT, SAID, Row
from tests.contract.test_dbt_events import classes, finished, line_of
from tests.said_dbt import said_dbt
from tests.unit.engine.shared.test_differences import VIEW

from goldsmith.engine.dbt.invocation import Invocations
from goldsmith.engine.dbt.timeouts import NodeTimeouts
from goldsmith.engine.dbt.workspace import Workspace
from goldsmith.errors import DbtStopped
from goldsmith.results.record import NodeResult
from goldsmith.spec.run import RunOptions

NODES = (VIEW,)
BESIDE = [row for row in EVENTS if row.made != RESULT]


def text_of(row: Row) -> str:
    """What dbt shows of an event."""
    return plain(classes()[row.name](**row.fields).message()).strip("\n")


def plain(text: str) -> str:
    """A text without colours, which a log may lose."""
    return re.sub(r"\x1b\[\d+m", "", text)


def _fine(*, is_last: bool = False) -> None:
    """The task is still the writer."""
    assert is_last in (True, False)


@pytest.fixture
def dbt(tmp_path: Path) -> Invocations:
    """dbt for a task, whose results are kept in `kept`."""
    target = dbt_target(tmp_path)
    space = Workspace(target=target, folder=tmp_path, profiles_dir=tmp_path, env={}, options=RunOptions())
    return Invocations(
        space=space,
        built_by="silver.build",
        on_turn=lambda _: None,
        check=_fine,
        timeouts=NodeTimeouts(cancel=lambda _: 0, tell=lambda _, __: None),
    )


def judged(dbt: Invocations, lines: list[str], *, code: int) -> tuple[str, list[NodeResult]]:
    """Why the task fails, which is empty if it does not, and the results of nodes.

    A program in the place of dbt says the lines and ends with the code.
    """
    kept: list[NodeResult] = []
    dbt.on_turn = kept.extend
    with said_dbt(dbt.space.folder) as said:
        said.lines, said.code = tuple(lines), code
        try:
            dbt.run("build", NODES)
        except DbtStopped as stopped:
            return plain(str(stopped)), kept
    return plain("\n".join(dbt.failures)), kept


@pytest.mark.parametrize("row", BESIDE, ids=lambda row: row.name)
def test_code_1_without_a_failed_node_fails_the_task(dbt: Invocations, row: Row) -> None:
    """It quotes the errors that are about no node, and the hooks that failed; its node was built all the same."""
    why, kept = judged(dbt, [finished("success"), line_of(row)], code=1)
    assert why
    assert [one.status for one in kept] == ["success"]
    quoted = row.made in (ERROR, HOOK)
    assert (text_of(row) in why) == quoted
    assert (str(HOOK_NODE["unique_id"]) in why) == (row.made == HOOK)


@pytest.mark.parametrize("row", [row for row in BESIDE if row.made == ERROR], ids=lambda row: row.name)
def test_an_error_of_no_node_is_quoted_if_dbt_does_not_get_to_its_nodes(dbt: Invocations, row: Row) -> None:
    """With every code that dbt has, and with a signal's; with code 0 the nodes have no result, and their tasks fail."""
    for code in (1, 2, 130):
        why, kept = judged(dbt, [line_of(row)], code=code)
        assert text_of(row) in why
        assert kept == []


@pytest.mark.parametrize("row", BESIDE, ids=lambda row: row.name)
def test_beside_a_failed_node_only_a_hook_fails_the_task(dbt: Invocations, row: Row) -> None:
    """The failed node explains code 1, and its own task is red; a hook has no task."""
    why, kept = judged(dbt, [finished("error", message="gone"), line_of(row)], code=1)
    assert bool(why) == (row.made == HOOK)
    assert [(one.status, one.message) for one in kept] == [("error", "gone")]


@pytest.mark.parametrize("row", [row for row in BESIDE if row.made != BATCH], ids=lambda row: row.name)
def test_with_code_0_events_beside_the_nodes_are_for_people(
    dbt: Invocations, row: Row, caplog: pytest.LogCaptureFixture
) -> None:
    """dbt itself says that all is well; what is about no node is in the log, what is about one in its details."""
    caplog.set_level("INFO")
    why, kept = judged(dbt, [line_of(row), finished("success")], code=0)
    assert row.made == HOOK or not why
    assert (text_of(row) in plain(caplog.text)) == (row.made in (ERROR, SAID, HOOK))
    assert (text_of(row) in [plain(line) for line in kept[0].lines]) == (row.made == LINE)
    assert row.made in (ERROR, SAID, HOOK, LINE, NOTHING)
