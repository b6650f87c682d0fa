"""What the last runs say of a node, and the failures of a run with it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.unit.report.conftest import START, MakeRun, planned

from goldsmith.report.facts import RunFacts
from goldsmith.report.failed import failed_of
from goldsmith.report.page import report_page
from goldsmith.report.past import RUNS, NodePast, Past
from goldsmith.report.summary import Summary, changes_since
from goldsmith.results.record import NodeResult

Ended = Callable[..., NodeResult]
TYPO = (
    'Database Error in model {0} (models/{0}.sql)\n  column "amout" does not exist\n  LINE {1}: select amout'
)


@pytest.fixture
def past(make_run: MakeRun, ended: Ended) -> Callable[..., Past]:
    """Make the past of the model `a` from its dbt statuses, the oldest first, with as many seconds each."""
    node = planned("a", "bronze")

    def summary(number: int, status: str, seconds: float) -> Summary:
        records = [ended(node, status, seconds=seconds)] if status != "none" else []
        started = START + timedelta(hours=number)
        state = "upstream_failed" if status == "none" else "success" if status == "success" else "failed"
        run = make_run([node], records, {node.task_id: state}, run_id=f"r{number}", started=started)
        return Summary.of(run)

    def make(*statuses: str, seconds: list[float] | None = None) -> Past:
        took = seconds or [1.0] * len(statuses)
        runs = [summary(number, *one) for number, one in enumerate(zip(statuses, took, strict=True))]
        return Past(runs[-1], runs[-2::-1])

    return make


def of_a(found: Past) -> NodePast:
    """The past of the model."""
    return found.of("model.shop.a")


def test_since_when_something_fails(past: Callable[..., Past]) -> None:
    """A run in which it was held back neither ends nor lengthens the row."""
    row = of_a(past("error", "success", "error", "none", "error")).failed_in_a_row
    assert [one.run_id for one in row] == ["r2", "r4"]
    assert [one.run_id for one in of_a(past("error", "success", "error")).failures] == ["r0", "r2"]
    assert of_a(past("error", "success")).failed_in_a_row == ()
    assert of_a(past("success")).moments[0].started == START.isoformat()
    assert past("success").of("model.shop.gone").moments == ()


def test_how_long_it_usually_takes(past: Callable[..., Past]) -> None:
    """The median of at least three runs before this one in which it was done."""
    found = of_a(past("success", "success", "error", "success", "success", seconds=[1.0, 2.0, 9.0, 3.0, 8.0]))
    assert (found.usual_seconds, found.change, found.trend) == (2.0, 4.0, (1.0, 2.0, 3.0, 8.0))
    assert found.line == "0,17 33,14 67,12 100,1"
    assert found.lengths == (("good", 2), ("bad", 1), ("good", 2))
    assert found.in_words == "4 green, 1 failed"
    few = of_a(past("success", "success", "success"))
    assert (few.usual_seconds, few.change) == (None, None)
    assert of_a(past("success", "success")).line == ""


def test_no_more_than_the_last_runs_are_looked_at(past: Callable[..., Past]) -> None:
    """However many are kept."""
    assert len(of_a(past(*["success"] * (RUNS + 5))).moments) == RUNS


@pytest.fixture
def red(make_run: MakeRun, ended: Ended) -> RunFacts:
    """Two models with one cause, what they hold back, and a model with a cause of its own."""
    a, b = planned("a", "bronze"), planned("b", "bronze")
    lone = planned("lone", "bronze")
    below = planned("below", "silver", "bronze.a.run")
    test = planned("unique", "silver", "silver.below.run", kind="test")
    return make_run(
        [a, b, lone, below, test],
        [
            ended(lone, "error", message="Database Error in model lone\n  division by zero"),
            ended(a, "error", message=TYPO.format("a", 7)),
            ended(b, "error", message=TYPO.format("b", 44), compiled_sql="select amout from x"),
        ],
        {
            **dict.fromkeys(("bronze.a.run", "bronze.b.run", "bronze.lone.run"), "failed"),
            **dict.fromkeys(("silver.below.run", "silver.unique.run"), "upstream_failed"),
            "bronze.gate": "failed",
        },
    )


def test_each_cause_is_shown_once_with_what_it_holds_back(red: RunFacts) -> None:
    """What holds back most comes first."""
    first, second = failed_of(red, Past(Summary.of(red)))
    assert [one.node.name for one in first.nodes] == ["a", "b"]
    assert (first.held_models, first.held_tests, first.held) == (("below",), 1, 2)
    assert first.again == "goldsmith run shop --failed"
    assert [one.node.name for one in second.nodes] == ["lone"]
    assert second.again == "goldsmith retry bronze.lone.run --downstream --pipeline shop"


def test_the_page_begins_with_what_failed(red: RunFacts) -> None:
    """And does not say that nothing has changed if it failed before."""
    now = Summary.of(red)
    before = Summary(
        run_id="r0", started="2026-11-25T03:00:00+00:00", seconds=9, is_red=True, nodes=dict(now.nodes)
    )
    changes = changes_since(before, now)
    page = report_page(
        red, changes=changes, past=Past(now, [before]), airflow_url="http://airflow", dbt="1.12"
    )
    places = [page.index(text) for text in ("What failed", "Layers", "Timeline", "Slowest", "All nodes")]
    assert places == sorted(places)
    assert "Failed in 2 runs in a row</b>, the first of them at 2026-11-25 03:00:00 UTC" in page
    assert "Holds back 2 nodes: <b>below</b>, with 1 test." in page
    assert "What failed in the run before failed again." in page
    assert "Nothing: the same nodes fared the same" not in page
    assert ">failed, 2 not run</span>" in page
