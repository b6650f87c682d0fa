"""`goldsmith plan --select`: what a run with a selection would build, and how long that took the last time."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from goldsmith.dbt.listing import LIST, manifest_to_compare, read_listing, selection_arguments
from goldsmith.dbt.project import DbtProject, dbt_command, dbt_environment
from goldsmith.errors import ConfigurationError, SelectionError
from goldsmith.plan.chosen import chosen_tasks
from goldsmith.plan.model import Plan, PlannedNode
from goldsmith.spec.run import RunOptions

RUN, SKIP = "run", "skip"
_LATER = "result:"


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A node, and what a run would do with it."""

    node: PlannedNode
    action: str
    """`run` or `skip`."""
    why: str
    seconds: float | None
    """How long dbt took the last time; None where it is not known."""


def is_known_before(options: RunOptions) -> bool:
    """Whether the selection can be resolved before the run: not, where it means the results of the run before."""
    return not any(_LATER in term for term in (*options.select, *options.exclude))


def choose_nodes(
    plan: Plan,
    project: DbtProject,
    options: RunOptions,
    *,
    target: str,
    compared_with: Path | None,
    lasted: Mapping[str, float],
) -> list[Choice]:
    """Ask dbt what a selection means.

    Args:
        plan: The pipeline's plan.
        project: Its dbt project.
        options: What is asked of the run.
        target: dbt target.
        compared_with: The manifest that `state:` means.
        lasted: Unique id to seconds of the last time.

    Raises:
        SelectionError: The selection means nothing; names what is meant most likely.
        ConfigurationError: dbt cannot say it.
    """
    if not is_known_before(options):
        raise SelectionError(
            "`result:` means the results of the run before: Airflow has them.",
            hint="goldsmith run --dry-run --select …",
        )
    chosen = _chosen(project, options, target=target, compared_with=compared_with)
    tasks = chosen_tasks(plan, chosen[0], unmatched=chosen[1], select=options.select)
    return [
        Choice(
            node=node,
            action=RUN if node.task_id in tasks else SKIP,
            why=_why(node, tasks, chosen[0]),
            seconds=lasted.get(node.unique_id),
        )
        for node in plan.nodes
    ]


def choices_table(choices: Iterable[Choice]) -> Table:
    """The nodes that would be built, and how many not, for people."""
    found = list(choices)
    runs = [one for one in found if one.action == RUN]
    table = Table(box=None, pad_edge=False)
    for head in ("task", "kind", "why"):
        table.add_column(head, overflow="fold")
    table.add_column("last time", justify="right")
    for one in runs:
        seconds = "" if one.seconds is None else f"{one.seconds:.1f} s"
        table.add_row(Text(one.node.task_id), one.node.kind.replace("_", " "), Text(one.why), seconds)
    known = [one.seconds for one in runs if one.seconds is not None]
    total = f"{sum(known):.1f} s" if known else ""
    table.add_row(f"{len(runs)} run, {len(found) - len(runs)} are skipped", "", "", total, style="bold")
    return table


def choices_listing(plan: Plan, choices: Iterable[Choice]) -> dict[str, Any]:
    """The JSON document of `goldsmith plan --select ... --json`."""
    return {
        "pipeline": plan.pipeline,
        "nodes": [
            {
                "unique_id": one.node.unique_id,
                "task_id": one.node.task_id,
                "action": one.action,
                "why": one.why,
                "seconds": one.seconds,
            }
            for one in choices
        ],
    }


def _chosen(
    project: DbtProject, options: RunOptions, *, target: str, compared_with: Path | None
) -> tuple[frozenset[str], tuple[str, ...]]:
    selection = selection_arguments(options.select, options.exclude)
    terms = (*options.select, *options.exclude)
    manifest = manifest_to_compare(compared_with) if any("state:" in term for term in terms) else None
    flags = ["--log-format", "json", "--log-level", "debug", "--log-level-file", "none"]
    with tempfile.TemporaryDirectory() as folder:
        there = ["--target", target, "--target-path", str(Path(folder) / "target")]
        if manifest:
            shutil.copyfile(manifest, Path(folder) / "manifest.json")
            there += ["--state", folder]
        command = [*dbt_command(), *flags, *LIST, *selection, *there]
        done = subprocess.run(
            command, cwd=project.path, env=dbt_environment(), capture_output=True, text=True, check=False
        )
    found = read_listing(done.stdout.splitlines())
    if done.returncode != 0:
        raise ConfigurationError(
            "dbt cannot say what the selection means:\n" + "\n".join([*found.errors, done.stderr][-12:]),
            hint=f"Try it yourself: cd {project.path} && dbt ls {' '.join(selection)}",
        )
    return found.unique_ids, found.unmatched


def _why(node: PlannedNode, tasks: frozenset[str], unique_ids: frozenset[str]) -> str:
    if node.unique_id in unique_ids:
        return "selected"
    return "shares a task with what is selected" if node.task_id in tasks else "not selected"
