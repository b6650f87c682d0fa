"""The task of a node in the isolated engine: one dbt process, on Cosmos's local operators."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout
from cosmos.exceptions import CosmosDbtRunError
from cosmos.operators.local import (
    DbtBuildLocalOperator,
    DbtLocalBaseOperator,
    DbtRunLocalOperator,
    DbtSeedLocalOperator,
    DbtSnapshotLocalOperator,
    DbtSourceLocalOperator,
    DbtTestLocalOperator,
)
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random

from goldsmith.dbt.environment import dbt_environment, environment, overridden, settings_of
from goldsmith.dbt.flags import warn_error_arguments
from goldsmith.dbt.parse import variable_arguments
from goldsmith.engine.assets import updated_alone
from goldsmith.engine.build_state import StateStore
from goldsmith.engine.dbt.freshness import by_policy
from goldsmith.engine.dbt.invocation import by_hand
from goldsmith.engine.dbt.workspace import (
    SESSION_VARIABLE,
    THOSE,
    keep_parsed,
    take_parsed,
    write_results,
)
from goldsmith.engine.isolated.batches import KeptBatches
from goldsmith.engine.isolated.runner import Listener, failed_beside, result_at_limit, result_of
from goldsmith.engine.kept_results import INCREMENTAL
from goldsmith.engine.links import named_run
from goldsmith.engine.rebuilt import is_rebuilt_since
from goldsmith.engine.sampling import Sampler
from goldsmith.engine.site import Site
from goldsmith.engine.task_dbt import name_what_is_missing, note_slow_node
from goldsmith.engine.task_end import NodeFailed, failure_of
from goldsmith.errors import EnvironmentProblem
from goldsmith.plan.model import PlannedNode
from goldsmith.results.record import FAILED, WARN, NodeResult
from goldsmith.run_limit import bounded
from goldsmith.warehouse.choose import warehouse_of

log = logging.getLogger(__name__)

# Seconds after the time limit, so that the task fails for the limit and not for its ended session.
_AFTER = 0.5
_CLASH = 'violates unique constraint "pg_namespace_nspname_index"'
_CLASHES = 4


class CosmosTask(DbtLocalBaseOperator):
    """One dbt node on a Cosmos local operator, bounded by the run's time limit.

    Args:
        node: The node.
        site: Where it runs.
    """

    execution_timeout: timedelta | None
    dbt_cmd_flags: list[str]

    def __init__(self, *, node: PlannedNode, site: Site, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.node = node
        self.site = site
        self._run_id = ""
        self._is_dbt_running = False
        self._ends = 0.0
        self._found: NodeResult | None = None
        self._store: StateStore | None = None
        self._beside = ""

    def pre_execute(self, context: Context) -> None:
        """Cut the task's time limit to what is left of the run's, and make the cache folder.

        Raises:
            AirflowFailException: The run was given parameters, which this engine does not have.
        """
        if conf := context["dag_run"].conf:
            raise AirflowFailException(
                f"The run was started with {', '.join(sorted(conf))}, and with `engine: isolated` a run has no "
                "parameters. Write `engine: shared` into the pipeline spec, or start the run without."
            )
        limit = self.site.run_timeout
        own = self.execution_timeout or limit
        self.execution_timeout = bounded(own, run_started=context["dag_run"].start_date, run_timeout=limit)
        self._run_id = context["run_id"]
        if self.cache_dir is not None:
            (self.cache_dir / "target").mkdir(parents=True, exist_ok=True)
        log.info("dbt node %s", self.node.unique_id)
        if not self.node.upstream:
            name_what_is_missing(self.site, self.task_id)

    def execute(self, context: Context, **kwargs: Any) -> None:
        """Run dbt, together with other tasks of this run, while no other run writes the same schemas.

        Raises:
            NodeFailed: dbt says that the node failed, or failed itself.
        """
        self._store = cast("StateStore", context["task_state_store"])
        limit = self.site.run_timeout
        self._ends = time.monotonic() + (self.execution_timeout or limit).total_seconds()
        with self.site.writer.held(context, self.task_id, is_alone=False), self._exact_selection():
            for attempt in self._tried_after_clashes():
                with attempt, self._named_failure():
                    super().execute(context, **kwargs)
        self._update_asset()

    @contextlib.contextmanager
    def _exact_selection(self) -> Iterator[None]:
        """Let dbt run this node and no other: its name may be that of others, or no selection at all."""
        with tempfile.TemporaryDirectory(prefix="goldsmith-") as folder:
            write_results(Path(folder), {self.node.unique_id: "success"})
            self.select = THOSE
            self.dbt_cmd_flags = [*self.dbt_cmd_flags, "--state", folder]
            if self.base_cmd in (["test"], ["build"]):
                self.indirect_selection = "empty"
            yield

    def _tried_after_clashes(self) -> Retrying:
        """Start dbt again where it came to no node because another task made the same schema at that moment.

        PostgreSQL refuses `create schema if not exists` then. The spec's retries are for what happens to nodes.
        """
        return Retrying(
            retry=retry_if_exception(lambda error: self._found is None and _CLASH in str(error)),
            stop=stop_after_attempt(_CLASHES),
            wait=wait_random(0, 1),
            before_sleep=lambda _: log.info("Another task made the same schema at this moment: once more."),
            reraise=True,
        )

    @contextlib.contextmanager
    def _named_failure(self) -> Iterator[None]:
        """Say with a failure which node it is, and what dbt said: the retry policy goes by that."""
        try:
            yield
        except CosmosDbtRunError as error:
            said, status, command = str(error), "error", self._by_hand
            if self._found and not self._found.is_good:
                said, status, command = self._found.message, self._found.status, self._found.command
            if self._beside:  # it may be why the node was skipped
                status = status if status in FAILED else "error"
                said = "\n".join(filter(None, (said if self._found else "", self._beside)))
            failed = failure_of([self.node], self.node, status=status, message=said)
            raise NodeFailed(
                f"{self.node.unique_id}: {status}\n{said}",
                hint=f"Run it again by hand: {command}",
                failed=[failed],
            ) from error

    @property
    def _by_hand(self) -> str:
        """The dbt command that does the same on a laptop."""
        target = self.site.target
        given = shlex.join(variable_arguments(target.variables))
        return self.node.command(" ".join(self.base_cmd), target=target.target, given=given)

    def _update_asset(self) -> None:
        """Unless a gate is still to say that the layer is good."""
        if self.node.asset:
            by = self.node.updated_by
            states = {} if by == self.task_id else self.site.states(self._run_id, [by])
            self.outlets: list[Any] = [
                *self.outlets,
                *updated_alone([self.node], states, task_id=self.task_id),
            ]

    def on_kill(self) -> None:
        """End what dbt runs in the warehouse, and dbt, as Ctrl-C does; Airflow kills the task 5 seconds later."""
        self.site.writer.end_sessions(self._run_id, self.task_id)
        if self._is_dbt_running:
            raise KeyboardInterrupt("Airflow has ended the task.")

    def get_env(self, context: Context) -> dict[str, str | bytes | os.PathLike[Any]]:
        """Tag dbt's sessions with this task, and let the server end them with it."""
        return {
            **super().get_env(context),
            **named_run(self.site.target, self._run_id),
            SESSION_VARIABLE: self.site.writer.session(self._run_id, self.task_id),
            **warehouse_of(self.site.target.connection).session_options(),
        }

    def run_dbt_runner(self, command: list[str], env: dict[str, str], cwd: str, **kwargs: Any) -> Any:
        """Run dbt in this process, and keep what it says about the node."""
        said, batches = Listener(self.node.unique_id), self._batches()
        self._dbt_runner_callbacks = [said, *([batches.read] if batches else [])]
        # That of the project itself: Cosmos runs dbt in a copy, above which there is another `.env`, or none.
        project = self.site.target.project_dir
        whole = dbt_environment(project, more=env)
        if ignored := overridden(settings_of(project)):
            log.info("Not given to dbt, because something else decides it: %s", ", ".join(ignored))
        strict = warn_error_arguments(project)
        command = [command[0], *strict, *command[1:], "--target-path", "target"]
        if batches is not None:
            command = batches.command(command, folder=Path(cwd))
            whole |= batches.env
        with self._ended_in_time(), environment(whole):
            outcome = super().run_dbt_runner(command, {}, cwd, **kwargs)
        self._beside = failed_beside(outcome, self.node.unique_id)
        self._keep(outcome, said, batches)
        return outcome

    def handle_exception_dbt_runner(self, result: Any) -> None:
        """Fail, if dbt does, or if it came to no node: dbt calls that a success."""
        super().handle_exception_dbt_runner(result)
        if self._found is None:
            raise CosmosDbtRunError(
                f"dbt ended well and said nothing about {self.node.unique_id}: the project, as dbt reads it now, does "
                "not have it."
            )

    def _batches(self) -> KeptBatches | None:
        """What is kept of the batches of this node; None if it can have none."""
        if self._store is None or self.node.materialized != INCREMENTAL:
            return None
        return KeptBatches(
            self.node,
            self._store,
            is_full_refresh="--full-refresh" in self.add_cmd_flags(),
            is_stale=is_rebuilt_since(self.site, self._run_id, self.node),
        )

    @contextlib.contextmanager
    def _ended_in_time(self) -> Iterator[None]:
        """End dbt's query at the time limit: the limit reaches dbt, which then waits for its query to end."""
        ending = threading.Timer(
            max(self._ends - time.monotonic(), 0.0) + _AFTER,
            self.site.writer.end_sessions,
            (self._run_id, self.task_id),
        )
        slow = float(self.node.slow_after)
        telling = threading.Timer(slow, note_slow_node, (self.site, self._run_id, self.node, slow))
        timers = (ending, telling) if slow else (ending,)
        for timer in timers:
            timer.daemon = True
            timer.start()
        self._is_dbt_running = True
        try:
            yield
        finally:
            self._is_dbt_running = False
            for timer in timers:
                timer.cancel()

    def _keep(self, outcome: Any, said: Listener, batches: KeptBatches | None) -> None:
        about: dict[str, Any] = {"node": self.node, "task_id": self.task_id, "command": self._by_hand}
        found: NodeResult | None
        if isinstance(outcome.exception, AirflowTaskTimeout):  # dbt takes it for a failure of its own
            found = result_at_limit(said, limit=self.execution_timeout or self.site.run_timeout, **about)
        else:
            found = result_of(outcome, said, **about)
        if found is None:
            self._found = None
            return
        if batches is not None:
            found = batches.ended(found)
            shown = by_hand(self.node, (*self.base_cmd,), found.batches, target=self.site.target.target)
            found = replace(found, command=shown)
        self._found = found = by_policy(found, self.site.freshness)
        try:
            sampler = Sampler(site=self.site, run_id=self._run_id, task_id=self.task_id)
            kept = [*sampler.now(found), *sampler.at_last(asks=True)]
            self.site.results.keep(self._run_id, kept)
        except EnvironmentProblem as error:
            log.warning("What dbt said could not be kept: %s", error)

    def _handle_partial_parse(self, tmp_dir_path: Path) -> None:
        """Start from what the last task parsed; Cosmos takes the newest file, and patches it for a dbt long gone."""
        take_parsed(tmp_dir_path / "target", cache_dir=self.cache_dir, parsed_dir=self.site.target.parsed_dir)

    def _update_partial_parse_cache(self, tmp_dir_path: Path) -> None:
        """Keep what dbt parsed for the next task; Cosmos would also keep a manifest, which is not written here."""
        if self.cache_dir is not None:
            keep_parsed(tmp_dir_path / "target", cache_dir=self.cache_dir)

    def calculate_openlineage_events_completes(self, *_: Any, **__: Any) -> bool:
        """Leave out Cosmos's lineage step: it reads the manifest again and puts secrets into os.environ."""
        return False


class ModelTask(CosmosTask, DbtRunLocalOperator):
    """`dbt run` of one model."""


class SeedTask(CosmosTask, DbtSeedLocalOperator):
    """`dbt seed` of one seed."""


class SnapshotTask(CosmosTask, DbtSnapshotLocalOperator):
    """`dbt snapshot` of one snapshot."""


class TestTask(CosmosTask, DbtTestLocalOperator):
    """`dbt test` of one test or unit test."""


class FunctionTask(CosmosTask, DbtBuildLocalOperator):
    """`dbt build` of one function: dbt has no command for functions alone."""


class FreshnessTask(CosmosTask, DbtSourceLocalOperator):
    """`dbt source freshness` of one source."""

    def handle_exception_dbt_runner(self, result: Any) -> None:
        """Fail, unless the source is stale and the pipeline only warns of that."""
        if self._found is not None and self._found.status == WARN and not self._beside:
            log.warning("%s", self._found.message)
            return
        super().handle_exception_dbt_runner(result)
