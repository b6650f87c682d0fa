"""Whether a model was built before what it reads: then its batches have read what was there before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.builders import plan_of, planned_gate, planned_node
from tests.sites import site_of

from goldsmith.engine.rebuilt import is_rebuilt_since
from goldsmith.results.record import NodeResult

FAR = planned_node("model.shop.far")
RAW = planned_node("seed.shop.raw", upstream=(FAR.task_id,))
CHECK = planned_node("test.shop.check", task_id=RAW.task_id)
DAYS = planned_node("model.shop.days", layer="gold", upstream=(RAW.task_id, "silver.gate"))
PLAN = plan_of((FAR, RAW, CHECK, DAYS), gates=(planned_gate("silver", [RAW.task_id]),))
BEFORE, THEN, AFTER = (f"2026-11-20T13:00:0{second}+00:00" for second in (1, 2, 3))


@pytest.mark.parametrize(
    ("days", "others", "expected"),
    [
        (THEN, {"raw": BEFORE}, False),
        (THEN, {"raw": THEN}, False),
        (THEN, {"raw": AFTER}, True),
        # A test changes nothing, and what is not read directly is built with what is read.
        (THEN, {"raw": BEFORE, "check": AFTER}, False),
        (THEN, {"raw": BEFORE, "far": AFTER}, False),
        # What was not built in this run, or not begun by dbt, has no time.
        (None, {"raw": AFTER}, False),
        ("", {"raw": AFTER}, False),
        (THEN, {"raw": ""}, False),
        (THEN, {}, False),
    ],
)
def test_a_model_is_older_than_what_it_reads_if_that_was_built_after_it(
    tmp_path: Path,
    result: Callable[..., NodeResult],
    days: str | None,
    others: dict[str, str],
    *,
    expected: bool,
) -> None:
    """In this run; a gate between them is none."""
    site = site_of(PLAN, tmp_path)
    ended = {**({"days": days} if days is not None else {}), **others}
    for node in (one for one in PLAN.nodes if one.name in ended):
        about = {"unique_id": node.unique_id, "task_id": node.task_id, "kind": node.kind}
        site.results.keep("r1", [result(**about, ended=ended[node.name])])
        site.results.keep("r2", [result(**about, ended=AFTER)])
    assert is_rebuilt_since(site, "r1", DAYS) == expected
