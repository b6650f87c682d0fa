"""What a run with a selection does with each node, and why; for people and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rich.table import Table
from rich.text import Text

from goldsmith.plan.model import Plan, PlannedNode

RUN, SKIP = "run", "skip"
INGEST = "ingest"
_SKIPPED_SHOWN = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A node or an ingest, and what a run would do with it."""

    task_id: str
    unique_id: str
    """dbt's; of an ingest, its source as `schema.table`."""
    kind: str
    """dbt's resource type, or `ingest`."""
    layer: str
    action: str
    """`run` or `skip`."""
    why: str
    seconds: float | None
    """How long dbt took the last time; None where it is not known."""


def explained(
    plan: Plan,
    tasks: Collection[str],
    chosen: Collection[str],
    *,
    lasted: Mapping[str, float],
    loads: Mapping[str, bool] | None = None,
) -> list[Choice]:
    """Say of each node of a plan what a run does with it.

    Args:
        plan: The pipeline's plan.
        tasks: Ids of the tasks that run.
        chosen: Unique ids that dbt has chosen.
        lasted: Unique id to seconds of the last time.
        loads: Source to whether the run loads its raw file.
    """

    def why(node: PlannedNode) -> str:
        if node.unique_id in chosen:
            return "selected"
        return "shares a task with what is selected" if node.task_id in tasks else "not selected"

    return _loaded(loads or {}) + [
        Choice(
            task_id=node.task_id,
            unique_id=node.unique_id,
            kind=node.kind.replace("_", " "),
            layer=node.layer,
            action=RUN if node.task_id in tasks else SKIP,
            why=why(node),
            seconds=lasted.get(node.unique_id),
        )
        for node in plan.nodes
    ]


def _loaded(loads: Mapping[str, bool]) -> list[Choice]:
    return [
        Choice(
            task_id=f"{INGEST}.{source.rpartition('.')[2]}",
            unique_id=source,
            kind=INGEST,
            layer=INGEST,
            action=RUN if is_loaded else SKIP,
            why="its source is selected" if is_loaded else "its source is not selected (--ingest loads it)",
            seconds=None,
        )
        for source, is_loaded in loads.items()
    ]


def choices_table(choices: Iterable[Choice]) -> Table:
    """The nodes that would be built, then those that would be skipped; of many of these the first."""
    found = list(choices)
    runs = [one for one in found if one.action == RUN]
    skips = [one for one in found if one.action == SKIP]
    table = Table(box=None, pad_edge=False)
    table.add_column("task", overflow="fold")
    for head in ("kind", "", "why"):
        table.add_column(head)
    table.add_column("last time", justify="right")
    for one in (*runs, *skips[:_SKIPPED_SHOWN]):
        seconds = "" if one.seconds is None else f"{one.seconds:.1f} s"
        style = "" if one.action == RUN else "dim"
        table.add_row(Text(one.task_id), one.kind, one.action, Text(one.why), seconds, style=style)
    if more := Counter(one.layer for one in skips[_SKIPPED_SHOWN:]):
        layers = ", ".join(f"{number} in {layer}" for layer, number in more.items())
        table.add_row(f"and {more.total()} more: {layers}", "", SKIP, "", "", style="dim")
    known = [one.seconds for one in runs if one.seconds is not None]
    total = f"{sum(known):.1f} s" if known else ""
    table.add_row(f"{len(runs)} run, {len(skips)} are skipped", "", "", "", total, style="bold")
    return table


def choices_listing(plan: Plan, choices: Iterable[Choice]) -> dict[str, Any]:
    """The JSON document of `goldsmith plan --select ... --json`."""
    return {
        "pipeline": plan.pipeline,
        "nodes": [
            {
                "unique_id": one.unique_id,
                "task_id": one.task_id,
                "action": one.action,
                "why": one.why,
                "seconds": one.seconds,
            }
            for one in choices
            if one.kind != INGEST
        ],
        "ingest": [
            {"source": one.unique_id, "task_id": one.task_id, "action": one.action, "why": one.why}
            for one in choices
            if one.kind == INGEST
        ],
    }
