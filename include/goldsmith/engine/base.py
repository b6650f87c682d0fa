"""What an engine is: it makes the Airflow task of a dbt node, or of a few."""

from __future__ import annotations

from typing import Any, Protocol

from airflow.sdk import BaseOperator

from goldsmith.engine.site import Site
from goldsmith.plan.model import PlannedNode


class Engine(Protocol):
    """Decides what runs dbt for a task; the DAG's shape is the plan's, whatever the engine."""

    @property
    def site(self) -> Site:
        """Where the pipeline's nodes are built."""

    def node_task(self, nodes: tuple[PlannedNode, ...], **airflow: Any) -> BaseOperator:
        """Make a task.

        Args:
            nodes: Its nodes, the one it is named after first.
            airflow: Arguments for Airflow's operator: task_id, task_group, owner, retries, trigger_rule and so on.
        """
