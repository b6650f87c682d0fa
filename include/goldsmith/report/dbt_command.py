"""A dbt command of a task that is about no nodes of the pipeline."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from goldsmith.dbt.events import EventReader
from goldsmith.dbt.process import DbtProcess
from goldsmith.engine.site import Site
from goldsmith.engine.task_dbt import dbt_workspace
from goldsmith.errors import EnvironmentProblem
from goldsmith.results.record import FAILED
from goldsmith.spec.run import RunOptions

log = logging.getLogger(__name__)

_SAID = 20  # lines
# Seconds for dbt to cancel its queries; Airflow kills a task 5 seconds after it asked it to end.
_PATIENCE = 3.0


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
    _process: DbtProcess | None = field(default=None, init=False)

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
        reader = EventReader()
        with dbt_workspace(self.site, self.run_id, self.task_id, RunOptions()) as space:
            command = space.plain_command(arguments)
            log.info("dbt %s", " ".join(command))
            self._process = space.start(command)
            finished = [one for line in self._process.lines() if (one := reader.read(line))]
            for level, line in reader.said:
                log.log(logging.WARNING if level in ("warn", "error") else logging.INFO, "%s", line)
            if (code := self._process.wait()) != 0:
                failed = [f"{one.unique_id}: {one.message}" for one in finished if one.status in FAILED]
                said = "\n".join([*failed, *reader.errors][-_SAID:])
                raise EnvironmentProblem(f"dbt {' '.join(arguments)} ended with code {code}:\n{said}")
            space.keep_parsed()
            made(space.folder / "target")
        return {one.unique_id: one.relation for one in finished}

    def stop(self) -> None:
        """End dbt, and what it runs in the warehouse; for a signal handler."""
        if self._process is not None:
            self._process.interrupt(patience=_PATIENCE)
            self.site.writer.end_sessions(self.run_id, self.task_id)
