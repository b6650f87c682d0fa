"""The parameters of a run: as the form sends them, and the faults a person may write."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from goldsmith.errors import SpecError
from goldsmith.spec.run import RunOptions


def test_what_the_form_sends_untouched_is_a_run_of_everything() -> None:
    """Empty fields are no parameters, so neither the configuration nor dbt's command line has them."""
    untouched: dict[str, Any] = {
        "select": "",
        "exclude": None,
        "dry_run": False,
        "full_refresh": False,
        "full_refresh_approved": False,
        "vars": {},
        "threads": None,
        "event_time_start": None,
        "event_time_end": "",
    }
    found = RunOptions.parse(untouched, target="prod")
    assert found == RunOptions()
    assert (found.is_selective, found.changes_parsing, found.conf()) == (False, False, {})


def test_what_the_form_sends_as_none_keeps_its_default() -> None:
    """All fields that nobody touched, switches and variables too."""
    assert (
        RunOptions.parse(dict.fromkeys([*RunOptions.model_fields, "target"]), target="prod") == RunOptions()
    )


def test_a_moment_without_a_time_zone_is_utc() -> None:
    """As dbt takes it; Airflow's form refuses one without."""
    given = {"event_time_start": "2026-11-01", "event_time_end": "2026-11-02T06:00"}
    assert RunOptions.parse(given, target="prod").conf() == {
        "event_time_start": "2026-11-01T00:00:00Z",
        "event_time_end": "2026-11-02T06:00:00Z",
    }


def test_a_selection_is_split_as_a_shell_splits_it() -> None:
    """And stays what it is on its way through Airflow."""
    found = RunOptions.parse(
        {
            "select": "tag:finance+ 'config.meta.a:b c'",
            "exclude": ["orders"],
            "event_time_start": "2026-11-01T00:00:00Z",
            "event_time_end": "2026-11-02T00:00:00Z",
        },
        target="prod",
    )
    assert found.select == ("tag:finance+", "config.meta.a:b c")
    assert found.exclude == ("orders",)
    assert found.event_time_start == datetime(2026, 11, 1, tzinfo=UTC)
    assert RunOptions.parse(found.conf(), target="prod") == found


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"selct": "orders"}, "selct: unknown key. Did you mean select"),
        ({"colour": "red"}, "colour: unknown key. Valid keys: dry_run,"),
        ({"select": "--full-refresh"}, "select: '--full-refresh' is no selection; write names"),
        ({"select": "orders 'a"}, "select: a quotation mark is missing"),
        ({"select": 7}, "select: Input should be a valid tuple"),
        ({"threads": -1}, "threads: Input should be greater than or equal to 1"),
        ({"threads": 1000}, "threads: Input should be less than or equal to 64"),
        ({"vars": "a=1"}, "vars: Input should be a valid dictionary"),
        ({"full_refresh": "maybe"}, "full_refresh: Input should be a valid boolean"),
        ({"event_time_start": "2026-11-01"}, "`event_time_start` and `event_time_end` go together"),
        ({"event_time_start": "yesterday", "event_time_end": "2026-11-01"}, "'yesterday' is no date or time"),
        (
            {"event_time_start": "2026-11-02", "event_time_end": "2026-11-01"},
            "`event_time_start` 2026-11-02 00:00:00+00:00 is not before `event_time_end` 2026-11-01 00:00:00",
        ),
    ],
)
def test_a_fault_is_named_with_its_place(values: dict[str, Any], said: str) -> None:
    """And what the parameters are."""
    with pytest.raises(SpecError) as caught:
        RunOptions.parse(values, target="dev")
    assert said in str(caught.value)
    assert "The parameters of a run are select, exclude," in str(caught.value)


def test_a_full_refresh_of_prod_has_to_be_meant() -> None:
    """It throws away what may not come back; elsewhere it is a matter of course."""
    with pytest.raises(SpecError, match="full_refresh_approved"):
        RunOptions.parse({"full_refresh": True}, target="prod")
    assert RunOptions.parse({"full_refresh": True}, target="dev").full_refresh
    assert RunOptions.parse({"full_refresh": True, "full_refresh_approved": True}, target="prod").full_refresh


def test_what_a_program_leaves_out_is_nothing() -> None:
    """And a moment is taken as it is."""
    first, last = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)
    found = RunOptions.model_validate({"select": None, "event_time_start": first, "event_time_end": last})
    assert (found.select, found.event_time_start, found.event_time_end) == ((), first, last)


def test_the_target_is_no_parameter() -> None:
    """It says where to choose it."""
    with pytest.raises(SpecError, match="belong to the target prod") as caught:
        RunOptions.parse({"target": "dev"}, target="prod")
    assert "GOLDSMITH_TARGET" in caught.value.hint
