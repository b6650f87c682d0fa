"""A gate's verdict follows from the states of its layer's tasks, dbt's words and the limits."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from goldsmith.gates.outcomes import LetPass
from goldsmith.gates.verdict import Case, Override, Verdict, judge

MakeCase = Callable[..., Case]
ANN = Override(decision="approved", by="ann", at="2026-11-20T03:00:00+00:00", reason="known since Monday")


def outcomes(verdict: Verdict) -> dict[str, tuple[float | None, str]]:
    """Rule to measured value and outcome."""
    return {rule.rule: (rule.measured, rule.outcome) for rule in verdict.rules}


def test_green_and_skipped_tasks_let_the_next_layer_start(case: MakeCase) -> None:
    """A selection skips what was not chosen; that is no failure."""
    verdict = judge(case(other={"bronze.a.t1": "skipped"}))
    assert (verdict.verdict, verdict.stopped_by, verdict.let_pass) == ("pass", {}, LetPass())
    assert outcomes(verdict) == dict.fromkeys(("failed_tests", "failed_models", "stale_sources"), (0, "pass"))


def test_without_limits_whatever_failed_or_never_ran_blocks_and_is_named(case: MakeCase) -> None:
    """A task without a state has not run: letting it pass would be a false green."""
    verdict = judge(case(failed=("bronze.a.run",), other={"bronze.a.t1": None}))
    assert verdict.verdict == "block"
    assert verdict.stopped_by == {"bronze.a.run": "failed", "bronze.a.t1": "not run"}
    assert verdict.lines() == [
        "Gate after bronze: BLOCK (5 tasks: 1 failed, 1 not run, 3 success)",
        "  rule           measured  limit",
        "  failed_tests   0         at most 0  pass",
        "  failed_models  1         at most 0  BLOCK",
        "  stale_sources  0         at most 0  pass",
        "  not_run        1         at most 0  BLOCK",
        "  bronze.a.run  failed",
        "  bronze.a.t1   not run",
    ]


@pytest.mark.parametrize(
    ("limits", "verdict", "measured"),
    [
        ({"failed_tests": 2}, "pass", {"failed_tests": (2, "pass")}),
        ({"failed_tests": 1}, "block", {"failed_tests": (2, "block")}),
        ({"failed_tests": {"max": 1, "then": "warn"}}, "warn", {"failed_tests": (2, "warn")}),
        ({"failed_tests": {"share": 0.5}}, "pass", {"share of failed_tests": (0.5, "pass")}),
        ({"failed_tests": {"share": 0.49}}, "block", {"share of failed_tests": (0.5, "block")}),
        (
            {"failed_tests": {"max": 1, "tag": "loose"}},
            "block",
            {"failed_tests (tag loose)": (1, "pass"), "failed_tests (others)": (1, "block")},
        ),
        (
            {"failed_tests": [{"max": 5}, {"max": 0, "tag": "loose"}]},
            "block",
            {"failed_tests": (2, "pass"), "failed_tests (tag loose)": (1, "block")},
        ),
        (
            {"failed_tests": {"max": 2, "severity": "error"}},
            "pass",
            {"failed_tests (severity error)": (2, "pass")},
        ),
    ],
)
def test_failed_tests_are_counted_by_number_share_severity_and_tag(
    case: MakeCase, limits: dict[str, Any], verdict: str, measured: dict[str, tuple[float, str]]
) -> None:
    """What no limit is about blocks; one limit that is exceeded outweighs one that is kept."""
    found = judge(case(limits=limits, failed=("bronze.a.t1", "bronze.a.t2")))
    assert found.verdict == verdict
    assert outcomes(found).items() >= measured.items()
    assert set(found.tolerated) == ({"t_a1", "t_a2"} if verdict != "block" else set(found.tolerated))


def test_a_test_that_warned_is_green_and_counted(case: MakeCase) -> None:
    """Airflow shows it as success; dbt's status tells."""
    limits = {"warned_tests": {"max": 0, "then": "warn"}}
    assert judge(case(limits=limits)).verdict == "pass"
    assert judge(case(limits=limits, statuses={"w_a": "warn"})).verdict == "warn"


