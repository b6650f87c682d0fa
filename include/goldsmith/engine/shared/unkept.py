"""Nodes that were built, and dbt's result names no relation or is not kept: `dbt ls` says where they are."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from airflow.sdk import Context

from goldsmith.dbt.listing import LIST_RELATIONS
from goldsmith.engine.shared.differences import expected_kind
from goldsmith.engine.shared.left_out import list_nodes, options_of
from goldsmith.engine.site import Site
from goldsmith.engine.task_dbt import dbt_workspace
from goldsmith.errors import EnvironmentProblem, GoldsmithError
from goldsmith.plan.model import PlannedNode
from goldsmith.wording import some

log = logging.getLogger(__name__)

_SHOWN = 10
_SAID = 12  # lines


def relations_of(
    site: Site, context: Context, task_id: str, nodes: Sequence[PlannedNode]
) -> Mapping[str, str]:
    """Unique id to the name of its relation, as `dbt ls` says it for the run's target.

    Args:
        site: Where the nodes were built.
        context: Of the task that asks.
        task_id: The task that asks.
        nodes: The nodes; dbt is not asked if there are none.
    """
    if not nodes:
        return {}
    unique_ids = [node.unique_id for node in nodes]
    log.warning(
        "dbt built %d nodes whose results name no relation, or are not kept. `dbt ls` is asked for their relations.",
        len(nodes),
    )
    try:
        with dbt_workspace(site, context["run_id"], task_id, options_of(context, site)) as space:
            found, code = list_nodes(space, space.command(LIST_RELATIONS, unique_ids))
        if code != 0:
            raise EnvironmentProblem(f"dbt ls ended with code {code}: " + "\n".join(found.errors[-_SAID:]))
    except GoldsmithError as error:
        log.warning("dbt could not say it: %s", error)
        return {}
    return found.relations


def without_details(nodes: Sequence[PlannedNode], compared: Mapping[str, str], *, path: str) -> str:
    """Why the run is red although nothing else is wrong: what dbt said about its nodes is lost.

    Args:
        nodes: The nodes that dbt built and of which nothing is kept.
        compared: Unique id to relation, of those that were compared with the warehouse all the same.
        path: The results path.
    """
    built = [node for node in nodes if expected_kind(node)]
    left = [node.unique_id for node in built if node.unique_id not in compared]
    lines = [
        f"dbt built {len(nodes)} nodes of which nothing can be read under the results path {path}.",
        f"{len(built) - len(left)} of them were compared with the warehouse, by the relations that `dbt ls` names.",
    ]
    if left:
        lines.append(f"Not compared: {some(left, _SHOWN)}.")
    lines.append("Make GOLDSMITH_RESULTS_PATH writable for the workers, then clear these tasks.")
    return "\n".join(lines)
