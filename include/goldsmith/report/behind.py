"""What a failure holds back: the nodes that did not run because of it, through gates and builds. No I/O in here."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from goldsmith.gate_rules.base import VERDICT_PASS, VERDICT_WARN
from goldsmith.report.facts import NODE_HELD, NODE_IDLE, NodeFacts, RunFacts
from goldsmith.results.record import SKIPPED

_OPEN = (VERDICT_PASS, VERDICT_WARN, "success", SKIPPED, "")
_INGEST = "ingest."


@dataclass(frozen=True, kw_only=True, slots=True)
class Behind:
    """The nodes that did not run because of a failure."""

    names: tuple[str, ...]
    """Of all that are no tests, models first; those that are nearest come first."""
    tests: int
    layers: tuple[tuple[str, int], ...]
    """Layer to number of nodes, in the order of the layers."""
    gates: tuple[str, ...]
    """The layers whose gates block because of it, and keep something from running."""

    @property
    def total(self) -> int:
        """The number of nodes."""
        return len(self.names) + self.tests


class Holding:
    """Finds what failures of a run hold back.

    Args:
        run: The run.
    """

    def __init__(self, run: RunFacts) -> None:
        self._run = run
        self._graph = run.graph
        self._nodes: dict[str, list[NodeFacts]] = defaultdict(list)
        for node in run.nodes:
            self._nodes[node.node.task_id].append(node)
        self._children: dict[str, list[str]] = defaultdict(list)
        for task_id, parents in run.graph.parents.items():
            for before in parents:
                self._children[before].append(task_id)
        gates = {layer.name: layer.gate for layer in run.layers}
        self._open = {gate.task_id for gate in run.graph.plan.gates if gates.get(gate.layer, "") in _OPEN}

    def behind(self, task_ids: Iterable[str]) -> Behind:
        """What these failed tasks hold back together.

        Args:
            task_ids: Of nodes, of builds, or of an ingest.
        """
        seen = self._reached({one for task_id in task_ids for one in self._known(task_id)})
        ordered = sorted(seen & self._nodes.keys(), key=self._graph.position.__getitem__)
        held = [node for one in ordered for node in self._nodes[one] if _is_held(node)]
        things = sorted((one.node for one in held if not one.is_test), key=lambda node: node.kind != "model")
        counts = Counter(one.node.layer for one in held)
        return Behind(
            names=tuple(node.name for node in things),
            tests=len(held) - len(things),
            layers=tuple((one.name, counts[one.name]) for one in self._run.layers if counts[one.name]),
            gates=tuple(
                gate.layer
                for gate in self._graph.plan.gates
                if gate.task_id in seen and not seen.isdisjoint(self._children[gate.task_id])
            ),
        )

    def _known(self, task_id: str) -> list[str]:
        """The task, or of one in the middle of an ingest those of its tasks that others wait for."""
        if task_id in self._children or not task_id.startswith(_INGEST):
            return [task_id]
        group = ".".join(task_id.split(".")[:2]) + "."
        return [one for one in self._children if one.startswith(group)]

    def _reached(self, start: set[str]) -> set[str]:
        seen: set[str] = set()
        ahead = list(start)
        while ahead:
            for one in self._children.get(ahead.pop(), ()):
                if one not in seen and one not in start and self._passes_on(one):
                    seen.add(one)
                    ahead.append(one)
        return seen

    def _passes_on(self, task_id: str) -> bool:
        """Whether what holds back a task holds back what waits for it too."""
        if task_id in self._nodes:
            return any(map(_is_held, self._nodes[task_id]))
        return task_id not in self._open  # a build does if its gate does: its nodes say it


def _is_held(facts: NodeFacts) -> bool:
    """Whether a node did not run, although it was to run."""
    return facts.condition == NODE_HELD or (facts.condition == NODE_IDLE and facts.state != SKIPPED)
