"""What dbt says about the batches of microbatch models.

dbt builds each batch as if it were the model: `NodeStart`, `LogStartBatch`, `LogBatchResult` and `NodeFinished`, all
with the model's unique id, around them the model's own `NodeStart` and `NodeFinished`. Batches may run at the same time
on several of dbt's threads; what one thread says of a batch, it says in this order.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from goldsmith.results.microbatch import Microbatches, named, span

_NAME = re.compile(r"batch (\d{4}(?:-\d\d){0,2}(?:T\d\d)?) of ")
_PREFIX = "Exception on worker thread. "
_SHOWN = 5  # different errors


@dataclass(frozen=True, kw_only=True, slots=True)
class EndedBatches:
    """What became of the batches of a model with which dbt is done."""

    left: Microbatches | None
    """None if all of them are built."""
    said: str
    """Which batches failed, with dbt's errors; begins with a line break, and is empty if none did."""
    rows: int | None
    """Of all batches that dbt built, as its adapter counted them."""


@dataclass
class _Model:
    """A microbatch model that dbt is at."""

    batches: Microbatches
    errors: dict[str, list[str]] = field(default_factory=dict)
    """dbt's error to the names of the batches that ended with it."""
    rows: int | None = None


class BatchReader:
    """Reads what dbt says about batches.

    Args:
        retried: Unique id to batches, of the models of which dbt builds the missing batches only.
    """

    def __init__(self, retried: Mapping[str, Microbatches]) -> None:
        self._retried = dict(retried)
        self._models: dict[str, _Model] = {}
        self._ended: dict[str, tuple[str, str]] = {}
        """Thread of dbt to unique id and name of the batch whose `NodeFinished` comes next on it."""
        self._errors: dict[str, str] = {}
        """Thread of dbt to its last error."""

    def begun(self) -> dict[str, Microbatches]:
        """Unique id to batches, of the models that dbt has begun and is not done with."""
        return {unique_id: model.batches for unique_id, model in list(self._models.items())}

    def read(self, info: Mapping[str, Any], data: Mapping[str, Any], unique_id: str) -> bool:
        """Take in an event.

        Args:
            info: Of the event.
            data: Of the event.
            unique_id: Of the node that it is about; empty for none.

        Returns:
            Whether it says that a batch is finished, not the model.
        """
        event, thread = info["name"], str(info.get("thread") or "")
        if event in ("LogStartBatch", "LogBatchResult"):
            self._of_batch(event, data, unique_id, thread)
        elif event == "NodeFinished":
            if self._ended.get(thread, ("", ""))[0] == unique_id:
                self._finished(data.get("run_result") or {}, thread)
                return True
        elif info.get("level") == "error":
            self._errors[thread] = str(data.get("exc") or info.get("msg") or "").strip()
        return False

    def ended(self, unique_id: str) -> EndedBatches | None:
        """Forget a model with which dbt is done; None if it has no batches."""
        model = self._models.pop(unique_id, None)
        if model is None:
            return None
        left = model.batches if model.batches.missing else None
        return EndedBatches(left=left, said=_said(model), rows=model.rows)

    def _of_batch(self, event: str, data: Mapping[str, Any], unique_id: str, thread: str) -> None:
        found = _NAME.match(str(data.get("description") or ""))
        name = found[1] if found else ""
        if name and unique_id not in self._models:
            place, total = int(data["batch_index"]), int(data["total_batches"])
            planned = span(name, place=place, total=total)
            batches = self._retried.pop(unique_id, None) or Microbatches(planned=planned)
            self._models[unique_id] = _Model(batches=batches)
        if event == "LogStartBatch":
            self._errors.pop(thread, None)
        else:
            self._ended[thread] = unique_id, name

    def _finished(self, result: Mapping[str, Any], thread: str) -> None:
        unique_id, name = self._ended.pop(thread)
        model = self._models.get(unique_id)
        if model is None:
            return
        status, error = str(result.get("status") or "").lower(), self._errors.pop(thread, "")
        if status == "success":
            model.batches = model.batches.with_built(name)
            rows = rows_of(result.get("adapter_response"))
            model.rows = model.rows if rows is None else rows + (model.rows or 0)
        elif status != "skipped":
            text = error.removeprefix(_PREFIX) or str(result.get("message") or status)
            model.errors.setdefault(text, []).append(name)


def rows_of(response: Any) -> int | None:
    """The rows that dbt's adapter counted, from an `adapter_response`; None if that holds no number.

    A materialization of a project's own may put any text there.
    """
    try:
        return int(response["rows_affected"])
    except (TypeError, KeyError, ValueError, OverflowError):
        return None


def _said(model: _Model) -> str:
    failed = {name for names in model.errors.values() for name in names}
    unreached = [name for name in model.batches.missing if name not in failed]
    lines = [f"Batch {named(sorted(names))}: {text}" for text, names in list(model.errors.items())[:_SHOWN]]
    if len(model.errors) > _SHOWN:
        lines.append(f"... and {len(model.errors) - _SHOWN} more errors")
    if unreached:
        lines.append(f"Not run: {named(unreached)}")
    if lines:
        lines.append("Retry this run to build them: a later run builds its own batches only.")
    return "".join(f"\n{line}" for line in lines)
