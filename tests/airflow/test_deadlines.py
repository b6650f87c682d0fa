"""Deadlines as Airflow gets them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from airflow.sdk.definitions.deadline import DeadlineReference
from airflow.serialization.decoders import decode_deadline_alert
from airflow.serialization.encoders import encode_deadline_alert

from goldsmith.dag.clock import TimeOfDay
from goldsmith.dag.deadlines import deadline_alerts
from goldsmith.dbt.project import DbtProject
from goldsmith.engine.deadlines import whereabouts
from goldsmith.pipeline import load_plan
from goldsmith.rest import TaskInstance
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline


@pytest.mark.parametrize(
    ("begin", "timezone", "due"),
    [
        ("2026-11-26T04:00+00:00", "UTC", "2026-11-26T06:00+00:00"),
        ("2026-11-26T06:00+00:00", "UTC", "2026-11-26T06:00+00:00"),
        ("2026-11-26T06:01+00:00", "UTC", "2026-11-27T06:00+00:00"),
        ("2026-11-26T04:00+00:00", "Europe/Berlin", "2026-11-26T05:00+00:00"),
        ("2026-11-26T23:30+00:00", "Asia/Tokyo", "2026-11-27T21:00+00:00"),
        # The clocks of Berlin go back in that night.
        ("2026-10-24T20:00+00:00", "Europe/Berlin", "2026-10-25T05:00+00:00"),
    ],
)
def test_a_time_of_day_is_the_first_one_after_the_run_was_to_begin(
    begin: str, timezone: str, due: str
) -> None:
    """In its own time zone, summer time included."""
    found = TimeOfDay(clock="06:00", timezone=timezone).after(datetime.fromisoformat(begin))
    assert found.astimezone(UTC) == datetime.fromisoformat(due)


def test_deadlines_survive_what_airflow_does_to_a_dag(
    sample: DbtProject, tmp_path: Path, settings_for: Callable[[Path], Settings]
) -> None:
    """It stores them apart, and reads them by the plugin; the callback is named by its path."""
    spec = Pipeline.parse(
        {
            "name": "shop",
            "alerts": {},
            "deadlines": [
                {"by": "06:00", "timezone": "Europe/Berlin"},
                {"node": "fct_transactions", "within": "45m"},
            ],
        }
    )
    plan = load_plan(spec, sample, settings_for(tmp_path))
    run, node = (encode_deadline_alert(alert) for alert in deadline_alerts(plan, spec, "prod"))
    [read] = [decode_deadline_alert({"__type": "deadline_alert", "__var": run})]
    assert read.reference.serialize_reference()["timezone"] == "Europe/Berlin"
    assert node["reference"] == DeadlineReference.DAGRUN_QUEUED_AT.serialize_reference()
    [alert] = [decode_deadline_alert({"__type": "deadline_alert", "__var": node})]
    assert alert.interval == timedelta(minutes=45)
    assert "gold.fct_transactions.run" in str(node["callback"])
    assert "goldsmith.engine.deadlines.missed" in str(node["callback"])
    assert "route_1" in str(node["callback"])


def test_whoever_is_late_is_told_where_the_run_is() -> None:
    """What runs, what waits for whom, and how much is left."""
    states = {
        "a": "success",
        "b": "running",
        "c": "failed",
        "d": None,
        "e": "scheduled",
        "f": "awaiting_input",
    }
    tasks = [
        TaskInstance(
            task_id=name, name=name, map_index=-1, state=state, try_number=1, started=None, ended=None
        )
        for name, state in states.items()
    ]
    assert whereabouts(tasks) == "Running: b. Waiting for a person: f. Failed: c. 2 tasks have not started."
