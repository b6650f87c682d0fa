"""One dbt command in a workspace that builds no nodes: questions, docs, operations."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from goldsmith.dbt.events import EventReader, Finished
from goldsmith.engine.dbt.workspace import Workspace
from goldsmith.errors import EnvironmentProblem
from goldsmith.masking import masked
from goldsmith.results.record import FAILED

PATIENCE = 3.0
"""Seconds for dbt to cancel its queries; Airflow kills a task 5 seconds after it asked it to end."""
_SAID = 20  # lines


class WorkspaceCommand:
    """A dbt command that can be stopped, also from a signal handler.

    Args:
        space: Where dbt runs.
        arguments: dbt's command line, without what says where it runs.
    """

    def __init__(self, space: Workspace, arguments: Sequence[str]) -> None:
        self.line = space.plain_command(arguments)
        """dbt's whole command line."""
        self.lines: list[str] = []
        """dbt's output."""
        self.finished: list[Finished] = []
        """What it said about nodes."""
        self.reader = EventReader()
        """What it said beside that."""
        self._verb = " ".join(arguments[:1])
        self._is_late = threading.Event()
        self._process = space.start(self.line)

    def run(self, *, timeout: float | None = None) -> None:
        """Read what dbt says until it ends.

        Args:
            timeout: Seconds after which it is ended; None for no limit.

        Raises:
            EnvironmentProblem: dbt failed, with what it said; or it took too long.
        """
        timer = threading.Timer(max(timeout or 0.0, 0.0), self._end_late)
        timer.daemon = True
        if timeout is not None:
            timer.start()
        try:
            for line in self._process.lines():
                self.lines.append(line)
                if (one := self.reader.read(line)) is not None:
                    self.finished.append(one)
            code = self._process.wait()
        except BaseException:
            self.stop()
            raise
        finally:
            timer.cancel()
        if self._is_late.is_set():
            raise EnvironmentProblem(f"`dbt {self._verb}` took too long, and was ended.")
        if code != 0:
            failed = [f"{one.unique_id}: {one.message}" for one in self.finished if one.status in FAILED]
            errors = [*failed, *self.reader.errors] or [text for _, text in self.reader.said]
            said = masked("\n".join(errors[-_SAID:]))
            raise EnvironmentProblem(f"`dbt {self._verb}` ended with code {code}.\n{said}")

    def stop(self) -> None:
        """Let dbt cancel its queries and end."""
        self._process.interrupt(patience=PATIENCE)

    def _end_late(self) -> None:
        self._is_late.set()
        self.stop()
