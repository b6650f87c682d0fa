"""What is said at the end of a run: the sums, how it ended, and what failed and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.text import Text

from goldsmith.client.causes import Cause, Failure
from goldsmith.client.display import clock, progress_table
from goldsmith.client.failures import SHOWN, print_causes
from goldsmith.client.node_counts import Nodes, count_nodes
from goldsmith.client.progress import Progress
from goldsmith.client.said import Warned
from goldsmith.rest import TaskInstance
from goldsmith.rest.marking import FAILED_NOTE
from goldsmith.wording import counted

SUCCESS, SUCCESS_TOLERATED, FAILED, CANCELLED = "success", "success_tolerated", "failed", "cancelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSummary:
    """A run that has ended."""

    pipeline: str
    url: str
    progress: Progress
    failures: tuple[Failure, ...]
    order: tuple[str, ...]
    """The groups in the order in which they are shown."""
    causes: tuple[Cause, ...] = ()
    """Why it is red; the cause that holds back most comes last."""
    followed: Mapping[str, str] = field(default_factory=dict)
    """Task id to a few words, of the gates and comparisons that are red because of these causes."""
    warnings: tuple[Warned, ...] = ()
    """Tests and sources that are green and warned."""
    tolerated: tuple[Failure, ...] = ()
    """Tasks that failed and that a gate, or a person, has let pass."""
    nodes: Mapping[str, Nodes] = field(default_factory=dict)
    """Task id to its dbt nodes."""
    skipped: Mapping[str, str] = field(default_factory=dict)
    """Task id to why, of tasks that were skipped although the run's selection does not leave them out."""
    alerts: Mapping[str, Any] = field(default_factory=dict)
    """How many messages were `sent`, and which were `not_sent`; empty where the pipeline has no alerts."""
    report: str = ""
    """Where the report's page lies; empty if there is none."""
    report_url: str = ""
    """The run's tab in Airflow that shows it."""
    cancelled_by: str = ""
    """Who set the run to failed; empty for nobody."""

    @property
    def is_success(self) -> bool:
        """Whether the run ended well."""
        return self.progress.run.state == "success"

    @property
    def outcome(self) -> str:
        """How it ended: `success`, `success_tolerated`, `failed` or `cancelled`."""
        if self.is_success:
            return SUCCESS_TOLERATED if self.tolerated or self.progress.total().not_reached else SUCCESS
        return CANCELLED if self.cancelled_by else FAILED

    def to_dict(self) -> dict[str, Any]:
        """The JSON document of `goldsmith run --json`."""
        run, total = self.progress.run, self.progress.total()
        return {
            "pipeline": self.pipeline,
            "run_id": run.run_id,
            "state": run.state,
            "outcome": self.outcome,
            "not_run": total.not_reached,
            "skipped": total.skipped,
            "url": self.url,
            "report": self.report,
            "report_url": self.report_url,
            "started": run.started.isoformat() if run.started else None,
            "ended": run.ended.isoformat() if run.ended else None,
            "seconds": round(self.progress.seconds, 3),
            "note": run.note,
            "groups": [asdict(tally) for tally in self.progress.tallies(self.order)],
            "failures": [asdict(failure) for failure in self.failures],
            "causes": [
                {"tasks": [one.task_id for one in cause.failures], "holds_back": dict(cause.holds_back)}
                for cause in self.causes
            ],
            "followed": list(self.followed),
            "tolerated": [asdict(failure) for failure in self.tolerated],
            "warnings": [asdict(warned) for warned in self.warnings],
            "alerts": dict(self.alerts),
            "tasks": [_task(task) for task in sorted(self.progress.tasks, key=lambda task: task.key)],
        }

    def print_on(self, console: Console) -> None:
        """Print what happened; how the run ended, or why it is red, comes last: next to the prompt."""
        for paragraph in self.progress.run.note.split("\n\n"):
            if paragraph and not paragraph.startswith(FAILED_NOTE):  # why it is red is said below
                _print(console, paragraph, style="yellow")
        self._print_warnings(console)
        self._print_tolerated(console)
        console.print()
        console.print(progress_table(self.progress, self.order, width=console.width))
        console.print()
        if counted := count_nodes(self.progress.tasks, self.nodes):
            _print(console, counted)
        for task_id, why in self.skipped.items():
            _print(console, f"Skipped {task_id}: {why}")
        self._print_alerts(console)
        self._print_report(console)
        console.print(self._verdict(), soft_wrap=True)
        print_causes(self.causes, self.followed, console, pipeline=self.pipeline, url=self.url)

    def _print_warnings(self, console: Console) -> None:
        for warned in self.warnings[:SHOWN]:
            which = f" ({warned.unique_id})" if len(self.nodes.get(warned.task_id, ())) > 1 else ""
            _print(console, f"WARN {warned.task_id}{which}: {warned.message}", style="yellow")
        if len(self.warnings) > SHOWN:
            _print(console, f"... and {len(self.warnings) - SHOWN} more warnings")

    def _print_tolerated(self, console: Console) -> None:
        for failure in self.tolerated[:SHOWN]:
            _print(console, f"TOLERATED {failure.task_id}: {failure.message}", style="yellow")
        if len(self.tolerated) > SHOWN:
            _print(console, f"... and {len(self.tolerated) - SHOWN} more tolerated: {self.url}")

    def _print_alerts(self, console: Console) -> None:
        if self.alerts:
            _print(console, f"{counted(self.alerts['sent'], 'alert message')} sent")
            for lost in self.alerts["not_sent"]:
                _print(console, f"An alert was not sent to {lost}", style="yellow")

    def _print_report(self, console: Console) -> None:
        if self.report:
            # Not wrapped: a person copies them.
            console.print(Text(f"Report: {self.report}"), soft_wrap=True)
            console.print(Text(f"In Airflow: {self.report_url}"), soft_wrap=True)

    def _verdict(self) -> Text:
        """How the run ended, in a line."""
        total, took = self.progress.total(), clock(self.progress.seconds)
        if self.is_success:
            parts = [f"{self.pipeline}: success, {total.done} tasks in {took}"]
            parts += [f"{len(self.tolerated)} failures tolerated"] if self.tolerated else []
        else:
            by = f" by {self.cancelled_by}" if self.cancelled_by else ""
            parts = [f"{self.pipeline}: {self.outcome}{by} after {took}, {total.failed} failed"]
        parts += [f"{total.not_reached} not run"] if total.not_reached else []
        parts += [f"{total.skipped} skipped"] if total.skipped else []
        colour = {SUCCESS: "green", SUCCESS_TOLERATED: "yellow"}.get(self.outcome, "red")
        return Text(", ".join(parts), style=f"bold {colour}")


def _print(console: Console, text: str, *, style: str = "") -> None:
    console.print(Text(text, style=style), soft_wrap=not console.is_terminal)


def _task(task: TaskInstance) -> dict[str, Any]:
    seconds = (task.ended - task.started).total_seconds() if task.started and task.ended else None
    return {
        "task_id": task.task_id,
        "map_index": task.map_index,
        "state": task.state,
        "try_number": task.try_number,
        "seconds": seconds,
    }
