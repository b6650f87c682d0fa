"""In which order a task builds models of which batches are missing, and what they take along."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
from tests.airflow.joint_tasks import GRAPH, FakeDbt, Result, node
from tests.builders import no_samples

from goldsmith.engine.batch import Batch
from goldsmith.engine.build_state import BuildState
from goldsmith.plan.graph import PlanGraph
from goldsmith.plan.model import PlannedNode
from goldsmith.results.microbatch import Microbatches
from goldsmith.results.record import SKIPPED
from goldsmith.spec.run import RunOptions

RAW, DAYS, AFTER = "silver.raw.run", "silver.days.run", "gold.after.run"
NODES = (
    node("raw", RAW),
    node("days", DAYS, RAW),
    node("u_days", DAYS, RAW),
    node("t_days", DAYS, RAW),
    node("after", AFTER, DAYS),
)
KNOWN = Microbatches(planned=("2026-11-20", "2026-11-21", "2026-11-22"), built=frozenset({"2026-11-21"}))
MISSING, ALL = ["2026-11-20", "2026-11-22"], list(KNOWN.planned)


def built(
    result: Result,
    *names: str,
    nodes: tuple[PlannedNode, ...] = NODES,
    known: Microbatches = KNOWN,
    days: str = "success",
    more: tuple[str, ...] = (),
    **options: object,
) -> tuple[list[tuple[str, list[str]]], BuildState]:
    """What dbt runs, one command after the other, and the state afterwards."""
    said = dict.fromkeys((one.unique_id for one in nodes), "success") | {"days": days}
    dbt = FakeDbt(result, said)
    dbt.space.options = RunOptions.parse(options, target="dev")
    state = BuildState(build_id="b1", max_tries=0, batches=dict.fromkeys(("days", *more), known))
    Batch(
        graph=PlanGraph(replace(GRAPH.plan, nodes=nodes)),
        dbt=cast("Any", dbt),
        keep=lambda _, *, is_more: None,  # noqa: ARG005 - its name is part of the call
        state=state,
        save=lambda _: None,
        begin=lambda _: None,
        marker=None,
        sampler=no_samples(),
    ).build([one for one in nodes if one.unique_id in names])
    return dbt.ran, state


@pytest.mark.parametrize("is_full_refresh", [False, True])
def test_missing_batches_come_before_what_waits_for_the_model(
    result: Result, *, is_full_refresh: bool
) -> None:
    """And after its unit tests; the tests in its own task come with what waits. A full refresh keeps what is built."""
    ran, state = built(result, "days", "u_days", "t_days", "after", full_refresh=is_full_refresh)
    assert ran == [("test", ["u_days"]), ("retry", MISSING), ("build", ["t_days", "after"])]
    assert state.batches == {}


def test_a_model_whose_batches_fail_again_holds_back_what_waits_for_it(result: Result) -> None:
    """As dbt does it within one command."""
    ran, state = built(result, "days", "t_days", "after", days="error")
    assert ran == [("retry", MISSING)]
    assert state.statuses == {"days": "error", "t_days": SKIPPED, "after": SKIPPED}


def test_a_model_that_goes_on_after_an_error_comes_first_and_holds_back_nothing(result: Result) -> None:
    """If batches are missing, what reads it still waits for the command that builds them."""
    goes_on = tuple(replace(one, goes_on=one.unique_id == "days") for one in NODES)
    ran, state = built(result, "days", "after", nodes=goes_on, days="error")
    assert ran == [("retry", MISSING), ("build", ["after"])]
    assert state.statuses == {"days": "error", "after": "success"}


def test_all_batches_are_built_if_what_the_model_reads_is_built_again(result: Result) -> None:
    """Those that were built have read what was there before; what is read comes first."""
    ran, _ = built(result, "raw", "days", "after")
    assert ran == [("build", ["raw"]), ("retry", ALL), ("build", ["after"])]


def test_dbt_makes_a_model_anew_of_which_nothing_would_be_lost(result: Result) -> None:
    """With `--full-refresh` and nothing built, and where the project says that it is always made anew."""
    whole = [("build", ["days", "after"])]
    assert built(result, "days", "after", known=KNOWN.anew(), full_refresh=True)[0] == whole
    always = tuple(replace(one, full_refresh=True) for one in NODES)
    assert built(result, "days", "after", nodes=always)[0] == whole
    never = tuple(replace(one, full_refresh=False) for one in NODES)
    ran = built(result, "days", "after", nodes=never, known=KNOWN.anew(), full_refresh=True)[0]
    assert ran == [("retry", ALL), ("build", ["after"])]


def test_fail_fast_goes_on_with_nothing_after_a_failure(result: Result) -> None:
    """Not with another command either, for what does not wait for the model that failed."""
    second = "silver.weeks.run"
    nodes = (*NODES, node("weeks", second), node("late", "gold.late.run", second))
    ran, state = built(
        result, "days", "weeks", "late", nodes=nodes, days="error", more=("weeks",), fail_fast=True
    )
    assert ran == [("retry", [*MISSING, *MISSING])]
    assert state.statuses == {"days": "error", "weeks": "success", "late": SKIPPED}
