"""When Airflow starts a pipeline by itself: by the clock, after assets, or both."""

from __future__ import annotations

from typing import Any

from airflow.sdk import (
    Asset,
    AssetAll,
    AssetAny,
    AssetOrTimeSchedule,
    CronPartitionTimetable,
    CronTriggerTimetable,
    PartitionedAssetTimetable,
)

from goldsmith.spec.after import After
from goldsmith.spec.pipeline import Pipeline

_UTC = "UTC"
_BEFORE = -1  # a run covers what lies before its moment, and Airflow names it by that window's start


def schedule_of(spec: Pipeline) -> Any:
    """What Airflow takes as the `schedule` of a DAG."""
    if spec.after is None:
        if spec.window is None or spec.times is None:
            return spec.times
        return CronPartitionTimetable(spec.times, timezone=_UTC, run_offset=_BEFORE)
    assets = _assets(spec.after)
    if spec.times is None:
        return assets if spec.window is None else PartitionedAssetTimetable(assets=assets)
    return AssetOrTimeSchedule(timetable=CronTriggerTimetable(spec.times, timezone=_UTC), assets=assets)


def _assets(after: After) -> AssetAll | AssetAny:
    return (AssetAll if after.all else AssetAny)(*(Asset(uri) for uri in after.uris))
