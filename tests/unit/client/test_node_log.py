"""Whose details `goldsmith logs` shows, and whose task `goldsmith retry` means, where a task has several nodes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from tests.unit.client.test_said import PLAN, node

from goldsmith.client.node_log import node_log
from goldsmith.client.retry import _task_of
from goldsmith.rest import Run, TaskInstance
from goldsmith.results.record import NodeResult

TASK = "bronze.orders.run"
NODES = (node("orders"), node("unique_id", "test"), node("not_null_id", "test"))
JOINT = replace(PLAN, nodes=tuple(replace(one, task_id=TASK) for one in NODES))


class Airflow:
    """An Airflow with one run, in which the task has details of all but the last node."""

    def __init__(self, result: Callable[..., NodeResult]) -> None:
        self.api = self
        kept = [result(unique_id=one.unique_id, task_id=TASK) for one in NODES[:2]]
        self.records = [one.to_dict() for one in kept]

    def run(self, dag_id: str, run_id: str) -> Run:
        """The run."""
        return Run(dag_id=dag_id, run_id=run_id, state="failed", run_type="manual", started=None, ended=None)

    def task_instances(self, *_: str) -> list[TaskInstance]:
        """The task."""
        times: dict[str, Any] = {"started": None, "ended": None}
        return [TaskInstance(task_id=TASK, name=TASK, map_index=-1, state="failed", try_number=1, **times)]

    def node_results(self, *_: str) -> dict[str, Any]:
        """The details."""
        return {"path": "/results", "records": self.records}

    def logs(self, *_: object) -> list[Any]:
        """The task's log."""
        return []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (TASK, ["model.shop.orders", "test.shop.unique_id"]),
        ("orders", ["model.shop.orders"]),
        ("test.shop.unique_id", ["test.shop.unique_id"]),
        ("not_null_id", []),
    ],
)
def test_a_name_shows_its_node_and_a_task_id_all_nodes(
    result: Callable[..., NodeResult], name: str, shown: list[str]
) -> None:
    """Of a node that dbt did not get to, nothing."""
    airflow = cast("Any", Airflow(result))
    found = node_log(airflow, JOINT, "shop", name, run_id="r1", only_task_log=False)
    assert found.task_id == TASK
    assert [one.unique_id for one in found.records] == shown
    assert bool(found.note) == (not shown)


@pytest.mark.parametrize("name", [TASK, "orders", "unique_id", "model.shop.orders"])
def test_any_node_of_a_task_means_the_task(name: str) -> None:
    """A task is run again as a whole."""
    assert _task_of(name, JOINT, [TASK]) == TASK
