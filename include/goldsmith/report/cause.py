"""Why a run is red, in two lines: for the note on the run. No I/O in here."""

from __future__ import annotations

from goldsmith.plan.graph import PlanGraph
from goldsmith.report.facts import NODE_BAD, NODE_HELD, NodeFacts, RunFacts
from goldsmith.wording import counted

_LETTERS = 400  # of a message


def cause_of(run: RunFacts) -> str:
    """What failed and why, of the failure that holds back most; empty for a run that is not red.

    Args:
        run: The run.
    """
    if not run.is_red:
        return ""
    failed = [one for one in run.nodes if one.condition == NODE_BAD and not one.is_tolerated]
    held = sum(one.condition == NODE_HELD for one in run.nodes)
    behind = f"; {counted(held, 'node')} held back" if held else ""
    if failed:
        first = _first(failed, run.graph)
        more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
        return f"{first.node.task_id}{more}{behind}\n{_short(first.record.message if first.record else '')}".strip()
    for layer in run.layers:
        if layer.stopped_by:
            return f"the gate after {layer.name} blocks{behind}"
    if run.red_tasks:
        task = run.red_tasks[0]
        more = f", and {len(run.red_tasks) - 1} more" if len(run.red_tasks) > 1 else ""
        return f"{task}{more}{behind}\n{_short(run.reasons.get(task, ''))}".strip()
    return f"no node failed{behind}"


def _first(failed: list[NodeFacts], graph: PlanGraph) -> NodeFacts:
    """The one behind which most tasks wait; of several, the first in the order of the layers."""
    return max(failed, key=lambda one: len(graph.behind([one.node.task_id])))


def _short(message: str) -> str:
    """Without empty lines, and cut."""
    text = "\n".join(line for line in message.splitlines() if line.strip())
    return text if len(text) <= _LETTERS else f"{text[: _LETTERS - 1]}…"
