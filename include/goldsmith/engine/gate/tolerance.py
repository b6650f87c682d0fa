"""What of a run's red tasks was let pass: from the verdicts of its gates, and dbt's word on what failed."""

from __future__ import annotations

from collections.abc import Iterable

from airflow.sdk import Context

from goldsmith.engine.left_behind import left_by
from goldsmith.engine.site import Site
from goldsmith.gates.outcomes import LetPass, outcomes, stale_sources, tolerated_tasks
from goldsmith.gates.verdict import Verdict
from goldsmith.plan.graph import PlanGraph, States
from goldsmith.plan.model import PlannedNode


def tolerated_in_run(site: Site, context: Context, states: States) -> set[str]:
    """Ids of the red tasks of a run that do not make it red.

    Args:
        site: Where it runs.
        context: Of the task that asks.
        states: Of all tasks of the run.
    """
    if not site.can_tolerate:
        return set()
    graph = site.graph
    found = outcomes(graph.tasks, states, statuses_of(site, context, in_doubt(graph, states)))
    let_pass = let_pass_in_run(site, context)
    if site.freshness == "skip":
        let_pass |= LetPass(nodes=frozenset(stale_sources(graph, found)))
    return tolerated_tasks(graph, states, found, let_pass)


def let_pass_in_run(site: Site, context: Context, *, before: str = "") -> LetPass:
    """What the gates of a run have let pass.

    Args:
        site: Where it runs.
        context: Of the task that asks.
        before: Only what the gates before this layer's have.
    """
    found = LetPass()
    for gate in site.graph.plan.gates:
        if gate.layer == before:
            break
        if site.can_tolerate and (values := context["ti"].xcom_pull(task_ids=gate.task_id)):
            found |= Verdict.from_dict(values).let_pass
    return found


def in_doubt(graph: PlanGraph, states: States) -> list[PlannedNode]:
    """The nodes of failed tasks of which only dbt can say what failed: one of several, or a source."""
    return [
        node
        for task, nodes in graph.tasks.items()
        if states.get(task) == "failed" and (len(nodes) > 1 or nodes[0].kind == "source")
        for node in nodes
    ]


def statuses_of(site: Site, context: Context, nodes: Iterable[PlannedNode]) -> dict[str, str]:
    """Unique id to dbt's last status, from the details of the nodes, else from what their build left behind."""
    wanted = {node.unique_id: node for node in nodes}
    found: dict[str, str] = {}
    for build in sorted({node.build for node in wanted.values()} - {""}):
        try:
            left = left_by(build, context)
        except ValueError:
            left = None
        found |= left.statuses if left else {}
    lasts = site.results.last(context["run_id"], wanted.values()) if wanted else {}
    known = found | {uid: last.status for uid, last in lasts.items()}
    return {uid: known[uid] for uid in wanted if uid in known}
