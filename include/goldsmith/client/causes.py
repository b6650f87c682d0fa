"""Why a run is red: which failures are causes, which only follow, what each holds back. No I/O in here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from goldsmith.client.progress import NOT_REACHED, group_of
from goldsmith.dbt.error_class import common_reason
from goldsmith.engine.shared.differences import ONLY_BEFORE, ONLY_FAILED
from goldsmith.gate_rules.base import VERDICT_BLOCK
from goldsmith.gates.verdict import NOT_RUN, Verdict
from goldsmith.plan.graph import PlanGraph
from goldsmith.plan.model import Plan
from goldsmith.rest import TaskInstance


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """Failures of one cause, and what did not run because of them."""

    failures: tuple[Failure, ...]
    holds_back: Mapping[str, int]
    """Group of tasks to the number of its tasks that did not run."""

    @property
    def held(self) -> int:
        """How many tasks it holds back."""
        return sum(self.holds_back.values())


def causes(
    failures: Iterable[Failure], followed: Mapping[str, str], tasks: Sequence[TaskInstance], plan: Plan | None
) -> tuple[Cause, ...]:
    """The causes of a red run; the one that holds back most comes last.

    Args:
        failures: All that failed, in the order in which they ended.
        followed: Ids of those that only follow.
        tasks: The tasks of the run.
        plan: The pipeline's plan; without one nothing is known of what is held back.
    """
    alike: dict[str, list[Failure]] = {}
    for one in failures:
        if one.task_id not in followed:
            alike.setdefault(_reason(one), []).append(one)
    graph = PlanGraph(plan) if plan else None
    not_run = {task.task_id for task in tasks if task.state in NOT_REACHED}
    found = []
    for ones in alike.values():
        held = graph.behind(one.task_id for one in ones) & not_run if graph else set()
        found.append(Cause(failures=tuple(ones), holds_back=_by_group(held, plan)))
    found.reverse()  # of those that hold back as much, what failed first is more likely the cause
    return tuple(sorted(found, key=lambda cause: cause.held))


def followers(
    failures: Sequence[Failure],
    tasks: Sequence[TaskInstance],
    plan: Plan | None,
    verdicts: Mapping[str, Verdict],
) -> dict[str, str]:
    """Task id to a few words, of the gates and comparisons that are red for what other tasks have failed of.

    Args:
        failures: All that failed.
        tasks: The tasks of the run.
        plan: The pipeline's plan.
        verdicts: Task id of each red gate to its verdict, if it gave one.
    """
    if plan is None:
        return {}
    graph = PlanGraph(plan)
    judges = {gate.task_id for gate in plan.gates} | {build.reconcile_id for build in plan.builds}
    others = {one.task_id for one in failures} - judges
    after_build = _began_after_a_failed_build(tasks, plan)
    found: dict[str, str] = {}
    for one in failures if others else ():
        verdict = verdicts.get(one.task_id)
        if one.task_id not in judges:
            continue
        if verdict and _only_follows(verdict, graph, others):
            found[one.task_id] = _limits(verdict)
        elif one.task_id in after_build or ONLY_FAILED in one.message or ONLY_BEFORE in one.message:
            found[one.task_id] = ""
    return found


def _only_follows(verdict: Verdict, graph: PlanGraph, failed: set[str]) -> bool:
    """Whether each limit that blocks is passed by nodes whose failure is shown by itself."""
    blocking = [rule for rule in verdict.rules if rule.outcome == VERDICT_BLOCK and rule.rule != NOT_RUN]
    return all(
        rule.nodes and all(graph.task_of.get(node, node) in failed for node in rule.nodes)
        for rule in blocking
    )


def _limits(verdict: Verdict) -> str:
    blocking = (rule for rule in verdict.rules if rule.outcome == VERDICT_BLOCK and rule.rule != NOT_RUN)
    return "; ".join(f"{rule.rule} {rule.shown}, {rule.allowed}" for rule in blocking)


def _began_after_a_failed_build(tasks: Sequence[TaskInstance], plan: Plan) -> set[str]:
    builds = {build.task_id for build in plan.builds}
    ends = [task.ended for task in tasks if task.state == "failed" and task.task_id in builds and task.ended]
    return {task.task_id for task in tasks if ends and task.started and task.started >= min(ends)}


def _reason(failure: Failure) -> str:
    message = failure.message.removeprefix(f"{failure.unique_id}: ")
    return common_reason(message) or f"{failure.task_id} {failure.map_index}"


def _by_group(task_ids: Iterable[str], plan: Plan | None) -> dict[str, int]:
    """Group to its number of tasks; the layers come in their order, before the other groups."""
    counts = Counter(map(group_of, task_ids))
    layers = list(plan.layers) if plan else []
    return {
        group: counts[group] for group in [*layers, *sorted(counts.keys() - set(layers))] if counts[group]
    }
