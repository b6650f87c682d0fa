"""Deadlines as Airflow gets them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.definitions.deadline import DeadlineReference
from airflow.serialization.decoders import decode_deadline_alert
from airflow.serialization.encoders import encode_deadline_alert
from tests.airflow.joint_tasks import NODES

from goldsmith.alerts.ledger import Ledger
from goldsmith.dag.clock import TimeOfDay
from goldsmith.dag.deadlines import deadline_alerts
from goldsmith.dbt.project import DbtProject
from goldsmith.errors import NoApiAccess
from goldsmith.notify.deadlines import missed, whereabouts
from goldsmith.notify.tasks import tell_slow
from goldsmith.pipeline import load_plan
from goldsmith.rest import TaskInstance
from goldsmith.settings import Settings
from goldsmith.spec.alerts import Alerts
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


@pytest.mark.parametrize(
    ("begin", "due"),
    [
        ("2026-10-25T00:00+00:00", "2026-10-25T00:45+00:00"),
        ("2026-10-25T00:50+00:00", "2026-10-25T01:45+00:00"),
        ("2026-10-25T01:30+00:00", "2026-10-25T01:45+00:00"),
        ("2026-10-25T01:50+00:00", "2026-10-26T01:45+00:00"),
    ],
)
def test_an_hour_that_comes_twice_is_met_twice(begin: str, due: str) -> None:
    """02:45 in Berlin, in the night in which its clocks go back; never before the run was to begin."""
    found = TimeOfDay(clock="02:45", timezone="Europe/Berlin").after(datetime.fromisoformat(begin))
    assert found.astimezone(UTC) == datetime.fromisoformat(due)


def test_an_hour_that_is_left_out_is_met_when_clocks_are_past_it() -> None:
    """02:30 in the night in which Berlin's clocks go forward from 02:00 to 03:00."""
    begin = datetime.fromisoformat("2026-03-29T00:30+00:00")
    found = TimeOfDay(clock="02:30", timezone="Europe/Berlin").after(begin)
    assert found.astimezone(UTC) == datetime.fromisoformat("2026-03-29T01:30+00:00")


@pytest.mark.parametrize(
    ("task_id", "told"), [("gold.orders.run", ""), ("", "How far the run is cannot be told")]
)
def test_a_node_that_may_be_done_is_not_called_late(
    monkeypatch: pytest.MonkeyPatch, task_id: str, told: str
) -> None:
    """Where Airflow cannot be asked; that the run goes on is known."""

    def away() -> Any:
        raise NoApiAccess("no connection")

    monkeypatch.setattr("goldsmith.engine.access.airflow_api", away)
    context = {"dag_run": {"dag_id": "shop", "dag_run_id": "r1"}}
    said = asyncio.run(missed(deadline="by 06:00", task_id=task_id, context=context))
    assert told in said
    assert bool(said) == bool(told)


def test_a_slow_node_is_told_as_a_missed_deadline(tmp_path: Path) -> None:
    """To the routes that its owner, group and tags lead to."""
    site: Any = SimpleNamespace(
        results_path=str(tmp_path), target=SimpleNamespace(dag_id="shop", target="prod")
    )
    node = replace(NODES[2], slow_after=90, owner="finance")
    alerts = Alerts.model_validate({"routes": [{"owners": ["finance"], "events": ["deadline_missed"]}]})
    tell_slow(site, alerts, "r1", node, "Slow: it runs")
    until = time.monotonic() + 20
    while not (found := Ledger(str(tmp_path), "shop").incidents()):
        assert time.monotonic() < until
        time.sleep(0.05)
    [incident] = found.values()
    event = incident.event
    assert (event.kind, event.layer, event.message) == ("deadline_missed", "silver", "Slow: it runs")
    assert event.title == f"deadline missed: {node.name} within 0:01:30"


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
    assert "goldsmith.notify.deadlines.missed" in str(node["callback"])
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
