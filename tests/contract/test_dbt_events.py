"""Every event of the installed dbt that is an error or ends a node is known, and is read as the table says."""

from __future__ import annotations

import ast
import json
import logging
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import dbt_common
import pytest
from dbt.adapters.events import types as adapter_events
from dbt.artifacts.schemas.results import NodeStatus
from dbt.events import types as core_events
from dbt_common.events import types as common_events
from dbt_common.events.base_types import BaseEvent, DynamicLevel, ErrorLevel, EventLevel, msg_from_base_event
from dbt_common.events.functions import msg_to_dict
from tests.contract.dbt_events import (
    BATCH,
    ERROR,
    EVENTS,
    GREEN,
    HELD,
    HOOK,
    HOOK_NODE,
    LINE,
    NODE,
    NOTHING,
    RED,
    RESULT,
    STATUSES,
    Row,
)
from tests.unit.engine.shared.test_differences import VIEW

from goldsmith.dbt.events import EventReader, Finished
from goldsmith.engine.shared.differences import SaidAboutNode, differences
from goldsmith.engine.task_end import NodeFailed, report

MODULES = (core_events, common_events, adapter_events)
SOURCES = Path(dbt_common.__file__).parents[1]
_ENDS = ("Result", "EndLine", "NodeFinished")
"""Ends of the names of events that tell how something ended; those without a node are no part of the table."""


def classes() -> dict[str, type[BaseEvent]]:
    """Name to class, of all events that the installed dbt can send."""
    return {
        name: one
        for module in MODULES
        for name, one in vars(module).items()
        if isinstance(one, type) and issubclass(one, BaseEvent) and "message" in vars(one)
    }


def fields_of(event: type[BaseEvent]) -> set[str]:
    """The names of an event's fields."""
    message = getattr(event.PROTO_TYPES_MODULE, event.__name__)
    return {one.name for one in message.DESCRIPTOR.fields}


def raised_to_errors() -> set[str]:
    """Names of the events to which dbt's source gives the level error, or one that is decided when it runs."""
    found = set()
    files = [file for package in ("dbt", "dbt_common") for file in (SOURCES / package).rglob("*.py")]
    for file in files:
        text = file.read_text(encoding="utf-8")
        if "fire_event(" in text and "EventLevel" in text and "/include/" not in str(file):
            found |= {name for name, level in _fired(ast.parse(text)) if _may_be_error(level)}
    return found & set(classes())


def _fired(tree: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Name of the event and expression of its level, of each call that gives one."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "fire_event" and call.args:
            named = [keyword.value for keyword in call.keywords if keyword.arg == "level"]
            event = call.args[0]
            for level in [*call.args[1:2], *named]:
                if isinstance(event, ast.Call):
                    yield getattr(event.func, "id", ""), level


def _may_be_error(level: ast.expr) -> bool:
    text = ast.unparse(level)
    return "ERROR" in text or "EventLevel." not in text


def line_of(row: Row) -> str:
    """The line that dbt writes for an event."""
    made = classes()[row.name](**row.fields)
    return json.dumps(msg_to_dict(msg_from_base_event(made, level=EventLevel(row.level))))


def finished(status: str, *, message: str = "") -> str:
    """The line that ends the node."""
    result = {"status": status, "message": message, "adapter_response": {}}
    return line_of(
        Row(name="NodeFinished", made=RESULT, level="debug", fields={"node_info": NODE, "run_result": result})
    )


def test_every_event_that_can_be_an_error_is_in_the_table() -> None:
    """By its class, or because dbt raises it somewhere; a new dbt fails here."""
    by_class = {name for name, one in classes().items() if issubclass(one, ErrorLevel | DynamicLevel)}
    assert by_class >= {"MainEncounteredError", "AdapterEventError"}
    known = {row.name for row in EVENTS}
    assert (by_class | raised_to_errors()) - known == set()


def test_every_event_that_ends_a_node_is_in_the_table() -> None:
    """It is about a node, and says how that ended, or that dbt skips it."""
    about_nodes = {
        name for name, one in classes().items() if fields_of(one) & {"node_info", "run_result", "relation"}
    }
    ends = {name for name in about_nodes if name.endswith(_ENDS) or "Skip" in name}
    assert ends >= {"NodeFinished", "SkippingDetails", "MarkSkippedChildren", "LogSkipBecauseError"}
    assert ends - {row.name for row in EVENTS} == set()


def test_the_table_has_no_event_that_dbt_does_not_send() -> None:
    """Nor one twice."""
    names = [row.name for row in EVENTS]
    assert sorted(set(names)) == sorted(names)
    assert set(names) - set(classes()) == set()


@pytest.mark.parametrize("row", EVENTS, ids=lambda row: row.name)
def test_each_event_is_read_as_the_table_says(row: Row) -> None:
    """The line comes from dbt's own classes."""
    reader = EventReader()
    read = reader.read(line_of(row))
    text = msg_from_base_event(classes()[row.name](**row.fields), level=EventLevel(row.level)).info.msg
    shown = text.strip("\n")
    first = reader.read(finished("success"))
    last = first or reader.read(finished("success"))
    assert isinstance(last, Finished)
    said = {words: level for level, words in reader.said}
    found = {
        RESULT: isinstance(read, Finished) and read.status == "error",
        LINE: shown in last.lines and first is not None,
        BATCH: shown in last.lines and first is None,
        HOOK: HOOK_NODE["unique_id"] in reader.failed_hooks and shown in said,
        ERROR: shown in reader.errors,
    }
    expected = {kind: kind == row.made for kind in found}
    assert found == expected
    if row.made == NOTHING:
        assert (read, last.lines, reader.said) == (None, (), [])


def test_every_status_of_a_node_is_in_the_table() -> None:
    """A new one of dbt's is red until somebody has thought about it."""
    assert {str(status.value) for status in NodeStatus} == set(STATUSES)


@pytest.mark.parametrize("status", STATUSES)
def test_each_status_makes_the_task_and_the_run_what_the_table_says(status: str) -> None:
    """The node's task ends so, and a task that shows it green although it is not makes the run red."""
    read = EventReader().read(finished(status))
    assert read is not None
    assert read.status == status
    is_green = STATUSES[status] == GREEN
    with nullcontext() if is_green else pytest.raises(NodeFailed, match=status):
        report([VIEW], {VIEW.unique_id: read.status}, {}, logging.getLogger(__name__))
    said = SaidAboutNode(node=VIEW, state="success", status=read.status, relation="w.silver.v", kind="view")
    assert (differences({VIEW.unique_id: said}) == []) == is_green
    assert STATUSES[status] in (GREEN, RED, HELD)
