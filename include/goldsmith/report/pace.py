"""How long nodes take, kept for the order in which the isolated engine's tasks start.

It is kept for a week, or until there are new nodes: each other order is another version of the DAG in Airflow.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any

from goldsmith.report.store import ReportStore

KEPT = timedelta(days=7)
_NAME = "pace"


def measured_seconds(store: ReportStore) -> dict[str, float]:
    """Unique id to seconds, as it was kept last; without the nodes that never ran."""
    return {uid: took for uid, took in _kept(store).get("seconds", {}).items() if took}


def renew_pace(store: ReportStore, unique_ids: Collection[str], *, now: datetime) -> None:
    """Keep how long nodes took the last time, where what is kept is old, or lacks one of them.

    Args:
        store: The pipeline's reports.
        unique_ids: Of all its nodes.
        now: The present.

    Raises:
        EnvironmentProblem: The results path cannot be read or written.
    """
    kept = _kept(store)
    is_new = bool(kept) and datetime.fromisoformat(kept["noted"]) > now - KEPT
    if is_new and kept["seconds"].keys() >= set(unique_ids):
        return
    last = store.last_seconds()
    seconds = {uid: round(last.get(uid, 0.0), 1) for uid in unique_ids}
    store.note(_NAME, json.dumps({"noted": now.isoformat(), "seconds": seconds}))


def _kept(store: ReportStore) -> dict[str, Any]:
    """Empty where there is nothing, or nothing that can be read."""
    try:
        found = json.loads(store.noted(_NAME))
        datetime.fromisoformat(found["noted"])
        return found if all(isinstance(took, int | float) for took in found["seconds"].values()) else {}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}
