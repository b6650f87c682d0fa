"""The details of a run's nodes, one file for each node task.

<path>/<dag_id>/<run_id>/<task_id>.json       names quoted as in a URL, so that no id leads out of its folder

A file holds what dbt said about the node in this run, oldest first: a node that is run again adds a record; one whose
failing rows come later replaces its own. The file is replaced whole: a reader sees the old one or the new one, never a
part. A run has one writer for a node at a time (the build, or the node's own task), so nothing is locked.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from goldsmith.errors import EnvironmentProblem, UnreadableResult
from goldsmith.masking import masked
from goldsmith.results.files import LocalFiles
from goldsmith.results.names import file_name, folder_name, task_of
from goldsmith.results.objects import ObjectFiles, is_object_storage
from goldsmith.results.record import NodeResult

log = logging.getLogger(__name__)

_READ_AT_ONCE = 16
_ROWS = "failing_rows"
_TEXTS = ("message", "command", "lines", "compiled_sql", _ROWS)
"""Where a secret could stand."""


def open_files(path: str) -> LocalFiles | ObjectFiles:
    """The files below a results path, which is a folder or a URL of object storage."""
    return ObjectFiles(path) if is_object_storage(path) else LocalFiles(path)


class ResultStore:
    """The details of nodes under one results path.

    Args:
        path: A folder, or a URL of object storage as Airflow's ObjectStoragePath takes it
            (`s3://connection@bucket/prefix`).

    Every method raises `EnvironmentProblem` where the path cannot be read or written.

    Example:
        >>> store = ResultStore("/srv/airflow/results")
        >>> store.write("shop", "manual__1", results, append=False)
        >>> store.read("shop", "manual__1", "silver.orders.run")[-1].status
        'success'
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._files = open_files(path)

    def location(self, dag_id: str, run_id: str, task_id: str) -> str:
        """The path or URL of a task's file, whether it exists or not."""
        return self._files.location(_folder(dag_id, run_id), file_name(task_id))

    def write(self, dag_id: str, run_id: str, results: Iterable[NodeResult], *, append: bool) -> None:
        """Keep results; each goes to the file of its `task_id`.

        Secrets that are known in this process are masked.

        Args:
            dag_id: The pipeline.
            run_id: Its run.
            results: Of one task several are fine, oldest first.
            append: Keep what the files hold, and add to it; of a result that is there without its failing rows, the
                one with them takes the place. A damaged file is replaced: what it held is lost anyway, and a build
                must not fail for it.
        """
        by_task = dict[str, list[dict[str, Any]]]()
        for result in results:
            by_task.setdefault(result.task_id, []).append(_masked(result.to_dict()))
        folder = _folder(dag_id, run_id)
        if append:
            for task_id, records in by_task.items():
                records[:0] = self._kept(folder, task_id)
        self._files.write(
            folder,
            {
                file_name(task_id): json.dumps(
                    {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "records": _whole(records)},
                    separators=(",", ":"),
                ).encode()
                for task_id, records in by_task.items()
            },
        )

    def read(self, dag_id: str, run_id: str, task_id: str) -> tuple[NodeResult, ...]:
        """What dbt said about a task's node in a run, oldest first; empty where nothing is kept.

        Raises:
            UnreadableResult: The file is damaged.
        """
        folder, name = _folder(dag_id, run_id), file_name(task_id)
        content = self._files.read(folder, name)
        if content is None:
            return ()
        try:
            return tuple(map(NodeResult.from_dict, _records(content)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UnreadableResult(
                f"{self._files.location(folder, name)} is damaged, or a later Goldsmith wrote it: {error!r}",
                hint="Clear the task: its next run adds a record in a new file.",
            ) from error

    def read_many(self, dag_id: str, tasks: Sequence[tuple[str, str]]) -> list[tuple[NodeResult, ...]]:
        """What dbt said about the nodes of several tasks, each a run id and a task id; in their order.

        From object storage several are read at once. What cannot be read is logged, and empty.
        """

        def read(task: tuple[str, str]) -> tuple[NodeResult, ...]:
            try:
                return self.read(dag_id, *task)
            except EnvironmentProblem as error:
                log.warning("%s", error)
                return ()

        at_once = len(tasks) > 1 and is_object_storage(self.path)
        kept = [read(task) for task in (tasks[:1] if at_once else tasks)]
        if at_once:  # the first one has asked Airflow for the storage's connection
            with ThreadPoolExecutor(max_workers=_READ_AT_ONCE) as pool:
                kept += pool.map(read, tasks[1:])
        return kept

    def task_ids(self, dag_id: str, run_id: str) -> tuple[str, ...]:
        """The tasks of a run of which something is kept, in alphabetical order."""
        folder = _folder(dag_id, run_id)
        found = (self._task_id(folder, name) for name in self._files.names(folder))
        return tuple(sorted(filter(None, found)))

    def prune(self, dag_id: str, *, keep_days: float, limit: int = 20) -> int:
        """Delete runs of a pipeline that nothing was written to for `keep_days`.

        Object storage is left to the bucket's own lifecycle rule, which costs no request.

        Args:
            dag_id: The pipeline.
            keep_days: Age in days.
            limit: At most so many runs in a call, the oldest first, so that a first call takes no minutes.

        Returns:
            How many runs were deleted.
        """
        return self._files.prune(folder_name(dag_id), keep_days=keep_days, limit=limit)

    def _kept(self, folder: tuple[str, str], task_id: str) -> list[dict[str, Any]]:
        content = self._files.read(folder, file_name(task_id))
        try:
            return _records(content) if content else []
        except (ValueError, KeyError, TypeError):
            return []

    def _task_id(self, folder: tuple[str, str], name: str) -> str | None:
        """The task of a file; a shortened name does not tell, the file does."""
        told = task_of(name)
        if told is not None:
            return told
        try:
            return str(json.loads(self._files.read(folder, name) or b"")["task_id"])
        except (ValueError, KeyError, TypeError):
            return None


def _folder(dag_id: str, run_id: str) -> tuple[str, str]:
    return folder_name(dag_id), folder_name(run_id)


def _records(content: bytes) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = json.loads(content)["records"]
    if not all(isinstance(record, dict) for record in records):
        raise TypeError("a record is no object")
    return records


def _whole(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records without those that are there a second time, with their failing rows."""
    bare = {json.dumps({**one, _ROWS: None}) for one in records if one.get(_ROWS)}
    return [one for one in records if one.get(_ROWS) or json.dumps(one) not in bare] if bare else records


def _masked(record: Mapping[str, Any]) -> dict[str, Any]:
    return {key: masked(value) if value and key in _TEXTS else value for key, value in record.items()}
