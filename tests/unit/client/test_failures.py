"""The failures at the end of a run: each reason once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from rich.console import Console
from tests.builders import plan_of, planned_build, planned_gate
from tests.unit.client.test_progress import task

from goldsmith.client.failures import Failure, followed_a_build, print_failures

GRANT = 'To allow it: GRANT USAGE, CREATE ON SCHEMA "gold" TO "ann";'


def failure(name: str, reason: str, **differing: Any) -> Failure:
    """A task whose model failed."""
    message = f"model.shop.{name}: Database Error in model {name} (models/{name}.sql)\n  {reason}"
    usual = Failure(
        task_id=f"gold.{name}.run",
        map_index=-1,
        unique_id=f"model.shop.{name}",
        try_number=1,
        message=f"{message}\n  compiled code at target/{name}.sql\n{GRANT}",
        url=f"/{name}",
        again=f"goldsmith retry {name}",
    )
    return replace(usual, **differing)


def shown(*failures: Failure, followed: tuple[str, ...] = ()) -> str:
    """What a person sees."""
    console = Console(width=200)
    with console.capture() as captured:
        print_failures(failures, followed, console, pipeline="shop", url="/run")
    return captured.get()


def test_a_reason_of_many_nodes_is_printed_once() -> None:
    """With the names of the others, and the command for all of them; what a node failed of itself stays its own."""
    denied = "permission denied for schema gold"
    text = shown(*(failure(name, denied) for name in "abc"), failure("d", "division by zero"))
    assert text.count(GRANT) == 2
    assert text.count(denied) == 1
    assert "for the same reason: gold.b.run, gold.c.run" in text
    assert text.count("again: goldsmith run shop --failed") == 1
    assert "again: goldsmith retry d" in text
    older = shown(*(failure(name, denied, again="goldsmith retry x --run r1") for name in "ab"))
    assert "again: goldsmith retry x --run r1" in older


def test_many_failures_are_cut() -> None:
    """The first are printed in full."""
    text = shown(*(failure(f"m{number}", "division by zero") for number in range(12)))
    assert text.count("FAILED") == 10
    assert "... and 2 more failures: /run" in text


def test_what_fails_because_a_build_failed_is_named_only() -> None:
    """A gate that failed before it, and comparisons of other layers, have reasons of their own."""
    builds = [planned_build("bronze"), planned_build("silver")]
    gates = [planned_gate("bronze"), planned_gate("silver")]
    plan = plan_of((), builds=tuple(builds), gates=tuple(gates))
    failed = [
        task("bronze.gate", "failed", start=1, end=2),
        task("silver.build", "failed", start=3, end=5),
        task("silver.gate", "failed", start=6, end=7),
        task("silver.reconcile", "failed", start=6, end=8),
        task("report", "failed", start=9, end=10),
    ]
    assert followed_a_build(failed, plan) == ("silver.gate", "silver.reconcile")
    assert followed_a_build(failed[:1] + failed[2:], plan) == ()
    assert followed_a_build(failed, None) == ()
    text = shown(failure("x", "no", task_id="silver.gate"), followed=("silver.gate", "silver.reconcile"))
    assert text.strip() == "Failed in consequence: silver.gate, silver.reconcile"
