"""dbt's log lines as records."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from goldsmith.dbt.events import EventReader
from goldsmith.results.microbatch import Microbatches, named, span, window


def line(name: str, *, level: str = "debug", msg: str = "", **data: Any) -> str:
    """A line as `dbt --log-format json` writes it."""
    info = {"name": name, "level": level, "msg": msg, "invocation_id": "i-1"}
    return json.dumps({"info": info, "data": data})


NODE = {
    "unique_id": "test.shop.unique_id.1",
    "resource_type": "test",
    "node_path": "unique_id.sql",
    "materialized": "test",
    "node_started_at": "2026-01-01T10:00:00",
    "node_finished_at": "2026-01-01T10:00:01",
    "node_relation": {"relation_name": "", "schema": "audit"},
}
RESULT = {"status": "Fail", "message": "Got 3 results", "num_failures": 3, "execution_time": 0.5}


def test_a_finished_node_comes_with_its_lines_and_its_numbers() -> None:
    """Lines about others, and lines for debugging, are not among them."""
    reader = EventReader()
    assert reader.read(line("LogStartLine", level="info", msg="1 of 2 START", node_info=NODE)) is None
    assert reader.read(line("SQLQuery", msg="select 1", node_info=NODE)) is None
    other = {**NODE, "unique_id": "test.shop.other.2"}
    assert reader.read(line("LogStartLine", level="info", msg="2 of 2 START", node_info=other)) is None
    reader.read(line("LogTestResult", level="error", msg="1 of 2 FAIL 3", node_info=NODE))
    found = reader.read(line("NodeFinished", node_info=NODE, run_result=RESULT))
    assert found is not None
    assert found.lines == ("1 of 2 START", "1 of 2 FAIL 3")
    assert (found.status, found.failures, found.rows, found.seconds) == ("fail", 3, None, 0.5)
    assert found.started == "2026-01-01T10:00:00+00:00"
    assert found.invocation_id == reader.invocation_id == "i-1"


@pytest.mark.parametrize(
    ("rows", "found"), [(7, 7), ("7", 7), (7.0, 7), (None, None), ("n/a", None), ("", None), (math.inf, None)]
)
def test_rows_that_are_no_number_are_not_known(rows: object, found: int | None) -> None:
    """A materialization may say anything; whoever reads dbt's lines has to go on with the next."""
    node = {**NODE, "resource_type": "model"}
    result = {"status": "success", "adapter_response": {"rows_affected": rows}}
    ended = EventReader().read(line("NodeFinished", node_info=node, run_result=result))
    assert ended is not None
    assert (ended.status, ended.rows) == ("success", found)


@pytest.mark.parametrize(
    "text",
    [
        '{"info": "loaded", "data": {}}',
        '{"info": {"name": "x"}, "data": {}}',
        '{"info": {"name": "x", "level": "info"}, "data": []}',
        "[1, 2]",
    ],
)
def test_json_of_somebody_else_is_a_line_of_text(text: str) -> None:
    """Whatever dbt loads may print beside it."""
    reader = EventReader()
    assert reader.read(text) is None
    assert reader.errors == [text]


def test_what_is_said_about_no_node_is_kept_and_so_is_what_is_no_json() -> None:
    """It is all that is known when dbt cannot start."""
    reader = EventReader()
    reader.read(line("MainReportVersion", level="info", msg="Running with dbt"))
    reader.read(line("MainEncounteredError", level="error", msg="Compilation Error"))
    reader.read("Traceback (most recent call last):")
    reader.read("")
    assert reader.said == [
        ("info", "Running with dbt"),
        ("error", "Compilation Error"),
        ("error", "Traceback (most recent call last):"),
    ]
    assert reader.errors == ["Compilation Error", "Traceback (most recent call last):"]


def test_rows_are_those_that_the_adapter_counted() -> None:
    """A model's; what a test selects is no row of anything."""
    node = {**NODE, "unique_id": "model.shop.a", "resource_type": "model"}
    result = {"status": "success", "adapter_response": {"rows_affected": 7.0}, "execution_time": 1}
    found = EventReader().read(line("NodeFinished", node_info=node, run_result=result))
    assert found is not None
    assert (found.rows, found.failures) == (7, None)


MODEL = {"unique_id": "model.shop.days", "resource_type": "model", "materialized": "incremental"}


def batch(thread: str, name: str, status: str, place: int, total: int) -> list[str]:
    """What dbt says of a batch on one of its threads, as lines; the error comes without a batch's name."""
    about = {"node_info": MODEL, "batch_index": place, "total_batches": total}
    about |= {"description": f"batch {name} of dev.days"}
    lines = [line("NodeStart", node_info=MODEL), line("LogStartBatch", level="info", msg="START", **about)]
    if status == "error":
        lines.append(line("GenericExceptionOnRun", level="error", exc=f"broken on {name}", node_info=MODEL))
    lines.append(line("LogBatchResult", level="error" if status == "error" else "info", msg=status, **about))
    result = {"status": status, "message": "ERROR", "adapter_response": {"rows_affected": 2}}
    lines.append(line("NodeFinished", node_info=MODEL, run_result=result))
    return [one.replace('"level"', f'"thread": "{thread}", "level"') for one in lines]


