from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from goldsmith.report.pace import KEPT, measured_seconds, renew_pace
from goldsmith.report.store import ReportStore
from goldsmith.report.summary import NodeSum, Summary

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def _run(store: ReportStore, number: int, **seconds: float) -> None:
    """A run whose nodes took so long."""
    nodes = {uid: NodeSum("good", took, None) for uid, took in seconds.items()}
    run = Summary(run_id=f"r{number}", started=f"{number}", seconds=1.0, is_red=False, nodes=nodes)
    store.add(run, keep=9)


def test_it_is_kept_for_a_week_or_until_there_is_a_new_node(tmp_path: Path) -> None:
    """So that a DAG does not get a version for each of its runs."""
    store = ReportStore(str(tmp_path), "shop")
    assert measured_seconds(store) == {}
    _run(store, 1, a=5.0, b=0.0)
    renew_pace(store, ("a", "b"), now=NOW)
    assert measured_seconds(store) == {"a": 5.0}
    _run(store, 2, a=7.0, b=1.26)
    renew_pace(store, ("a", "b"), now=NOW + KEPT - timedelta(seconds=1))
    assert measured_seconds(store) == {"a": 5.0}
    renew_pace(store, ("a", "b", "c"), now=NOW + timedelta(seconds=1))
    assert measured_seconds(store) == {"a": 7.0, "b": 1.3}
    _run(store, 3, a=9.0)
    renew_pace(store, ("a", "b", "c"), now=NOW + timedelta(days=8))
    assert measured_seconds(store) == {"a": 9.0, "b": 1.3}


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"noted": "x", "seconds": {}}', '{"noted": null}'])
def test_what_cannot_be_read_is_made_anew(tmp_path: Path, text: str) -> None:
    """It is only about which of two tasks comes first."""
    store = ReportStore(str(tmp_path), "shop")
    store.note("pace", text)
    assert measured_seconds(store) == {}
    _run(store, 1, a=5.0)
    renew_pace(store, ("a",), now=NOW)
    assert measured_seconds(store) == {"a": 5.0}
