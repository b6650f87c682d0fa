"""Whether Airflow, dbt and the warehouse say the same about the nodes of a build.

The comparison is a task of its own. Where all is green its build compares instead, as the last thing it does, and sets
that task to success: a task's process and two turns of the scheduler less for each layer. Whatever the build finds
amiss is left to the task, and after any clear the task compares.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from goldsmith.engine.access import airflow_api
from goldsmith.engine.build_state import BuildState
from goldsmith.engine.shared.differences import SaidAboutNode, differences, expected_kind
from goldsmith.engine.site import Site
from goldsmith.engine.task_dbt import warehouse_for
from goldsmith.plan.graph import States
from goldsmith.plan.model import PlannedNode
from goldsmith.plan.stages import reconcile_id

log = logging.getLogger(__name__)

_GREEN = "success"
AGREED = "%d nodes: Airflow, dbt and the warehouse agree"


def said_about(
    site: Site,
    run_id: str,
    *,
    states: States,
    mine: Sequence[PlannedNode],
    build: BuildState | None,
    chosen: Collection[str] | None = None,
) -> dict[str, SaidAboutNode]:
    """What Airflow and dbt say about nodes, by unique id; the warehouse is not asked.

    Args:
        site: Where they were built.
        run_id: The run.
        states: Task id to state.
        mine: The nodes.
        build: What their build has left behind; None where that is nothing.
        chosen: Ids of the tasks that the run is about; None for all.
    """
    found = {}
    lasts = site.results.last(run_id, mine)
    statuses = build.statuses if build else {}
    built = {node.task_id for node in mine if node.unique_id in statuses}
    for node in mine:
        last, known = lasts.get(node.unique_id), statuses.get(node.unique_id, "")
        # A build says something about all nodes of a task: this one came into the manifest after it.
        is_late = not last and not known and node.task_id in built
        found[node.unique_id] = SaidAboutNode(
            node=node,
            state="removed" if is_late else states.get(node.task_id, "removed"),
            status=last.status if last else known,
            relation=last.relation if last else "",
            kind="",
            is_kept=last is not None,
            is_left_out=chosen is not None and node.task_id not in chosen,
        )
    return found


def with_kinds(
    site: Site, run_id: str, task_id: str, said: Mapping[str, SaidAboutNode]
) -> dict[str, SaidAboutNode]:
    """Add what the warehouse has, asked in one go.

    Args:
        site: Where the nodes were built.
        run_id: The run.
        task_id: The task that asks.
        said: What Airflow and dbt say, by unique id.

    Raises:
        EnvironmentProblem: It could not be asked.
    """
    asked = {
        uid: one.relation
        for uid, one in said.items()
        if one.relation and one.state == _GREEN and expected_kind(one.node)
    }
    relations = list(dict.fromkeys(asked.values()))
    kinds = warehouse_for(site, run_id, task_id).relation_kinds(relations) if relations else {}
    return {
        uid: replace(one, kind=kinds.get(one.relation, "")) if uid in asked else one
        for uid, one in said.items()
    }


def compare_early(site: Site, run_id: str, build: str, state: BuildState, *, try_number: int) -> None:
    """Set the task that compares to success if it would find all green and nothing amiss; never a reason to fail.

    To be called as the last thing that the build does. What becomes of it afterwards only the task could notice: so
    Airflow's API server looks whether it still runs, and whether all before it is still green.

    Args:
        site: Where the nodes were built.
        run_id: The run.
        build: Id of the build's task, whose layer has its verdict.
        state: What became of its nodes.
        try_number: The build's try.
    """
    began, compares = datetime.now(UTC), reconcile_id(build)
    mine = site.graph.built_by(build)
    if any(node.asset and node.updated_by == compares for node in mine):
        return
    try:
        if not _is_agreed(site, run_id, build, mine, state):
            return
        compared = {
            "task_id": compares,
            "build": build,
            "try_number": try_number,
            "green": _until(site, build),
            "started": began.isoformat(),
            "ended": datetime.now(UTC).isoformat(),
        }
        with airflow_api() as api:
            is_set = api.mark_compared(site.target.dag_id, run_id, compared)
    except Exception as error:  # noqa: BLE001 - Airflow's errors share no base, and all nodes are built
        log.info("The comparison is left to %s: %s: %s", compares, type(error).__name__, error)
        return
    if is_set:
        log.info(AGREED, len(mine))


def _until(site: Site, build: str) -> list[str]:
    """Ids of the tasks of this build's nodes, and of earlier ones: built again, they may take relations with them."""
    builds = [one.task_id for one in site.graph.plan.builds]
    before = builds[: builds.index(build) + 1]
    return list(dict.fromkeys(node.task_id for one in before for node in site.graph.built_by(one)))


def _is_agreed(site: Site, run_id: str, build: str, mine: Sequence[PlannedNode], state: BuildState) -> bool:
    """Whether each task is green, and what dbt said and the warehouse has is as it should be."""
    states = site.states(run_id, [node.task_id for node in mine])
    if any(states.get(node.task_id) != _GREEN for node in mine):
        return False
    said = said_about(site, run_id, states=states, mine=mine, build=state)
    if any(one.is_unkept or one.is_unplaced for one in said.values()):
        return False
    return not differences(with_kinds(site, run_id, build, said))
