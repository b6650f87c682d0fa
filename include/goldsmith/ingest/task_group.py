"""The steps of an ingest as Airflow tasks: split, load mapped over the chunks, merge.

XCom carries chunks as offsets, results as counts, and the name under which the run stages, which split chooses.
Connections are looked up when a task runs, so no secret reaches the DAG, its rendered templates or the log.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule, TaskGroup, get_current_context, task
from airflow.sdk.exceptions import AirflowRuntimeError, AirflowSkipException

from goldsmith.errors import EnvironmentProblem, GoldsmithError, IngestBlocked, WarehouseRefused
from goldsmith.ingest.chunks import split
from goldsmith.ingest.load import load
from goldsmith.ingest.merge import merge
from goldsmith.ingest.names import Connect
from goldsmith.ingest.results import Chunk, Loaded
from goldsmith.ingest.tables import prepare
from goldsmith.parameters import run_options, skip_dry_run
from goldsmith.run_limit import bounded
from goldsmith.settings import settings
from goldsmith.spec.ingest import Ingest

RETRIES = 3
"""Tries after the first, for a warehouse that is away for a moment; a faulty file is not tried again."""
_RETRIES: dict[str, Any] = {
    "retries": RETRIES,
    "retry_delay": timedelta(seconds=10),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(minutes=5),
    "retry_policy": ExceptionRetryPolicy(
        rules=[
            RetryRule(exception=IngestBlocked, action=RetryAction.DEFAULT),
            RetryRule(exception=WarehouseRefused, action=RetryAction.FAIL),
            RetryRule(exception=EnvironmentProblem, action=RetryAction.DEFAULT),
            RetryRule(exception=GoldsmithError, action=RetryAction.FAIL),
        ]
    ),
}


def ingest_group(
    ingests: Iterable[Ingest],
    *,
    connection: str,
    root: str = "",
    parallel: int = 4,
    group_id: str = "ingest",
    task_timeout: timedelta = timedelta(minutes=30),
    run_timeout: timedelta = timedelta(hours=2),
    target: str = "",
    is_loaded: Callable[[Any, str], bool] | None = None,
    on_failure_callback: Any = None,
) -> Mapping[str, Any]:
    """Add the task group of a pipeline's ingests to the current DAG.

    Args:
        ingests: Files and their tables.
        connection: Airflow connection of the warehouse, a PostgreSQL.
        root: The folder relative paths start from; by default the repository's, found when a task runs.
        parallel: Most chunks of a file loaded at once, and most connections of a merge.
        group_id: Name of the group.
        task_timeout: The limit of each task, from its start.
        run_timeout: The run's limit, from its start; a task takes no more than what is left of it.
        target: dbt target of a pipeline; its runs have parameters, which are checked before anything is loaded.
        is_loaded: Whether a run loads a source; given Airflow's context and the source. None: it does.
        on_failure_callback: Airflow's, of each task.

    Returns:
        For every source the task after which its table holds the file.
    """
    hook = partial(before, own=task_timeout, run_timeout=run_timeout, target=target)
    settled = {**_RETRIES, "execution_timeout": task_timeout, "pre_execute": hook}
    settled |= {"on_failure_callback": on_failure_callback} if on_failure_callback else {}
    with TaskGroup(group_id=group_id, tooltip="Raw files into tables"):
        return {
            one.source: _ingest_tasks(
                one,
                connection=connection,
                root=root,
                parallel=parallel,
                settled=settled,
                first={**settled, "pre_execute": partial(hook, source=one.source, is_loaded=is_loaded)},
            )
            for one in ingests
        }


def before(
    context: Any,
    *,
    own: timedelta,
    run_timeout: timedelta,
    target: str,
    source: str = "",
    is_loaded: Callable[[Any, str], bool] | None = None,
) -> None:
    """Cut the time limit of a task that is about to start to what is left of the run's, and heed its parameters.

    Args:
        context: What Airflow gives the task.
        own: The task's own limit.
        run_timeout: The run's limit, from its start.
        target: dbt target of the pipeline; empty if there is none.
        source: What the task loads, as `schema.table`.
        is_loaded: Whether the run loads it; None: it does.

    Raises:
        AirflowFailException: Nothing is left, or the parameters cannot be done.
        AirflowSkipException: It is a dry run, or the selection leaves the source out.
    """
    if target:
        run_options(context, target=target)
        skip_dry_run(context)
    if is_loaded and not is_loaded(context, source):
        raise AirflowSkipException(
            f"The run's selection leaves the source {source} out. The parameter `ingest` loads it all the same."
        )
    started = context["dag_run"].start_date
    # Airflow reads the limit off this object once the hook is done.
    context["ti"].task.execution_timeout = bounded(own, run_started=started, run_timeout=run_timeout)


def _ingest_tasks(
    ingest: Ingest,
    *,
    connection: str,
    root: str,
    parallel: int,
    settled: Mapping[str, Any],
    first: Mapping[str, Any],
) -> Any:
    values = ingest.model_dump(mode="json")
    common: dict[str, Any] = {"ingest": values, "connection": connection}
    with TaskGroup(group_id=ingest.table_name, tooltip=f"{ingest.file} into {ingest.source}"):
        chunks = task(task_id="split", doc_md=_SPLIT_DOC, **first)(split_task)(root=root, **common)
        loaded = (
            task(
                task_id="load",
                map_index_template="{{ lines }}",
                max_active_tis_per_dagrun=parallel,
                doc_md=_LOAD_DOC,
                **settled,
            )(load_task)
            .partial(root=root, **common)
            .expand(chunk=chunks)
        )
        return task(task_id="merge", doc_md=_MERGE_DOC, **settled)(merge_task)(
            loaded=loaded, parallel=parallel, **common
        )


def split_task(ingest: dict[str, Any], connection: str, root: str) -> list[dict[str, Any]]:
    """Check the file, cut it into chunks, and make the tables that are not there."""
    spec = Ingest.model_validate(ingest)
    chunks = split(spec, _root(root))
    # Not the run's id: another Airflow that loads into the same warehouse may have one of that name.
    run = uuid4().hex
    prepare(_connect(connection), spec, run, is_over=partial(_is_over, own=_owner(spec)))
    return [{"run": run, "chunk": chunk.plain()} for chunk in chunks]


def load_task(ingest: dict[str, Any], connection: str, root: str, chunk: dict[str, Any]) -> dict[str, Any]:
    """Copy one chunk into its staging table."""
    spec, run, part = Ingest.model_validate(ingest), chunk["run"], Chunk.of(chunk["chunk"])
    get_current_context()["lines"] = part.text  # type: ignore[typeddict-unknown-key]
    loaded = load(_connect(connection), spec, _root(root), run=run, chunk=part, owner=_owner(spec))
    return {"run": run, "loaded": asdict(loaded)}


def merge_task(ingest: dict[str, Any], connection: str, loaded: Any, parallel: int) -> dict[str, Any]:
    """Upsert everything staged into the table, and say what became of every row.

    `loaded` holds what each chunk's task returned, in Airflow's lazy sequence.
    """
    spec = Ingest.model_validate(ingest)
    # Sliced: iterating asks until a chunk is not found, which the log shows as an error.
    parts = loaded[:]
    done = [Loaded(**part["loaded"]) for part in parts]
    # Every file has a chunk.
    result = asdict(merge(_connect(connection), spec, run=parts[0]["run"], loaded=done, parallel=parallel))
    return {key: value for key, value in result.items() if key != "files" or value}


def _owner(ingest: Ingest) -> str:
    """Name the run that this task belongs to, for `_is_over`."""
    run = get_current_context()["dag_run"]
    return json.dumps([run.dag_id, run.run_id, ingest.source])


def _is_over(owner: str, *, own: str) -> bool | None:
    """Whether a run is over that has staged; None if it is one of another Airflow.

    A split that runs again finds what the split before it has staged, in its own run and for its own table.
    """
    if owner == own:
        return True
    dag_id, run_id, *_ = json.loads(owner)
    ti: Any = get_current_context()["ti"]
    try:
        return ti.get_dagrun_state(dag_id, run_id) in ("success", "failed")
    except AirflowRuntimeError:
        return None


def _root(root: str) -> Path:
    return Path(root) if root else settings().root


def _connect(connection: str) -> Connect:
    from goldsmith.warehouse.choose import warehouse_of

    return warehouse_of(connection).loader()


_SPLIT_DOC = "Finds the files, checks header and encoding, cuts large files at record boundaries, makes missing tables."
_LOAD_DOC = (
    "COPY of one byte range, or of small files, into a staging table of this run; malformed rows go to one of their"
    " own."
)
_MERGE_DOC = (
    "Upserts what was staged on the key: of two lines with one key the later wins, `load_timestamp` is set on"
    " insert and on change only. Malformed rows go to `rejected_rows`. The result counts every row."
)
