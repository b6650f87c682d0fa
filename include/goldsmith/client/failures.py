"""The failures at the end of a run, as a person reads them: each reason once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.text import Text

from goldsmith.dbt.error_class import shared_reason
from goldsmith.plan.model import Plan
from goldsmith.rest import TaskInstance
from goldsmith.wording import some

SHOWN = 10
"""Failures that are printed in full."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A task that failed, and why."""

    task_id: str
    map_index: int
    unique_id: str
    """dbt's name of the node; empty for what is no dbt node."""
    try_number: int
    message: str
    url: str
    again: str
    """The command that runs it again, with what depends on it; empty for a gate."""


def print_failures(
    failures: Iterable[Failure], followed: Sequence[str], console: Console, *, pipeline: str, url: str
) -> None:
    """Print why tasks failed: those of one reason together, and by name those that failed in consequence.

    Args:
        failures: All that failed.
        followed: Ids of those that failed because a build had failed.
        console: Where to.
        pipeline: The pipeline.
        url: Of the run in Airflow.
    """
    alike = _alike(one for one in failures if one.task_id not in followed)
    for some_alike in alike[:SHOWN]:
        _print_alike(some_alike, console, again=f"goldsmith run {pipeline} --failed")
    if more := sum(map(len, alike[SHOWN:])):
        console.print(f"... and {more} more failures: {url}", highlight=False)
    if followed:
        console.print(f"\nFailed in consequence: {some(followed, SHOWN)}", highlight=False)


def followed_a_build(failed: Sequence[TaskInstance], plan: Plan | None) -> tuple[str, ...]:
    """Ids of the gates and comparisons that began after a build had failed.

    Args:
        failed: The tasks that failed, in the order in which they ended.
        plan: The pipeline's plan.
    """
    builds = {one.task_id: one.reconcile_id for one in plan.builds} if plan else {}
    ends = [task.ended for task in failed if task.task_id in builds and task.ended]
    after = {*builds.values(), *(gate.task_id for gate in plan.gates)} if plan else set()
    return tuple(
        task.task_id
        for task in failed
        if ends and task.task_id in after and task.started and task.started >= min(ends)
    )


def _alike(failures: Iterable[Failure]) -> list[list[Failure]]:
    """The failures, those together whose reason is no node's own: a right that many nodes lack."""
    found: dict[str, list[Failure]] = {}
    for one in failures:
        message = one.message.removeprefix(f"{one.unique_id}: ")
        found.setdefault(shared_reason(message) or f"{one.task_id} {one.map_index}", []).append(one)
    return list(found.values())


def _print_alike(failures: Sequence[Failure], console: Console, *, again: str) -> None:
    """Print why tasks failed, in the words of the first one.

    Args:
        failures: The tasks.
        console: Where to.
        again: The command that runs them again if they are several of the pipeline's last run.
    """
    failure = failures[0]
    index = f"[{failure.map_index}]" if failure.map_index >= 0 else ""
    console.print()
    console.print(Text(f"FAILED {failure.task_id}{index}", style="bold red"))
    console.print(Text("\n".join(f"  {line}" for line in failure.message.splitlines()[:20])), soft_wrap=True)
    if others := [one.task_id for one in failures[1:]]:
        console.print(Text(f"  for the same reason: {some(others, SHOWN)}"), soft_wrap=True)
    console.print(Text(f"  log: {failure.url}", style="dim"), soft_wrap=True)
    if failure.again:
        again = again if others and " --run " not in failure.again else failure.again
        console.print(Text(f"  again: {again}", style="dim"), soft_wrap=True)
