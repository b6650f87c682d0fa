"""The scheduler's short cut gives what Airflow gives."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator
from airflow.serialization.definitions.node import DAGNode
from airflow.serialization.serialized_objects import DagSerialization

from goldsmith.tuning.scheduling import spare_walks


@pytest.fixture(autouse=True)
def _undone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test changes in Airflow is as before afterwards."""
    monkeypatch.setattr(DAGNode, "get_upstreams_only_setups", DAGNode.get_upstreams_only_setups)


def as_the_scheduler_has_it(*, with_setup: bool) -> Any:
    """A DAG in which three tasks stand in a row between one that sets up, or does not, and a teardown."""
    with DAG("d", start_date=datetime(2026, 1, 1, tzinfo=UTC), schedule=None) as dag:
        first, *rest = (BaseOperator(task_id=name) for name in ("first", "a", "b", "c"))
        last = BaseOperator(task_id="last")
        for before, after in zip([first, *rest], [*rest, last], strict=True):
            after.set_upstream(before)
        last.as_teardown(setups=first if with_setup else None)
    return DagSerialization.from_dict(DagSerialization.to_dict(dag))


def setups_above(dag: Any) -> dict[str, list[str]]:
    """Task id to the setups it waits for."""
    return {
        task_id: sorted(one.task_id for one in task.get_upstreams_only_setups())
        for task_id, task in dag.task_dict.items()
    }


@pytest.mark.parametrize("with_setup", [True, False])
def test_the_setups_above_a_task_are_those_airflow_finds(*, with_setup: bool) -> None:
    """With a setup task and without; also where it is applied twice."""
    dag = as_the_scheduler_has_it(with_setup=with_setup)
    expected = setups_above(dag)
    assert any(expected.values()) == with_setup
    spare_walks()
    spare_walks()
    assert setups_above(dag) == expected


def test_without_a_setup_nothing_is_walked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """That is the point of it."""
    dag = as_the_scheduler_has_it(with_setup=False)
    spare_walks()

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("it walks")

    monkeypatch.setattr(DAGNode, "get_flat_relative_ids", refuse)
    assert set(setups_above(dag)) == {"first", "a", "b", "c", "last"}