def test_a_microbatch_model_is_finished_once_and_tells_which_batches_are_missing() -> None:
    """Also if batches run at once, on threads whose lines come in turns."""
    reader = EventReader()
    reader.read(line("NodeStart", node_info=MODEL))
    first = batch("T1", "2026-11-28", "success", 1, 5)
    second, third = (
        batch("T1", "2026-11-29", "success", 2, 5),
        batch("T2", "2026-11-30", "error", 3, 5),
    )
    alternating = [one for pair in zip([*second, ""], third, strict=True) for one in pair]
    for one in [*first, *alternating]:
        assert reader.read(one) is None
    assert reader.batches.begun()["model.shop.days"].built == {"2026-11-28", "2026-11-29"}
    for one in batch("T1", "2026-12-01", "error", 4, 5):
        assert reader.read(one) is None
    result = {"status": "partial success", "message": "PARTIAL SUCCESS (2/5)"}
    found = reader.read(line("NodeFinished", node_info=MODEL, run_result=result))
    assert found is not None
    assert found.batches is not None
    assert found.batches.missing == ("2026-11-30", "2026-12-01", "2026-12-02")
    assert (found.status, found.rows) == ("partial success", 4)
    assert found.message.splitlines()[:4] == [
        "PARTIAL SUCCESS (2/5)",
        "Batch 2026-11-30: broken on 2026-11-30",
        "Batch 2026-12-01: broken on 2026-12-01",
        "Not run: 2026-12-02",
    ]
    assert reader.batches.begun() == {}


def test_a_retry_of_batches_counts_on_from_what_was_built() -> None:
    """The batches that it says are those that were missing, and need not follow one another."""
    known = Microbatches(planned=("2026-01", "2026-02", "2026-03"), built=frozenset({"2026-02"}))
    reader = EventReader({"model.shop.days": known})
    for one in batch("T1", "2026-01", "success", 1, 2) + batch("T1", "2026-03", "success", 2, 2):
        assert reader.read(one) is None
    found = reader.read(line("NodeFinished", node_info=MODEL, run_result={"status": "success"}))
    assert found is not None
    assert (found.status, found.message, found.batches, found.rows) == ("success", "", None, 4)


@pytest.mark.parametrize(
    ("name", "planned"),
    [
        ("2023", ("2022", "2023", "2024", "2025")),
        ("2026-12", ("2026-11", "2026-12", "2027-01", "2027-02")),
        ("2028-02-28", ("2028-02-27", "2028-02-28", "2028-02-29", "2028-03-01")),
        ("2026-12-31T23", ("2026-12-31T22", "2026-12-31T23", "2027-01-01T00", "2027-01-01T01")),
    ],
)
def test_the_batches_of_a_model_follow_from_any_of_them(name: str, planned: tuple[str, ...]) -> None:
    """Its name says how long it is; all of them come back from how they are kept."""
    assert span(name, place=2, total=4) == planned
    found = Microbatches(planned=planned, built=frozenset({planned[0], planned[3]}))
    assert Microbatches.unpack(found.pack()) == found
    assert named(found.missing) == f"{planned[1]} to {planned[2]}"
    assert window(planned[1])[1] == window(planned[2])[0]


def test_hooks_are_about_no_node_and_their_errors_are_kept() -> None:
    """dbt never says that they have finished, and gives the reason in its summary alone."""
    hook = {"unique_id": "operation.shop.shop-on-run-end-0", "resource_type": "operation"}
    reader = EventReader()
    reader.read(line("FoundStats", level="info", msg="Found 1 model", stat_line="1 model, 1 operation"))
    reader.read(line("LogHookEndLine", level="info", msg="1 of 2 OK", node_info=hook, status="success"))
    assert reader.failed_hooks == {}
    reader.read(line("LogHookEndLine", level="info", msg="2 of 2 ERROR", node_info=hook, status="error"))
    assert reader.failed_hooks == {hook["unique_id"]: "2 of 2 ERROR"}
    reader.read(line("RunResultError", level="error", msg="  no such table", node_info=hook))
    assert reader.failed_hooks == {hook["unique_id"]: "no such table"}
    assert reader.errors == ["  no such table"]
    assert [text for _, text in reader.said][1:3] == ["1 of 2 OK", "2 of 2 ERROR"]
    assert reader.has_hooks


def test_a_node_that_dbt_cancelled_has_not_failed() -> None:
    """With `fail_fast` dbt calls an error what its summary calls skipped."""
    reader = EventReader()
    reader.read(line("LogCancelLine", level="error", msg="CANCEL", conn_name=NODE["unique_id"]))
    result = {**RESULT, "status": "error", "message": "server closed the connection"}
    cancelled = reader.read(line("NodeFinished", node_info=NODE, run_result=result))
    other = {**NODE, "unique_id": "model.shop.other"}
    failed = reader.read(line("NodeFinished", node_info=other, run_result=result))
    assert cancelled is not None
    assert failed is not None
    assert (cancelled.status, failed.status) == ("skipped", "error")
    assert not reader.has_hooks
