"""The shared engine: one `dbt build` for a layer, and tasks that show its nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow.sdk import BaseOperator, Context

from goldsmith.engine.own_arguments import own_arguments
from goldsmith.engine.shared.build import BuildTask
from goldsmith.engine.shared.left_out import is_loaded
from goldsmith.engine.shared.node_task import NodeTask
from goldsmith.engine.shared.reconcile import ReconcileTask
from goldsmith.engine.site import Site
from goldsmith.plan.model import PlannedBuild, PlannedNode


@dataclass(frozen=True, kw_only=True)
class SharedEngine:
    """One dbt process per layer.

    Args:
        site: What the builds share.
    """

    site: Site

    @property
    def builds(self) -> SharedEngine:
        """It makes the builds itself."""
        return self

    def is_loaded(self, context: Context, source: str) -> bool:
        """Whether a run, by its parameters, loads the raw file of a source."""
        return is_loaded(self.site, context, source)

    def node_task(self, nodes: tuple[PlannedNode, ...], **airflow: Any) -> BaseOperator:
        """Make the task that shows what the build did with its nodes, and that builds them again."""
        return NodeTask(nodes=nodes, site=self.site, **{**airflow, **own_arguments(nodes[0])})

    def build_task(self, build: PlannedBuild, **airflow: Any) -> BaseOperator:
        """Make the task that builds a layer."""
        return BuildTask(site=self.site, task_id=build.task_id, **airflow)

    def reconcile_task(self, build: PlannedBuild, **airflow: Any) -> BaseOperator:
        """Make the teardown that compares what Airflow, dbt and the warehouse say after a build."""
        task = ReconcileTask(build=build, site=self.site, task_id=build.reconcile_id, **airflow)
        task.as_teardown(on_failure_fail_dagrun=True)
        return task
