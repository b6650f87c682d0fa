"""dbt's log lines as records."""

from __future__ import annotations

import json
from typing import Any

from goldsmith.dbt.events import EventReader


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


def test_what_is_said_about_no_node_is_kept_and_so_is_what_is_no_json() -> None:
    """It is all that is known when dbt cannot start."""
    reader = EventReader()
    reader.read(line("MainReportVersion", level="info", msg="Running with dbt"))
    reader.read(line("MainEncounteredError", level="error", msg="Compilation Error"))
    reader.read("Traceback (most recent call last):")
    reader.read("")
    assert reader.said == ["Running with dbt", "Compilation Error", "Traceback (most recent call last):"]
    assert reader.errors == ["Compilation Error", "Traceback (most recent call last):"]


def test_rows_are_those_that_the_adapter_counted() -> None:
    """A model's; what a test selects is no row of anything."""
    node = {**NODE, "unique_id": "model.shop.a", "resource_type": "model"}
    result = {"status": "success", "adapter_response": {"rows_affected": 7.0}, "execution_time": 1}
    found = EventReader().read(line("NodeFinished", node_info=node, run_result=result))
    assert found is not None
    assert (found.rows, found.failures) == (7, None)