def test_what_a_tolerated_model_holds_back_is_tolerated_too_also_by_later_gates(case: MakeCase) -> None:
    """They are consequences, not new failures; a failure of their own is one."""
    held = ("bronze.a.t1", "bronze.a.t2", "bronze.a.w", "silver.b.run", "silver.c.run")
    bronze = judge(case(limits={"failed_models": 1}, failed=("bronze.a.run",), held=held))
    assert (bronze.verdict, bronze.tolerated) == ("pass", ("a",))
    assert bronze.held_back == ("bronze.a.t1", "bronze.a.t2", "bronze.a.w")
    later = {"failed": ("bronze.a.run",), "held": held, "before": bronze.let_pass}
    silver = judge(case("silver", **later))
    assert (silver.verdict, silver.tolerated, silver.held_back) == (
        "pass",
        (),
        ("silver.b.run", "silver.c.run"),
    )
    broken = judge(case("silver", **{**later, "failed": ("bronze.a.run", "silver.d.run")}))
    assert (broken.verdict, broken.stopped_by) == ("block", {"silver.d.run": "failed"})


def test_what_was_held_back_and_then_fails_itself_is_not_tolerated(case: MakeCase) -> None:
    """Somebody has cleared it, and it broke for a reason of its own."""
    before = LetPass(nodes=frozenset({"a"}), held_back=frozenset({"silver.b.run"}))
    assert judge(case("silver", held=("silver.b.run",), before=before)).verdict == "pass"
    assert judge(case("silver", failed=("silver.b.run",), before=before)).verdict == "block"


def test_of_a_task_with_several_nodes_dbt_says_what_failed(case: MakeCase) -> None:
    """A red task that holds a model and its test may be red for the test alone."""
    only_tests = {"failed_tests": 1}
    failed = {"limits": only_tests, "failed": ("bronze.m.run",)}
    passed = judge(case(**failed, statuses={"m": "success", "t_m": "fail"}))
    assert (passed.verdict, passed.tolerated) == ("pass", ("t_m",))
    assert judge(case(**failed, statuses={"m": "error", "t_m": "skipped"})).verdict == "block"
    assert judge(case(**failed)).verdict == "block"


def test_stale_sources_block_or_hold_back_just_their_readers(case: MakeCase) -> None:
    """A source that cannot be looked at is no stale one."""
    held = ("bronze.a.run", "bronze.a.t1", "bronze.a.t2", "bronze.a.w")
    stale = {"failed": ("sources.s.freshness",), "held": held, "statuses": {"s": "error"}}
    blocked = judge(case(**stale))
    assert (blocked.verdict, outcomes(blocked)["stale_sources"]) == ("block", (1, "block"))
    for how in ({"skips_stale": True}, {"limits": {"stale_sources": 1}}):
        found = judge(case(**stale, **how))
        assert (found.verdict, found.tolerated, found.held_back) == ("pass", ("s",), held)
        unknown = {**stale, "statuses": {"s": "runtime error"}}
        assert judge(case(**unknown, **how)).verdict == "block"


def test_who_approves_lets_pass_what_was_shown(case: MakeCase) -> None:
    """The rules keep what they said; the verdict and its reason are the person's."""
    blocked = judge(case(failed=("bronze.a.t1",), held=("bronze.a.t2",)))
    assert blocked.let_pass == LetPass()
    approved = blocked.decided(ANN)
    assert (approved.verdict, approved.tolerated, approved.held_back) == ("warn", ("t_a1",), ("bronze.a.t2",))
    assert approved.lines()[-1] == ("Approved by ann at 2026-11-20T03:00:00+00:00: known since Monday")
    rejected = blocked.decided(Override(decision="rejected", by="ann", at="", reason="no"))
    assert (rejected.verdict, rejected.let_pass) == ("block", LetPass())


def test_a_verdict_survives_its_way_through_xcom(case: MakeCase) -> None:
    """Plain JSON, and the same verdict after it."""
    verdict = judge(case(limits={"failed_tests": {"share": 0.5}}, failed=("bronze.a.t1",))).decided(ANN)
    assert Verdict.from_dict(json.loads(json.dumps(verdict.to_dict()))) == verdict


def test_nobody_who_answers_decides_nothing(case: MakeCase) -> None:
    """The log says since when it was waited."""
    blocked = judge(case(failed=("bronze.a.t1",)))
    found = blocked.decided(Override(decision="unanswered", by="", at="", reason="no answer within 1h"))
    assert (found.verdict, found.lines()[-1]) == ("block", "Nobody answered: no answer within 1h")


def test_a_test_that_warned_beside_a_failed_model_is_no_failure(case: MakeCase) -> None:
    """Of a red task with both dbt's word counts for each."""
    found = judge(
        case(failed=("bronze.m.run",), statuses={"m": "error", "t_m": "warn"}, limits={"warned_tests": 0})
    )
    assert outcomes(found)["failed_models"] == (1, "block")
    assert outcomes(found)["warned_tests"] == (1, "block")
