"""The batches of a microbatch model in the isolated engine: kept while dbt builds them, for the task's next try."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from goldsmith.dbt.batch_events import BatchReader
from goldsmith.engine.build_state import BuildState, StateStore
from goldsmith.engine.dbt.retried import (
    NOT_ANEW,
    RETRY,
    missing_of,
    results_to_retry,
    settings_to_retry,
    variables_to_retry,
)
from goldsmith.engine.dbt.workspace import write_state
from goldsmith.plan.model import PlannedNode
from goldsmith.results.microbatch import named
from goldsmith.results.record import NodeResult

log = logging.getLogger(__name__)

_SAVE_EVERY = 2.0  # seconds
_RUN, _VARS = "run", "--vars"
_SHARED = frozenset(
    {"--project-dir", "--profiles-dir", "--profile", "--target", "--target-path", "--log-path", _VARS}
)
"""Options of `dbt run` that its retry has on its own command line too."""


class KeptBatches:
    """The batches of one model, in the state of the task that builds it.

    Args:
        node: The model.
        store: Of the task.
        is_full_refresh: Whether dbt is to make the model anew.
        is_stale: Whether something that the model reads was built again since.
    """

    def __init__(
        self, node: PlannedNode, store: StateStore, *, is_full_refresh: bool, is_stale: bool
    ) -> None:
        self._uid = node.unique_id
        self._store = store
        self._state = BuildState.load(store) or BuildState(build_id=uuid.uuid4().hex, max_tries=0)
        kept = self._state.batches.get(self._uid)
        kept = kept.anew() if kept and is_stale else kept
        self._retried = missing_of(node, kept, is_full_refresh=is_full_refresh)
        self._reader = BatchReader({self._uid: self._retried} if self._retried else {})
        self._saved = 0.0
        # Airflow's store may be asked, and dbt speaks, from several threads.
        self._lock = threading.Lock()

    @property
    def env(self) -> Mapping[str, str]:
        """What dbt's environment has to have for it."""
        return NOT_ANEW if self._retried else {}

    def command(self, command: Sequence[str], *, folder: Path) -> list[str]:
        """The dbt command to run: as it is, or a retry of the batches that are missing.

        Args:
            command: Cosmos's `dbt run` of the model.
            folder: A private one.
        """
        if self._retried is None or _RUN not in command:
            return [*command]
        log.info("%s: building batch %s", self._uid, named(self._retried.missing))
        place = command.index(_RUN)
        own, options = command[:place], _without_state(command[place + 1 :])
        state = folder / "goldsmith_state"
        settings = settings_to_retry([*own[1:], *options], verb=_RUN)
        write_state(state, results_to_retry({self._uid: self._retried}, settings=settings))
        shared = [
            part for name, value in pairwise(options) if _is_shared(name, value) for part in (name, value)
        ]
        return [*own, RETRY, "--state", str(state), *shared]

    def read(self, event: Any) -> None:
        """Take in an event of dbt (`EventMsg`)."""
        if getattr(getattr(event.data, "node_info", None), "unique_id", "") != self._uid:
            return
        info = {key: getattr(event.info, key) for key in ("name", "thread", "level", "msg")}
        with self._lock:
            self._reader.read(info, _fields(event.data), self._uid)
            if (begun := self._reader.begun().get(self._uid)) is None:
                return
            known = self._state.batches.get(self._uid)
            self._state.batches[self._uid] = begun
            # At once with the first batch: when that is built, dbt alone would take the model for built.
            is_news = known is None or known.planned != begun.planned
            if is_news or time.monotonic() - self._saved > _SAVE_EVERY:
                self._saved = time.monotonic()
                self._state.save(self._store)

    def ended(self, result: NodeResult) -> NodeResult:
        """Keep what dbt has left of the batches; give the result with them."""
        left, said, rows = self._state.batches.get(self._uid), "", result.rows
        if (ended := self._reader.ended(self._uid)) is not None:
            left, said, rows = ended.left, ended.said, ended.rows
        if left is None or result.is_good:
            BuildState.forget(self._store)
            return replace(result, rows=rows)
        self._state.batches[self._uid] = left
        self._state.save(self._store)
        return replace(result, rows=rows, message=result.message + said, batches=left)


def _without_state(options: Sequence[str]) -> list[str]:
    """The options without what selects the model: a retry has a state of its own."""
    if "--state" not in options:
        return [*options]
    place = options.index("--state")
    return [*options[:place], *options[place + 2 :]]


def _is_shared(name: str, value: str) -> bool:
    return name in _SHARED and (name != _VARS or variables_to_retry(yaml.safe_load(value)))


def _fields(data: Any) -> dict[str, Any]:
    """What is read of an event's data, as dbt's JSON has it."""
    names = ("description", "batch_index", "total_batches", "exc")
    found = {name: getattr(data, name, "") for name in names}
    if (result := getattr(data, "run_result", None)) is not None:
        found["run_result"] = {
            "status": result.status,
            "message": result.message,
            "adapter_response": dict(result.adapter_response),
        }
    return found
