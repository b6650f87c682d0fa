"""What an engine is: it makes the Airflow task of a dbt node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from airflow.sdk import BaseOperator

from goldsmith.plan.model import PlannedNode


class Engine(Protocol):
    """Decides what runs dbt, and when; the DAG's shape is the plan's.

    The isolated engine runs one dbt process per task. Another engine may build a whole layer in one process and let
    the node tasks report; it adds the task that does so to the layer's group.
    """

    def node_task(self, node: PlannedNode, **airflow: Any) -> BaseOperator:
        """Make the task of one node.

        Args:
            node: The node, with the dbt selection that matches it alone.
            airflow: Arguments for Airflow's operator: task_id, task_group, owner, retries, trigger_rule and so on.
        """

    def layer_tasks(self, layer: str, **airflow: Any) -> Mapping[str, BaseOperator]:
        """Tasks the engine adds to a layer, by task id; every node task of the layer waits for them."""
