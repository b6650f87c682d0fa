"""Which assets were updated: decided when a gate passed, or a comparison found no difference.

A task that updates assets may run again, when something before it was cleared. It then updates only what was built
since: it keeps in its state store until when it has looked, and what it has held back because a test was red.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import cast

from airflow.sdk import Asset, Context

from goldsmith.engine.access import airflow_api
from goldsmith.engine.asset_memory import Memory
from goldsmith.engine.build_state import BuildState, StateStore
from goldsmith.engine.left_behind import left_by
from goldsmith.engine.site import Site
from goldsmith.errors import GoldsmithError
from goldsmith.gates.outcomes import HARMLESS
from goldsmith.kinds import TEST_KINDS
from goldsmith.plan.graph import States
from goldsmith.plan.model import PlannedNode

log = logging.getLogger(__name__)

_SUCCESS = "success"
_FEW = 10  # assets: Airflow takes 8 ms for each
_IN_A_REQUEST = 1000


def updated_assets(
    site: Site, context: Context, *, updated_by: str, tolerated: frozenset[str] = frozenset()
) -> list[Asset]:
    """The assets of the nodes that were built in this run, and not yet told of by this task.

    Args:
        site: Where they were built.
        context: Of the task that updates them.
        updated_by: Its id.
        tolerated: Unique ids of tests that failed and do not count.

    Returns:
        Those that Airflow has to update when the task has ended; where there are many, others are updated here.
    """
    mine = [node for node in site.graph.plan.nodes if node.updated_by == updated_by]
    nodes = [node for node in mine if node.asset]
    if not nodes:
        return []
    store = cast("StateStore", context["task_state_store"])
    before = Memory.load(store)
    built, build_id = _built(site, context, nodes, before)
    new = {uid for uid, ended in built.items() if ended > before.until or uid in before.held}
    ready = new & _ready([node for node in mine if node.unique_id not in tolerated], site, context["run_id"])
    until = max((before.until, *built.values()))
    Memory(until=until, build_id=build_id, held=frozenset(new - ready)).save(store)
    updated = [Asset(node.asset) for node in nodes if node.unique_id in ready]
    log.info("Updated %d assets", len(updated))
    return updated if len(updated) <= _FEW else _without_told(updated, site, context, updated_by)


def _without_told(assets: list[Asset], site: Site, context: Context, task_id: str) -> list[Asset]:
    """Tell the API server of many assets at once, and leave to Airflow those that it did not take."""
    told: set[str] = set()
    uris = [asset.uri for asset in assets]
    try:
        with airflow_api() as api:
            for start in range(0, len(uris), _IN_A_REQUEST):
                some = uris[start : start + _IN_A_REQUEST]
                told.update(api.update_assets(site.target.dag_id, context["run_id"], task_id, some))
    except GoldsmithError as error:
        log.info("Airflow updates the assets one by one, which takes longer: %s", error)
    return [asset for asset in assets if asset.uri not in told]


def updated_alone(nodes: Iterable[PlannedNode], states: States, *, task_id: str) -> list[Asset]:
    """The assets of nodes that a task has built after the task that updates them had ended well.

    Args:
        nodes: What was built.
        states: States of the run's tasks before.
        task_id: The task that has built them.
    """
    return [
        Asset(node.asset)
        for node in nodes
        if node.asset and (node.updated_by == task_id or states.get(node.updated_by) == _SUCCESS)
    ]


def _built(
    site: Site, context: Context, nodes: list[PlannedNode], before: Memory
) -> tuple[dict[str, datetime], str]:
    """Unique id to when a node was built well in this run, and the id of the build.

    Where no details are kept (workers on machines that share no folder) the build's own word has to do.
    """
    by = nodes[0].build
    build = (left_by(by, context) if by else None) or BuildState(build_id="", max_tries=0)
    lasts = site.results.last(context["run_id"], nodes)
    found: dict[str, datetime] = {}
    good = build.good() if build.build_id != before.build_id else set()
    for node in nodes:
        last = lasts.get(node.unique_id)
        if last is not None and last.is_good and last.ended:
            found[node.unique_id] = datetime.fromisoformat(last.ended)
        elif last is None and node.unique_id in good:
            found[node.unique_id] = context["dag_run"].start_date or datetime.now(UTC)
    return found, build.build_id


def _ready(nodes: Sequence[PlannedNode], site: Site, run_id: str) -> set[str]:
    """Unique ids of nodes whose task is green, and so are the tests among the nodes that read it."""
    states = site.states(run_id)
    red = [node for node in nodes if node.kind in TEST_KINDS and states.get(node.task_id) not in HARMLESS]
    # A task may be red for another one of its nodes.
    shared = [node for node in red if len(site.graph.tasks[node.task_id]) > 1]
    lasts = site.results.last(run_id, shared)
    passed = {uid for uid, last in lasts.items() if last.is_good}
    stale = {before for node in red if node.unique_id not in passed for before in node.upstream}
    return {
        node.unique_id for node in nodes if states.get(node.task_id) == _SUCCESS and node.task_id not in stale
    }
