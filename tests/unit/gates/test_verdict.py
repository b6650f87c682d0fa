"""A gate's verdict follows from the states of its layer's tasks."""

from __future__ import annotations

from goldsmith.gates.verdict import judge

TASKS = ("bronze.a.run", "bronze.a.unique_id")


def test_green_and_skipped_tasks_let_the_next_layer_start() -> None:
    """A selection skips what was not chosen; that is no failure."""
    verdict = judge("bronze", TASKS, {"bronze.a.run": "success", "bronze.a.unique_id": "skipped"})
    assert (verdict.verdict, verdict.stopped_by) == ("pass", {})


def test_what_failed_or_never_ran_blocks_and_is_named() -> None:
    """A task without a state has not run: letting it pass would be a false green."""
    verdict = judge("bronze", TASKS, {"bronze.a.run": "failed"})
    assert verdict.verdict == "block"
    assert verdict.lines() == [
        "Gate after bronze: BLOCK (2 tasks: 1 failed, 1 not run)",
        "  bronze.a.run        failed",
        "  bronze.a.unique_id  not run",
    ]
