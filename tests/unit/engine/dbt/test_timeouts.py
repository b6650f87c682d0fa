"""Nodes that take long are told once, and cancelled at their limit, whatever the warehouse answers."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from tests.builders import planned_node

from goldsmith.dbt.error_class import CANCELLED
from goldsmith.engine.dbt.timeouts import NodeTimeouts
from goldsmith.errors import EnvironmentProblem
from goldsmith.plan.model import PlannedNode

NODES = {
    one.unique_id: one
    for one in (
        planned_node("model.shop.quick"),
        planned_node("model.shop.slow", slow_after=10),
        planned_node("model.shop.limited", slow_after=10, timeout=60),
    )
}
SLOW, LIMITED = "model.shop.slow", "model.shop.limited"


@dataclass
class Warehouse:
    """What the limits do to it, at a time that the test says."""

    now: float = 1000.0
    finds: int = 1
    """Queries that are found and cancelled; none is an error."""
    cancelled: list[tuple[str, float]] = field(default_factory=list)
    told: list[tuple[str, int]] = field(default_factory=list)

    def cancel(self, unique_id: str) -> int:
        """Cancel what a node runs."""
        self.cancelled.append((unique_id, self.now))
        if self.finds < 0:
            raise EnvironmentProblem("The warehouse does not answer.")
        return self.finds

    def tell(self, node: PlannedNode, seconds: float) -> None:
        """Note who is slow."""
        self.told.append((node.unique_id, round(seconds)))


@pytest.fixture
def warehouse(monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """Its clock is the one that the limits look at."""
    made = Warehouse()
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    return made


@pytest.fixture
def looked(warehouse: Warehouse) -> Callable[..., NodeTimeouts]:
    """Look at nodes at these seconds after all of them began."""

    def look(*seconds: float, running: tuple[str, ...] = (*NODES, "model.shop.unknown")) -> NodeTimeouts:
        limits = NodeTimeouts(cancel=warehouse.cancel, tell=warehouse.tell)
        began = warehouse.now
        for second in seconds:
            warehouse.now = began + second
            limits.look(dict.fromkeys(running, began), NODES)
        warehouse.now = began
        return limits

    return look


def test_who_is_slow_is_told_once(looked: Callable[..., NodeTimeouts], warehouse: Warehouse) -> None:
    """Not at the limit, but after it; and what has none never."""
    looked(5, 10, 11, 12, 20)
    assert warehouse.told == [(SLOW, 11), (LIMITED, 11)]
    assert warehouse.cancelled == []


def test_what_is_over_its_limit_is_cancelled_again_and_again_but_not_all_the_time(
    looked: Callable[..., NodeTimeouts], warehouse: Warehouse
) -> None:
    """Between its statements a node has none that could be cancelled."""
    looked(60, 60.5, 61, 62, 62.75)
    assert warehouse.cancelled == [(LIMITED, 1060.5), (LIMITED, 1062.75)]


def test_the_failure_of_a_cancelled_node_says_why(
    looked: Callable[..., NodeTimeouts], warehouse: Warehouse
) -> None:
    """With the time of the first that was cancelled; nobody else's message changes."""
    limits = looked(61, 65)
    said = limits.explained(LIMITED, "canceling statement", 60)
    assert said == f"It had run for 0:01:01 and its limit is 0:01:00: {CANCELLED}\ncanceling statement"
    assert limits.explained(SLOW, "division by zero", 0) == "division by zero"
    assert warehouse.cancelled


@pytest.mark.parametrize(
    ("finds", "looks", "expected"),
    [
        (0, 4, ""),
        (0, 5, "no query of it is found in the warehouse"),
        (0, 9, "no query of it is found in the warehouse"),
        (-1, 1, "could not be cancelled: The warehouse does not answer."),
        (1, 1, "its limit is 60 s: cancelled"),
    ],
)
def test_the_log_says_what_became_of_it(
    looked: Callable[..., NodeTimeouts],
    warehouse: Warehouse,
    caplog: pytest.LogCaptureFixture,
    *,
    finds: int,
    looks: int,
    expected: str,
) -> None:
    """That nothing is found is said once, after some patience; then it is no explanation of a failure."""
    warehouse.finds = finds
    with caplog.at_level(logging.WARNING):
        limits = looked(*(61 + 3 * number for number in range(looks)))
    said = [record.getMessage() for record in caplog.records if LIMITED in record.getMessage()]
    assert len(said) == bool(expected)
    assert all(expected in one for one in said)
    assert (limits.explained(LIMITED, "x", 60) == "x") == (finds < 1)
