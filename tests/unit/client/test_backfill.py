"""The windows of a backfill."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from goldsmith.client.backfill import windows
from goldsmith.errors import SpecError
from goldsmith.spec.run import RunOptions


def test_the_windows_cover_the_time_without_gap_and_overlap() -> None:
    """The last one ends where the time ends; a date without a zone is UTC."""
    found = windows("2026-11-01", "2026-11-02T12:00", "18h")
    assert [str(one) for one in found] == [
        "2026-11-01 00:00 to 2026-11-01 18:00",
        "2026-11-01 18:00 to 2026-11-02 12:00",
    ]
    assert found[0].start == datetime(2026, 11, 1, tzinfo=UTC)
    assert len(windows("2026-11-01", "2026-11-08", "1d")) == 7
    shorter = windows("2026-11-01T22:00+01:00", "2026-11-02T00:00Z", "2h")
    assert [(one.end - one.start).seconds for one in shorter] == [7200, 3600]


def test_a_window_longer_than_all_of_the_time_is_as_long_as_that() -> None:
    """Also where its end would lie after the end of all time."""
    [window] = windows("2026-11-01", "2026-11-02", "3000000d")
    assert str(window) == "2026-11-01 00:00 to 2026-11-02 00:00"


def test_a_window_becomes_parameters_of_its_run() -> None:
    """As the form would send them."""
    [window] = windows("2026-11-01", "2026-11-02", "1d")
    asked = window.of(RunOptions(select=("orders",)))
    assert asked.conf() == {
        "select": "orders",
        "event_time_start": "2026-11-01T00:00:00Z",
        "event_time_end": "2026-11-02T00:00:00Z",
    }
    assert RunOptions.parse(asked.conf(), target="prod") == asked


@pytest.mark.parametrize(
    ("start", "end", "every", "said"),
    [
        ("2026-11-02", "2026-11-01", "1d", "--from 2026-11-02 is not before --to 2026-11-01."),
        ("2026-11-01", "2026-11-01", "1d", "is not before"),
        ("soon", "2026-11-01", "1d", "--from soon is no date or time."),
        ("2026-11-01", "later", "1d", "--to later is no date or time."),
        ("2026-11-01", "2026-11-02", "often", "--every often is no length of time."),
        ("2026-11-01", "2026-11-02", "0d", "--every 0 gives no window."),
        ("2026-01-01", "2026-11-01", "10m", "there are 43776 windows of 10m, and 1000 are the most."),
    ],
)
def test_what_is_no_time_is_told(start: str, end: str, every: str, said: str) -> None:
    """Before anything is started."""
    with pytest.raises(SpecError) as caught:
        windows(start, end, every)
    assert said in str(caught.value)
