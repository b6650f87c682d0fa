"""A dbt command of a task that is about no nodes of the pipeline."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from goldsmith.engine.dbt.command import WorkspaceCommand
from goldsmith.engine.site import Site
from goldsmith.engine.task_dbt import dbt_workspace
from goldsmith.spec.run import RunOptions

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class DbtCommand:
    """dbt commands for a task, one after the other.

    Args:
        site: Where the run's nodes are built.
        run_id: The run.
        task_id: The task.
    """

    site: Site
    run_id: str
    task_id: str
    _running: WorkspaceCommand | None = field(default=None, init=False)

    def run(
        self, arguments: Sequence[str], *, made: Callable[[Path], None] = lambda _: None
    ) -> dict[str, str]:
        """Run a command.

        Args:
            arguments: dbt's command line, without what says where it runs.
            made: Called at the end with dbt's target folder, which is then removed.

        Returns:
            Unique id to the name of the relation, of the nodes that it was about.

        Raises:
            EnvironmentProblem: dbt failed; with what it said.
        """
        with dbt_workspace(self.site, self.run_id, self.task_id, RunOptions()) as space:
            self._running = command = WorkspaceCommand(space, arguments)
            log.info("dbt %s", " ".join(command.line))
            try:
                command.run()
            finally:
                for level, line in command.reader.said:
                    log.log(logging.WARNING if level in ("warn", "error") else logging.INFO, "%s", line)
            space.keep_parsed()
            made(space.folder / "target")
        return {one.unique_id: one.relation for one in command.finished}

    def stop(self) -> None:
        """End dbt, and what it runs in the warehouse; for a signal handler."""
        if self._running is not None:
            self._running.stop()
            self.site.writer.end_sessions(self.run_id, self.task_id)
