"""The isolated engine: one dbt process for each task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from airflow.sdk import BaseOperator
from cosmos.constants import InvocationMode

from goldsmith.engine.isolated.node_task import (
    CosmosTask,
    FreshnessTask,
    FunctionTask,
    ModelTask,
    SeedTask,
    SnapshotTask,
    TestTask,
)
from goldsmith.engine.site import Site
from goldsmith.plan.model import PlannedNode

# One node needs neither the artifacts of the whole project nor a list of every relation in the warehouse.
DBT_FLAGS = (
    "--no-version-check",
    "--no-use-colors",
    "--no-quiet",
    "--no-write-json",
    "--no-populate-cache",
    *("--log-level-file", "none"),
)

_TASKS: Mapping[str, type[CosmosTask]] = {
    "model": ModelTask,
    "seed": SeedTask,
    "snapshot": SnapshotTask,
    "function": FunctionTask,
    "test": TestTask,
    "unit_test": TestTask,
    "source": FreshnessTask,
}


@dataclass(frozen=True, kw_only=True)
class IsolatedEngine:
    """One dbt process per task.

    dbt runs inside the task's own process (Cosmos's runner), so that a scheduler which imported dbt before it forks
    the task saves two thirds of the CPU. Each task works in a private copy of the project, target folder included.
    """

    site: Site
    builds: ClassVar[None] = None
    """Each node's task runs dbt itself."""

    def node_task(self, nodes: tuple[PlannedNode, ...], **airflow: Any) -> BaseOperator:
        """Make the task that runs one node with its own dbt process."""
        [node] = nodes
        target = self.site.target
        if node.timeout:
            airflow["execution_timeout"] = min(airflow["execution_timeout"], timedelta(seconds=node.timeout))
        ours: dict[str, Any] = {
            "node": node,
            "site": self.site,
            "select": node.select,
            "project_dir": str(target.project_dir),
            "profile_config": target.profile(),
            "vars": dict(target.variables) or None,
            "invocation_mode": InvocationMode.DBT_RUNNER,
            "install_deps": False,
            "emit_datasets": False,
            "cache_dir": target.cache_dir,
            "dbt_cmd_global_flags": list(DBT_FLAGS),
        }
        # What a project says there for Cosmos alone, where it runs dbt, does not count here.
        return _TASKS[node.kind](**{**airflow, **node.operator_kwargs, **ours})
