"""The verdict on a layer that is all green, given by its build: the gate's own task need not run then.

A gate's task costs a second between two layers: a process, and a turn of the scheduler before and after it. Where a
build has built every node of its layer well, the verdict is certain: what a task of the gate would find, the build
knows. It sends the verdict with its last marks, and Airflow's API server sets the gate to success in the same
transaction, if there every judged task is green or skipped. In any other case, and after any clear, the task judges.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from goldsmith.engine.asset_memory import EARLIEST, KEY, Memory
from goldsmith.engine.build_state import BuildState
from goldsmith.engine.shared.marks import Marker, must_run
from goldsmith.engine.site import Site
from goldsmith.gate_rules.base import VERDICT_PASS
from goldsmith.gates.outcomes import HARMLESS
from goldsmith.gates.verdict import Case, Verdict, judge
from goldsmith.plan.graph import States
from goldsmith.plan.model import PlannedGate
from goldsmith.spec.gate import Gate

_GREEN = "success"


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlyVerdict:
    """A verdict that passes a layer, and all that the gate's task would do with it."""

    gate: PlannedGate
    verdict: Verdict
    assets: tuple[str, ...]
    """URIs of what was built."""
    memory: Memory
    """What the gate's task has to know of that if it is cleared later."""

    def to_request(self, dag_id: str, run_id: str) -> dict[str, Any]:
        """Plain values for the API server; the verdict as this Airflow's XCom backend keeps it."""
        from airflow.sdk.execution_time.xcom import XCom

        task_id = self.gate.task_id
        ids = {"key": "return_value", "task_id": task_id, "dag_id": dag_id, "run_id": run_id}
        return {
            "task_id": task_id,
            "judged": list(_before(self.gate)),
            "verdict": XCom.serialize_value(self.verdict.to_dict(), **ids),
            "assets": list(self.assets),
            "memory": {KEY: self.memory.to_dict()} if self.assets else {},
        }


def early_verdict(
    site: Site, build: str, *, states: States, state: BuildState, marker: Marker
) -> EarlyVerdict | None:
    """Judge the layer of a build as if its good nodes were marked already.

    Args:
        site: Where it was built.
        build: Id of the build's task.
        states: Of all tasks of the run, when the build began.
        state: What became of the nodes of the build, all of them in this try.
        marker: Knows when each was built.

    Returns:
        The verdict; None if only the gate's task can give it.
    """
    gate = _gate_after(site, build)
    if gate is None or states.get(gate.task_id, "removed") is not None or site.graph.unknown(states):
        return None
    # What the last marks show as green.
    marked = {task for task in site.graph.whole(state.good()) if not must_run(site.graph.tasks[task])}
    done = _when_done(gate, states, marked)
    if done is None:
        return None
    case = Case(
        gate=gate,
        limits=site.gates.get(gate.layer, Gate()),
        graph=site.graph,
        states=done,
        statuses={},
        skips_stale=site.freshness == "skip",
    )
    verdict = judge(case)
    if verdict.verdict != VERDICT_PASS or verdict.failed or verdict.held_back:
        return None
    updated = _assets(site, gate, state, marker, marked)
    if updated is None:
        return None
    return EarlyVerdict(gate=gate, verdict=verdict, assets=updated[0], memory=updated[1])


def _gate_after(site: Site, build: str) -> PlannedGate | None:
    """The gate of a build's layer, if nothing has to be measured for its verdict."""
    plan = site.graph.plan
    layers = [one.name for one in plan.builds if one.task_id == build]
    for gate in plan.gates:
        if gate.layer in layers:
            limits = site.gates.get(gate.layer, Gate())
            return None if limits.measured or limits.asks_dbt else gate
    return None


def _before(gate: PlannedGate) -> dict[str, None]:
    """Ids of the tasks that the gate judges, and of those that it waits for, seeds outside the layers for one."""
    return dict.fromkeys((*gate.judged, *gate.upstream))


def _when_done(gate: PlannedGate, states: States, marked: Collection[str]) -> dict[str, str] | None:
    """Task id to state when the last marks are made; None if one of the tasks would not be green or skipped."""
    found: dict[str, str] = {}
    for task in _before(gate):
        if task in marked:
            found[task] = _GREEN
        elif (known := states.get(task)) in HARMLESS:
            found[task] = str(known)
        else:
            return None
    return found


def _assets(
    site: Site, gate: PlannedGate, state: BuildState, marker: Marker, marked: set[str]
) -> tuple[tuple[str, ...], Memory] | None:
    """What the gate updates; None if it is not known of each when it was built.

    Also seeds and snapshots outside the layers, which the gate does not judge: an asset is updated only if its tests
    have passed, so all that was built has to be good.
    """
    good = state.good()
    nodes = [node for node in site.graph.plan.nodes if node.updated_by == gate.task_id and node.asset]
    built = [node for node in nodes if node.unique_id in good]
    ended = [marker.times.get(node.task_id, ("", ""))[1] for node in built]
    if (
        not all(ended)
        or not good >= state.statuses.keys()
        or not marked.issuperset(node.task_id for node in built)
    ):
        return None
    until = max(map(datetime.fromisoformat, ended), default=EARLIEST)
    memory = Memory(until=until, build_id=state.build_id, held=frozenset())
    return tuple(node.asset for node in built), memory
