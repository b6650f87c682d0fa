"""The isolated engine: one dbt process for each task."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from airflow.sdk import BaseOperator

from goldsmith.engine.isolated.node_task import IsolatedTask
from goldsmith.engine.own_arguments import own_arguments
from goldsmith.engine.site import Site
from goldsmith.plan.model import PlannedNode


@dataclass(frozen=True, kw_only=True)
class IsolatedEngine:
    """One dbt process per task.

    Args:
        site: Where the nodes are built.
    """

    site: Site
    builds: ClassVar[None] = None
    """Each node's task runs dbt itself."""

    def node_task(self, nodes: tuple[PlannedNode, ...], **airflow: Any) -> BaseOperator:
        """Make the task that runs one node with its own dbt process."""
        [node] = nodes
        if node.timeout:
            airflow["execution_timeout"] = min(airflow["execution_timeout"], timedelta(seconds=node.timeout))
        return IsolatedTask(node=node, site=self.site, **{**airflow, **own_arguments(node)})
