"""Why a run is red: causes, what follows from them, and what they hold back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.builders import plan_of, planned_build, planned_gate, planned_node
from tests.unit.client.test_progress import task

from goldsmith.client.causes import Cause, Failure, causes, followers
from goldsmith.engine.shared.differences import ONLY_FAILED
from goldsmith.gate_rules.base import RuleResult
from goldsmith.gates.verdict import Verdict
from goldsmith.plan.model import Plan

GRANT = '\nTo allow it: GRANT USAGE, CREATE ON SCHEMA "gold" TO "ann";'


def failure(name: str, reason: str = "", **differing: Any) -> Failure:
    """A task whose model failed; of the layer gold unless the name says it."""
    message = f"model.shop.{name}: Database Error in model {name} (models/{name}.sql)\n  {reason}"
    usual = Failure(
        task_id=f"gold.{name}.run",
        map_index=-1,
        unique_id=f"model.shop.{name}",
        try_number=1,
        message=f"{message}\n  compiled code at target/{name}.sql{GRANT if 'denied' in reason else ''}",
        url=f"/{name}",
        again=f"goldsmith retry {name}",
    )
    return replace(usual, **differing)


def beside(task_id: str, message: str = "") -> Failure:
    """A task that failed and is no dbt node."""
    return failure("", task_id=task_id, unique_id="", message=message, again="")


def names(found: Sequence[Cause]) -> list[list[str]]:
    """The failures of each cause."""
    return [[one.task_id for one in cause.failures] for cause in found]


def shop() -> Plan:
    """Bronze before silver before gold: gates between them, a build of each."""
    bronze = planned_node("model.shop.raw", layer="bronze", task_id="bronze.raw.run", build="bronze.build")
    silver = planned_node(
        "model.shop.clean",
        task_id="silver.clean.run",
        build="silver.build",
        upstream=("bronze.gate", "bronze.raw.run", "silver.build"),
    )
    tested = planned_node(
        "test.shop.unique",
        task_id="silver.clean.unique",
        upstream=("silver.clean.run",),
        build="silver.build",
    )
    gold = planned_node(
        "model.shop.mart",
        layer="gold",
        task_id="gold.mart.run",
        build="gold.build",
        upstream=("silver.gate", "silver.clean.run"),
    )
    return plan_of(
        (bronze, silver, tested, gold),
        builds=(
            planned_build("bronze"),
            planned_build("silver", upstream=("bronze.gate",)),
            planned_build("gold", upstream=("silver.gate",)),
        ),
        gates=(
            planned_gate("bronze", ("bronze.raw.run",)),
            planned_gate("silver", ("silver.clean.run", "silver.clean.unique")),
            planned_gate("gold", ("gold.mart.run",)),
        ),
    )


def blocked(layer: str, rule: str, nodes: Sequence[str]) -> Verdict:
    """A gate's verdict with one limit that blocks."""
    found = RuleResult(
        rule=rule, measured=len(nodes) or 7, allowed="at most 0", outcome="block", nodes=tuple(nodes)
    )
    return Verdict(layer=layer, verdict="block", rules=(found,), counts={}, stopped_by={})


RED = (
    task("silver.clean.run", "failed", start=1, end=2),
    task("silver.clean.unique", "upstream_failed"),
    task("silver.gate", "failed", start=3, end=4),
    task("silver.reconcile", "failed", start=3, end=5),
    task("gold.mart.run", "upstream_failed"),
    task("gold.gate", "failed", start=6, end=7),
    task("gold.build", "upstream_failed"),
)


def test_gates_and_comparisons_of_what_failed_only_follow() -> None:
    """With the limit that blocks, if it says more than that something did not run."""
    failures = [
        failure("clean", task_id="silver.clean.run"),
        beside("silver.gate"),
        beside("silver.reconcile", f"2 {ONLY_FAILED}: silver.clean.run"),
        beside("gold.gate"),
    ]
    verdicts = {
        "silver.gate": blocked("silver", "failed_models", ["model.shop.clean"]),
        "gold.gate": blocked("gold", "not_run", ["gold.mart.run"]),
    }
    found = followers(failures, RED, shop(), verdicts)
    assert found == {"silver.gate": "failed_models 1, at most 0", "silver.reconcile": "", "gold.gate": ""}
    only = causes(failures, found, RED, shop())
    assert names(only) == [["silver.clean.run"]]
    assert (dict(only[0].holds_back), only[0].held) == ({"silver": 1, "gold": 2}, 3)


def test_a_gate_with_a_reason_of_its_own_is_a_cause() -> None:
    """Too few rows in a green model; and a comparison that has found a difference."""
    failures = [
        failure("clean", task_id="silver.clean.run"),
        beside("silver.gate"),
        beside("silver.reconcile", "no"),
    ]
    verdicts = {"silver.gate": blocked("silver", "rows of raw", ["model.shop.raw"])}
    assert followers(failures, RED, shop(), verdicts) == {}
    alone = [beside("gold.gate")]
    assert followers(alone, RED, shop(), {"gold.gate": blocked("gold", "not_run", ["gold.mart.run"])}) == {}
    assert followers(failures, RED, None, verdicts) == {}


def test_what_begins_after_a_build_has_failed_follows_from_it() -> None:
    """A gate that failed before it has a reason of its own."""
    tasks = [
        task("bronze.gate", "failed", start=1, end=2),
        task("silver.build", "failed", start=3, end=5),
        task("silver.gate", "failed", start=6, end=7),
        task("silver.reconcile", "failed", start=6, end=8),
        task("report", "failed", start=9, end=10),
    ]
    failures = [beside(one.task_id, "no") for one in tasks]
    assert followers(failures, tasks, shop(), {}) == {"silver.gate": "", "silver.reconcile": ""}


def test_failures_of_one_reason_are_one_cause() -> None:
    """A right that many nodes lack; a column that does not exist, on whatever line of their SQL."""
    denied = "permission denied for schema gold"
    typo = 'column "amout" does not exist\n  LINE {}:     select amout\n             ^'
    failures = [
        *(failure(name, denied) for name in "ab"),
        *(failure(f"t{line}", typo.format(line)) for line in (7, 44)),
        failure("c", 'column "price" does not exist'),
        *(failure(name, "division by zero") for name in "de"),
        failure("t", task_id="gold.t.unique", message="Got 6 results, configured to fail if != 0"),
        failure("u", task_id="gold.u.unique", message="Got 6 results, configured to fail if != 0"),
    ]
    found = causes(failures, {}, (), None)
    together = [one for one in names(found) if len(one) > 1]
    assert sorted(together) == [["gold.a.run", "gold.b.run"], ["gold.t7.run", "gold.t44.run"]]
    assert len(found) == 7


def test_what_holds_back_most_comes_last() -> None:
    """Of those that hold back as much, what failed first: it is more likely the cause of the others."""
    failures = [failure("one", "a"), failure("raw", "b", task_id="bronze.raw.run"), failure("two", "c")]
    tasks = [task("silver.clean.run", "upstream_failed"), task("gold.mart.run", "skipped")]
    found = causes(failures, {}, tasks, shop())
    assert names(found) == [["gold.two.run"], ["gold.one.run"], ["bronze.raw.run"]]
    assert dict(found[-1].holds_back) == {"silver": 1}
