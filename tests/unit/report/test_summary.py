from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.unit.report.conftest import START, MakeRun, planned

from goldsmith.report.store import ReportStore
from goldsmith.report.summary import Summary, changes_since
from goldsmith.results.record import NodeResult

Ended = Callable[..., NodeResult]
A, B, C, D = (planned(name, "bronze") for name in "abcd")


def _before(store: ReportStore, run_id: str, started: str) -> Summary | None:
    """The run before."""
    return next(store.earlier(run_id, started), None)


def test_a_summary_survives_its_file(make_run: MakeRun, ended: Ended) -> None:
    """The same bytes for the same run, and damaged ones are told."""
    summary = Summary.of(make_run([A], [ended(A, "success", seconds=1.5, rows=7)]))
    assert Summary.unpack(summary.pack()) == summary
    assert summary.nodes == {"model.shop.a": ("good", 1.5, 7, None)}
    assert summary.pack() == summary.pack()
    for damaged in (b"", b"no gzip", summary.pack()[:-9]):
        with pytest.raises(ValueError, match="no summary"):
            Summary.unpack(damaged)


def test_a_summary_that_an_earlier_goldsmith_wrote_is_read() -> None:
    """It has neither failures nor tasks, and three values for a node."""
    old = {
        "run_id": "r1",
        "started": "2026-11-25T03:00:00+00:00",
        "seconds": 60.5,
        "is_red": True,
        "nodes": {"model.shop.a": ["bad", 1.5, None], "model.shop.b": ["good", 2.0, 7]},
    }
    summary = Summary.unpack(gzip.compress(json.dumps(old).encode()))
    assert summary.nodes == {"model.shop.a": ("bad", 1.5, None, None), "model.shop.b": ("good", 2.0, 7, None)}
    assert (summary.is_red, summary.red_tasks, summary.failures) == (True, (), {})
    later = Summary(run_id="r2", started="2026-11-26", seconds=1, is_red=True, nodes=summary.nodes)
    assert later.after([summary]).failures == {
        "model.shop.a": ("2026-11-25T03:00:00+00:00", "2026-11-26", 2, "2026-11-25T03:00:00+00:00", "r1")
    }


def test_what_failed_twice_is_no_change_and_is_named(make_run: MakeRun, ended: Ended) -> None:
    """So that nobody reads that nothing is wrong."""
    run = make_run([A, B], [ended(A, "error"), ended(B, "success")], {A.task_id: "failed"})
    changes = changes_since(Summary.of(run), Summary.of(run))
    assert (changes.changes, changes.again) == ((), (A.unique_id,))


def test_what_ran_then_and_not_now_is_counted(make_run: MakeRun, ended: Ended) -> None:
    """A run of a part is not one in which nothing changed."""
    before = make_run([A, B, C], [ended(A, "success"), ended(B, "success")], {C.task_id: "skipped"})
    left_out = {B.task_id: "skipped", C.task_id: "skipped"}
    changes = changes_since(
        Summary.of(before), Summary.of(make_run([A, B, C], [ended(A, "success")], left_out))
    )
    assert (changes.changes, changes.not_run) == ((), 1)


def test_what_changed_is_said_in_the_order_of_its_weight(make_run: MakeRun, ended: Ended) -> None:
    """Failed, mended, new, gone, slower, of another size; and what is as it was is not named."""
    quick = planned("quick", "bronze")
    before = make_run(
        [A, B, C, D, quick],
        [
            ended(A, "success"),
            ended(B, "error"),
            ended(C, "success", seconds=2),
            ended(D, "success", rows=100),
            ended(quick, "success", seconds=0.1),
        ],
    )
    new = planned("new", "bronze")
    now = make_run(
        [A, B, D, new, quick, planned("e", "bronze")],
        [
            ended(A, "error"),
            ended(B, "success"),
            ended(D, "success", seconds=9, rows=100),
            ended(new, "success"),
            ended(quick, "success", seconds=0.9),
            ended(planned("e", "bronze"), "success"),
        ],
    )
    found = changes_since(Summary.of(before), Summary.of(now)).changes
    assert [(one.unique_id.removeprefix("model.shop."), one.what) for one in found] == [
        ("a", "green → failed"),
        ("b", "failed → green"),
        ("e", "new"),
        ("new", "new"),
        ("c", "gone"),
        ("d", "slower: 1.0 s → 9.0 s"),
    ]
    fewer = make_run([D], [ended(D, "success", rows=40)])
    assert [one.what for one in changes_since(Summary.of(before), Summary.of(fewer)).changes][
        -1
    ] == "rows: 100 → 40"
    assert changes_since(Summary.of(before), Summary.of(before)).changes == ()


def test_a_run_is_compared_with_the_one_that_began_before_it(make_run: MakeRun, tmp_path: object) -> None:
    """Also when its report is made again after a later run; and only so many reports are kept."""
    store = ReportStore(str(tmp_path), "shop")
    runs = [make_run([A], [], run_id=f"run {n}", started=START + timedelta(hours=n)) for n in range(4)]
    summaries = [Summary.of(run) for run in runs]
    assert _before(store, "run 0", summaries[0].started) is None
    for summary in summaries:
        store.write(summary.run_id, {"report.html": b"page"})
        store.add(summary, keep=3)
    assert _before(store, "run 3", summaries[3].started) == summaries[2]
    assert _before(store, "run 2", summaries[2].started) == summaries[1]
    assert _before(store, "run 1", summaries[1].started) is None
    assert [store.read(f"run {n}") for n in range(4)] == [None, b"page", b"page", b"page"]
    store.add(summaries[2], keep=3)
    assert _before(store, "run 3", summaries[3].started) == summaries[2]
