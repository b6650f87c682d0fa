"""Time limits of single nodes that dbt builds with others: what takes long is told, what takes too long cancelled."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from goldsmith.dbt.error_class import CANCELLED
from goldsmith.errors import EnvironmentProblem
from goldsmith.plan.model import PlannedNode

log = logging.getLogger(__name__)

_AGAIN = 2.0  # seconds: between its statements a node has none that could be cancelled
_PATIENCE = 5  # times, until the log says that nothing was found


@dataclass
class NodeTimeouts:
    """Looks after the nodes that dbt is at.

    Args:
        cancel: Cancels what a node, by its unique id, runs in the warehouse; gives the number of queries.
        tell: Says of a node for how many seconds it has run so far; called once for each that is slow.
    """

    cancel: Callable[[str], int]
    tell: Callable[[PlannedNode, float], None]
    _told: set[str] = field(default_factory=set)
    _cancelled: dict[str, float] = field(default_factory=dict)
    """Unique id to seconds after which its query was cancelled."""
    _tried: dict[str, int] = field(default_factory=dict)
    _next: float = 0.0

    def look(self, running: Mapping[str, float], nodes: Mapping[str, PlannedNode]) -> None:
        """Tell what is slow, and cancel what is over its limit; the warehouse is asked for nothing where nothing is.

        Args:
            running: Unique id to when dbt started the node, on the monotonic clock.
            nodes: Unique id to node, of those that this dbt builds.
        """
        now = time.monotonic()
        for unique_id, began in running.items():
            node = nodes.get(unique_id)
            if node and 0 < node.slow_after < now - began and unique_id not in self._told:
                self._told.add(unique_id)
                self.tell(node, now - began)
        if now < self._next:
            return
        for unique_id, began in running.items():
            limit = nodes[unique_id].timeout if unique_id in nodes else 0
            if limit and now - began > limit:
                self._next = now + _AGAIN
                self._cancel(unique_id, now - began, limit)

    def explained(self, unique_id: str, message: str, limit: int) -> str:
        """dbt's message of a node that failed, after what was done to it.

        Args:
            unique_id: Of the node.
            message: dbt's.
            limit: Its limit in seconds.
        """
        ran = self._cancelled.get(unique_id)
        if ran is None:
            return message
        return (
            f"It had run for {timedelta(seconds=round(ran))} and its limit is {timedelta(seconds=limit)}: "
            f"{CANCELLED}\n{message}"
        )

    def _cancel(self, unique_id: str, ran: float, limit: int) -> None:
        self._tried[unique_id] = self._tried.get(unique_id, 0) + 1
        try:
            found = self.cancel(unique_id)
        except EnvironmentProblem as error:
            log.warning(
                "%s is over its limit of %d s, and could not be cancelled: %s", unique_id, limit, error
            )
            return
        if found:
            self._cancelled.setdefault(unique_id, ran)
            log.warning("%s ran for %.0f s, its limit is %d s: cancelled", unique_id, ran, limit)
        elif self._tried[unique_id] == _PATIENCE:
            log.warning(
                "%s is over its limit of %d s, and no query of it is found in the warehouse. It is looked for by dbt's "
                "query comment, and only in PostgreSQL.",
                unique_id,
                limit,
            )
