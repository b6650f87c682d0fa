"""The isolated engine: one dbt process per task, on Cosmos's local operators."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout
from cosmos.constants import InvocationMode
from cosmos.fs import safe_copy
from cosmos.operators.local import (
    DbtLocalBaseOperator,
    DbtRunLocalOperator,
    DbtSeedLocalOperator,
    DbtSnapshotLocalOperator,
    DbtSourceLocalOperator,
    DbtTestLocalOperator,
)

from goldsmith.deadline import bounded, is_over
from goldsmith.engine.workspace import PARTIAL_PARSE, DbtTarget, take_parsed
from goldsmith.plan.model import PlannedNode

log = logging.getLogger(__name__)


class NodeTask(DbtLocalBaseOperator):
    """One dbt node on a Cosmos local operator, bounded by the run's time limit.

    Args:
        unique_id: dbt's unique id of the node.
        run_timeout: The run's time limit.
    """

    execution_timeout: timedelta | None

    def __init__(self, *, unique_id: str, run_timeout: timedelta, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.unique_id = unique_id
        self.run_timeout = run_timeout

    def pre_execute(self, context: Context) -> None:
        """Cut the task's time limit to what is left of the run's, and make the cache folder."""
        own = self.execution_timeout or self.run_timeout
        started = context["dag_run"].start_date
        self.execution_timeout = bounded(own, run_started=started, run_timeout=self.run_timeout)
        if self.cache_dir is not None:
            (self.cache_dir / "target").mkdir(parents=True, exist_ok=True)
        log.info("dbt node %s", self.unique_id)

    def execute(self, context: Context, **kwargs: Any) -> Any:
        """Run dbt.

        Raises:
            AirflowFailException: It failed, and the run's time is over before it could be tried again.
        """
        try:
            return super().execute(context, **kwargs)
        except (Exception, AirflowTaskTimeout) as error:
            if is_over(
                self.retry_delay, run_started=context["dag_run"].start_date, run_timeout=self.run_timeout
            ):
                raise AirflowFailException(
                    f"{error}\nNot tried again: the run's time limit of {self.run_timeout} comes before that."
                ) from error
            raise

    def _handle_partial_parse(self, tmp_dir_path: Path) -> None:
        """Start from what the last task parsed; Cosmos takes the newest file, and patches it for a dbt long gone."""
        take_parsed(tmp_dir_path / "target", cache_dir=self.cache_dir, project_dir=Path(self.project_dir))

    def _update_partial_parse_cache(self, tmp_dir_path: Path) -> None:
        """Keep what dbt parsed for the next task; Cosmos would also keep a manifest, which is not written here."""
        parsed = tmp_dir_path / "target" / PARTIAL_PARSE
        if self.cache_dir is not None and parsed.is_file():
            safe_copy(parsed, self.cache_dir / "target" / PARTIAL_PARSE)

    def calculate_openlineage_events_completes(self, *_: Any, **__: Any) -> bool:
        """Leave out Cosmos's lineage step: it reads the manifest again and puts secrets into os.environ."""
        return False


class ModelTask(NodeTask, DbtRunLocalOperator):
    """`dbt run` of one model."""


class SeedTask(NodeTask, DbtSeedLocalOperator):
    """`dbt seed` of one seed."""


class SnapshotTask(NodeTask, DbtSnapshotLocalOperator):
    """`dbt snapshot` of one snapshot."""


class TestTask(NodeTask, DbtTestLocalOperator):
    """`dbt test` of one test or unit test."""


class FreshnessTask(NodeTask, DbtSourceLocalOperator):
    """`dbt source freshness` of one source."""


# One node needs neither the artifacts of the whole project nor a list of every relation in the warehouse.
DBT_FLAGS = (
    "--no-version-check",
    "--no-use-colors",
    "--no-write-json",
    "--no-populate-cache",
    # dbt calls it a success when a selection matches nothing: a node that is gone would be green.
    *("--warn-error-options", '{"error": ["NoNodesForSelectionCriteria"]}'),
    *("--log-level-file", "none"),
)

_TASKS: Mapping[str, type[NodeTask]] = {
    "model": ModelTask,
    "seed": SeedTask,
    "snapshot": SnapshotTask,
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

    target: DbtTarget
    run_timeout: timedelta

    def node_task(self, node: PlannedNode, **airflow: Any) -> BaseOperator:
        """Make the task that runs one node with its own dbt process."""
        return _TASKS[node.kind](
            unique_id=node.unique_id,
            run_timeout=self.run_timeout,
            select=node.select,
            project_dir=str(self.target.project_dir),
            profile_config=self.target.profile(),
            invocation_mode=InvocationMode.DBT_RUNNER,
            install_deps=False,
            emit_datasets=False,
            cache_dir=self.target.cache_dir,
            dbt_cmd_global_flags=list(DBT_FLAGS),
            **{**airflow, **node.operator_kwargs},
        )
