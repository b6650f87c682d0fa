"""What an engine is: it makes the Airflow tasks of dbt nodes."""

from __future__ import annotations

from typing import Any, Protocol

from airflow.sdk import BaseOperator, Context

from goldsmith.engine.site import Site
from goldsmith.plan.model import PlannedBuild, PlannedNode


class Builds(Protocol):
    """Makes the tasks that build many nodes at once, whose own tasks then only show them."""

    def is_loaded(self, context: Context, source: str) -> bool:
        """Whether a run, by its parameters, loads the raw file of a source.

        Args:
            context: Of the ingest's first task.
            source: As `schema.table`.
        """

    def build_task(self, build: PlannedBuild, **airflow: Any) -> BaseOperator:
        """Make the task that builds a layer.

        Args:
            build: The layer's build.
            airflow: Arguments for Airflow's operator.
        """

    def reconcile_task(self, build: PlannedBuild, **airflow: Any) -> BaseOperator:
        """Make the teardown that compares what Airflow, dbt and the warehouse say after a build.

        Args:
            build: The layer's build.
            airflow: Arguments for Airflow's operator.
        """


class Engine(Protocol):
    """Decides what runs dbt for a task; the DAG's shape is the plan's, whatever the engine."""

    @property
    def site(self) -> Site:
        """Where the pipeline's nodes are built."""

    @property
    def builds(self) -> Builds | None:
        """Makes the builds; None if each node's task runs dbt itself.

        With builds the tasks of nodes need no order of their own, take no arguments that differ from one to the next,
        and a run may leave nodes out.
        """

    def node_task(self, nodes: tuple[PlannedNode, ...], **airflow: Any) -> BaseOperator:
        """Make a task.

        Args:
            nodes: Its nodes, the one it is named after first.
            airflow: Arguments for Airflow's operator: task_id, task_group, owner, retries, trigger_rule and so on.
        """
