"""A site for tests, whose run is said by the test: neither Airflow nor a warehouse is asked for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from airflow.sdk import Context
from tests.builders import dbt_target

from goldsmith.engine.dbt.workspace import DbtTarget
from goldsmith.engine.only_writer import OnlyWriter
from goldsmith.engine.site import Site
from goldsmith.errors import DbtStopped
from goldsmith.plan.model import Plan


class OpenWriter(OnlyWriter):
    """Keeps nobody out, and notes who writes and whose sessions are ended."""

    def __init__(self, target: DbtTarget) -> None:
        super().__init__(target)
        self.writing: list[str] = []
        """Ids of the tasks that write now."""
        self.wrote: list[str] = []
        self.ended: list[tuple[str, str]] = []
        self.is_lost = False
        self.is_alone: bool | None = None
        """Whether the last task that wrote kept out the others of its run too."""

    @contextmanager
    def held(self, context: Context, task_id: str, *, is_alone: bool = True) -> Iterator[None]:
        """Be the writer at once."""
        assert context["run_id"]
        self.is_alone = is_alone
        self.writing.append(task_id)
        self.wrote.append(task_id)
        try:
            yield
        finally:
            self.writing.remove(task_id)

    def check(self, *, is_last: bool = False) -> None:  # noqa: ARG002 - it is lost whenever it is asked
        """Say so, if the right is lost."""
        if self.is_lost:
            raise DbtStopped("The warehouse has ended the session.")

    def end_sessions(self, run_id: str, task_id: str) -> None:
        """End what a task runs."""
        self.ended.append((run_id, task_id))


@dataclass
class StatedSite(Site):
    """A site of whose run the states are given: without a run, nobody can be asked for them."""

    given: dict[str, str | None] = field(default_factory=dict)

    @cached_property
    def writer(self) -> OpenWriter:
        """There is no warehouse that could keep others out."""
        return OpenWriter(self.target)

    def states(self, _: str, task_ids: list[str] | None = None) -> dict[str, str | None]:
        """The states of all tasks, or of some."""
        return {one: state for one, state in self.given.items() if task_ids is None or one in task_ids}


def site_of(plan: Plan, folder: Path, **values: Any) -> StatedSite:
    """The site of a plan; its results are kept in the folder.

    Args:
        plan: The plan.
        folder: Of the dbt project too, if no other target is given.
        values: Fields that differ from those of a pipeline without limits, `given` for the states of its tasks.
    """
    usual: dict[str, Any] = {
        "load_plan": lambda: plan,
        "target": dbt_target(folder),
        "results_path": str(folder / "results"),
        "failing_rows": 0,
        "run_timeout": timedelta(hours=1),
    }
    return StatedSite(**{**usual, **values})
