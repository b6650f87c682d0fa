"""The right of a task to be the only writer: how it is asked for, when it is lost, and what earlier tries have left."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from airflow.sdk import Context
from tests.builders import dbt_target
from tests.said_dbt import lake_target

from goldsmith.engine.only_writer import OnlyWriter
from goldsmith.errors import DbtStopped, EnvironmentProblem
from goldsmith.warehouse import choose

CONTEXT = cast("Context", {"run_id": "r1"})


@dataclass
class Warehouse:
    """What a task asks of it, in this order."""

    is_held: bool = True
    is_away: bool = False
    left: int = 0
    """Sessions that an earlier try has left, of each tag."""
    now: float = 1000.0
    asked: int = 0
    """How often it was asked whether the right is held."""
    done: list[tuple[str, Any]] = field(default_factory=list)

    def end_sessions(self, tag: str, *, timeout: float) -> int:
        """End the sessions of a tag."""
        self.done.append(("end", (tag, timeout)))
        if self.is_away:
            raise EnvironmentProblem("The warehouse does not answer.")
        return self.left

    @contextlib.contextmanager
    def writer(self, **asked: Any) -> Iterator[Warehouse.Right]:
        """Give the right to write."""
        asked.pop("on_wait")
        self.done.append(("take", asked))
        yield self.Right(self)
        self.done.append(("give back", asked["target"]))

    @dataclass
    class Right:
        """The right."""

        of: Warehouse

        def is_held(self) -> bool:
            """Whether it is still held."""
            self.of.asked += 1
            return self.of.is_held


@pytest.fixture
def warehouse(monkeypatch: pytest.MonkeyPatch) -> Warehouse:
    """In the place of PostgreSQL, with a clock of its own."""
    made = Warehouse()
    monkeypatch.setattr(choose, "warehouse_of", {"warehouse": made}.__getitem__)
    monkeypatch.setattr(time, "monotonic", lambda: made.now)
    return made


@pytest.fixture
def only() -> OnlyWriter:
    """Of the pipeline shop, which writes the schema silver."""
    return OnlyWriter(dbt_target(Path(), connection="warehouse", profile_args={"schema": "silver"}))


@pytest.mark.parametrize("is_alone", [True, False])
def test_a_task_ends_what_its_lost_try_has_left_and_then_asks_for_the_right(
    warehouse: Warehouse, only: OnlyWriter, *, is_alone: bool
) -> None:
    """dbt's queries first, then the right of the lost try: the other way round another run could begin between."""
    with only.held(CONTEXT, "silver.build", is_alone=is_alone):
        pass
    own, queries = only.session("r1", "silver.build writer"), only.session("r1", "silver.build")
    assert own != queries
    taken = {
        "target": "shop/prod/silver",
        "run": "shop/r1",
        "exclusive": is_alone,
        "tag": own,
    }
    assert warehouse.done == [
        ("end", (queries, 20.0)),
        ("end", (own, 20.0)),
        ("take", taken),
        ("give back", "shop/prod/silver"),
    ]


@pytest.mark.parametrize("left", [0, 2])
def test_the_log_says_what_a_lost_try_has_left(
    warehouse: Warehouse, only: OnlyWriter, caplog: pytest.LogCaptureFixture, left: int
) -> None:
    """If it has left anything."""
    warehouse.left = left
    with only.held(CONTEXT, "silver.build"):
        pass
    assert (
        "Ended 4 sessions in the warehouse that an earlier try of silver.build had left" in caplog.text
    ) == bool(left)


def test_what_cannot_be_ended_keeps_the_task_from_writing(warehouse: Warehouse, only: OnlyWriter) -> None:
    """Two dbt would write the same tables."""
    warehouse.is_away = True
    with pytest.raises(EnvironmentProblem), only.held(CONTEXT, "silver.build"):
        raise AssertionError("it writes")
    assert [what for what, _ in warehouse.done] == ["end"]


def test_a_task_whose_right_is_lost_is_stopped(warehouse: Warehouse, only: OnlyWriter) -> None:
    """The warehouse is asked once in a while, and always when dbt has ended: what it said may be about the server."""
    only.check()
    assert warehouse.asked == 0
    with only.held(CONTEXT, "silver.build"):
        only.check()
        warehouse.now += 1.9
        only.check()
        assert warehouse.asked == 1
        only.check(is_last=True)
        assert warehouse.asked == 2
        warehouse.is_held = False
        only.check()
        warehouse.now += 2.1
        with pytest.raises(DbtStopped, match="has ended the session that made this task the only writer"):
            only.check()


def test_a_cancelled_task_ends_dbts_queries_in_the_time_that_a_signal_handler_has(
    warehouse: Warehouse, only: OnlyWriter
) -> None:
    """A warehouse that does not answer is no reason to fail there."""
    warehouse.is_away = True
    only.end_sessions("r1", "silver.build")
    [(what, (tag, timeout))] = warehouse.done
    assert (what, tag) == ("end", only.session("r1", "silver.build"))
    assert timeout < 2


def test_on_a_warehouse_without_locks_a_task_writes_at_once(tmp_path: Path) -> None:
    """Nothing replaced: no session is opened there."""
    with lake_target(tmp_path) as target:
        only = OnlyWriter(target)
        with only.held(CONTEXT, "silver.build"):
            only.check(is_last=True)
        only.end_sessions("r1", "silver.build")
