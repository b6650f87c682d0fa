"""The verdict of a gate, from the states of the tasks before it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PASS = "pass"  # noqa: S105 - a verdict, not a password
BLOCK = "block"
_HARMLESS = {"success", "skipped"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Whether what follows a layer may start, and why not."""

    layer: str
    verdict: str
    """`pass` or `block`."""
    counts: Mapping[str, int]
    """Task state to number of tasks."""
    stopped_by: Mapping[str, str]
    """Task id to state, of the tasks that block."""

    def lines(self) -> list[str]:
        """The verdict as lines of text for the log."""
        total = sum(self.counts.values())
        states = ", ".join(f"{number} {state}" for state, number in sorted(self.counts.items()))
        head = f"Gate after {self.layer}: {self.verdict.upper()} ({total} tasks: {states})"
        width = max((len(task) for task in self.stopped_by), default=0)
        return [head, *(f"  {task:<{width}}  {state}" for task, state in sorted(self.stopped_by.items()))]

    def to_dict(self) -> dict[str, object]:
        """Plain values for XCom."""
        return {
            "layer": self.layer,
            "verdict": self.verdict,
            "counts": dict(self.counts),
            "stopped_by": dict(self.stopped_by),
        }


def judge(layer: str, tasks: tuple[str, ...], states: Mapping[str, str | None]) -> Verdict:
    """Pass when every task of the layer is green or skipped.

    A test of severity warn is green in Airflow when it only warns, so it does not block.

    Args:
        layer: The layer before the gate.
        tasks: Ids of the layer's tasks.
        states: Task id to Airflow state; a missing one counts as not run.
    """
    found = {task: states.get(task) or "not run" for task in tasks}
    stopped_by = {task: state for task, state in found.items() if state not in _HARMLESS}
    counts: dict[str, int] = {}
    for state in found.values():
        counts[state] = counts.get(state, 0) + 1
    return Verdict(layer=layer, verdict=BLOCK if stopped_by else PASS, counts=counts, stopped_by=stopped_by)
