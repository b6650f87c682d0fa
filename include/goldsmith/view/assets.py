"""Note that many assets were updated at once: for the gates and comparisons of large layers.

Airflow registers an asset's update when the task ends that updates it, with half a dozen queries for each: 8 ms of the
API server's time, so seconds for a layer, which a worker may not wait for. Most assets have nobody who waits for them;
their updates are written here with one statement. The others are left to Airflow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.listeners.listener import get_listener_manager
from airflow.models.asset import (
    AssetEvent,
    AssetModel,
    DagScheduleAssetNameReference,
    DagScheduleAssetUriReference,
    TaskOutletAssetReference,
)
from airflow.models.dagrun import DagRun
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from sqlalchemy import Row, insert, select

from goldsmith.view.guard import Id

MOST = 1000
"""Assets in one request."""

router = APIRouter(dependencies=[Depends(requires_access_dag("PUT", DagAccessEntity.TASK_INSTANCE))])


class UpdatedAssets(BaseModel):
    """The body of a request."""

    uris: Annotated[list[Id], Field(max_length=MOST)]


@router.post("/assets/{dag_id}/{run_id}/{task_id}")
def update_assets(
    dag_id: str, run_id: str, task_id: str, body: UpdatedAssets, session: SessionDep
) -> dict[str, list[str]]:
    """Write an event for those of the DAG's own assets that nothing waits for; answer which."""
    rows = plain_assets(dag_id, run_id, body.uris, session)
    note_updates(rows, (dag_id, run_id, task_id), session)
    session.commit()
    return {"updated": [row.uri for row in rows]}


def plain_assets(
    dag_id: str, run_id: str, uris: Sequence[str], session: SessionDep
) -> Sequence[Row[int, str]]:
    """Id and URI of those assets whose update is nothing but an event: nothing waits for them, nobody listens."""
    runs = select(DagRun.partition_key).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    run = session.execute(runs).one_or_none()
    if run is None or run.partition_key or _has_listeners():
        return ()
    own = select(TaskOutletAssetReference.asset_id).where(TaskOutletAssetReference.dag_id == dag_id)
    return session.execute(
        select(AssetModel.id, AssetModel.uri).where(
            AssetModel.uri.in_(uris),
            AssetModel.id.in_(own),
            AssetModel.active.has(),
            ~AssetModel.scheduled_dags.any(),
            AssetModel.name.not_in(select(DagScheduleAssetNameReference.name)),
            AssetModel.uri.not_in(select(DagScheduleAssetUriReference.uri)),
        )
    ).all()


def note_updates(rows: Sequence[Row[int, str]], source: tuple[str, str, str], session: SessionDep) -> None:
    """Write an event for each asset.

    Args:
        rows: What `plain_assets` gave.
        source: Ids of the DAG, the run and the task that updates them.
        session: Of the database; it is not committed.
    """
    names = ("source_dag_id", "source_run_id", "source_task_id")
    values = {**dict(zip(names, source, strict=True)), "source_map_index": -1, "extra": {}}
    if rows:
        session.execute(insert(AssetEvent), [{"asset_id": row.id, **values} for row in rows])


def _has_listeners() -> bool:
    """Whether a plugin wants to hear of each update."""
    hook = get_listener_manager().hook
    return any(
        implementation.plugin_name
        for call in (hook.on_asset_changed, hook.on_asset_event_emitted)
        for implementation in call.get_hookimpls()
    )
