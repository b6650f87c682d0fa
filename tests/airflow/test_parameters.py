"""The parameters of a run, as tasks find them and as Airflow takes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from goldsmith.dag.params import run_params
from goldsmith.ingest.task_group import before
from goldsmith.parameters import run_options, skip_dry_run
from goldsmith.spec.run import RunOptions

DAY = datetime(2026, 11, 1, tzinfo=UTC)


def context(conf: dict[str, Any] | None, *, partition: datetime | None = None) -> Any:
    """Airflow's context of a task."""
    run = SimpleNamespace(conf=conf, partition_date=partition, start_date=datetime.now(UTC))
    return {"dag_run": run, "ti": SimpleNamespace(task=SimpleNamespace(execution_timeout=None))}


@pytest.mark.parametrize(
    "asked",
    [
        {"event_time_start": "2026-11-01", "event_time_end": "2026-11-02T06:00"},
        {"select": "orders tag:x", "threads": 3, "vars": {"a": 1}, "dry_run": True},
        {},
    ],
)
def test_what_the_command_line_sends_is_what_airflow_takes(asked: dict[str, Any]) -> None:
    """It checks it against the form."""
    form = ParamsDict(run_params())
    form.update(RunOptions.parse(asked, target="prod").conf())
    assert form.validate()


@pytest.mark.parametrize(
    ("conf", "start"),
    [
        (None, DAY),
        ({"select": "orders"}, DAY),
        (dict.fromkeys(run_params()), DAY),  # the form, untouched
        (
            {"event_time_start": "2026-10-01", "event_time_end": "2026-10-03"},
            datetime(2026, 10, 1, tzinfo=UTC),
        ),
    ],
)
def test_the_window_of_a_partitioned_run_stands_unless_another_is_asked_for(
    conf: Any, start: datetime
) -> None:
    """Both ends of it."""
    found = run_options(context(conf, partition=DAY), target="prod", window=timedelta(days=1))
    assert found.event_time_start == start
    length = timedelta(days=1) if start == DAY else timedelta(days=2)
    assert found.event_time_end == start + length


def test_a_dry_run_loads_and_tells_nothing_and_refused_parameters_load_nothing_either() -> None:
    """The ingest comes before the build that says what it would do."""
    times: dict[str, Any] = {"own": timedelta(minutes=5), "run_timeout": timedelta(hours=1)}
    with pytest.raises(AirflowSkipException, match="A dry run"):
        before(context({"dry_run": True}), **times, target="prod")
    with pytest.raises(AirflowFailException, match="Did you mean select"):
        before(context({"selct": "orders"}), **times, target="prod")
    with pytest.raises(AirflowSkipException):
        skip_dry_run(context({"dry_run": True}))
    skip_dry_run(context({"selct": "orders"}))  # that it was refused is told
    given = context({"select": "orders"})
    before(given, **times, target="prod")
    assert given["ti"].task.execution_timeout == timedelta(minutes=5)
    before(context({"anything": 1}), **times, target="")  # of a DAG that is no pipeline


def test_a_source_that_the_selection_leaves_out_is_not_loaded() -> None:
    """The first task of its ingest says so, and how it is loaded all the same."""
    times: dict[str, Any] = {"own": timedelta(minutes=5), "run_timeout": timedelta(hours=1)}
    asked: list[str] = []

    def is_loaded(_: Any, source: str) -> bool:
        asked.append(source)
        return source == "lake.orders"

    given = context({"select": "source:lake.orders"})
    before(given, **times, target="prod", source="lake.orders", is_loaded=is_loaded)
    with pytest.raises(
        AirflowSkipException, match=r"leaves the source lake.items out. The parameter `ingest`"
    ):
        before(given, **times, target="prod", source="lake.items", is_loaded=is_loaded)
    assert asked == ["lake.orders", "lake.items"]
