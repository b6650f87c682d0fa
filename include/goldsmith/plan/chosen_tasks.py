"""What a run's selection means for the tasks of a plan."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from goldsmith.errors import SelectionError
from goldsmith.plan.model import Plan
from goldsmith.wording import nearest

_MAY_BE_EMPTY = re.compile(r"\b(result|state|source_status):")
_NAME = re.compile(r"^(?:\d*[+@]|@)?(?P<name>[\w.*-]+)(?:\+\d*)?$")


def chosen_tasks(
    plan: Plan,
    unique_ids: Collection[str],
    *,
    unmatched: Iterable[str],
    terms: Sequence[str],
    loads: bool = False,
) -> frozenset[str]:
    """The ids of the tasks that a selection means: those with a node that dbt has chosen.

    Args:
        plan: The pipeline.
        unique_ids: What dbt has chosen, in the whole project.
        unmatched: Terms that match nothing.
        terms: Those of the selection, and of what is left out of it.
        loads: Whether the run loads raw files, so that it may well build nothing.

    Raises:
        SelectionError: A term matches nothing, or nothing of the pipeline is chosen; names what is meant most likely.
    """
    # That nothing failed, say, or was changed, is no mistake.
    missing = [term for term in unmatched if term in terms and not _MAY_BE_EMPTY.search(term)]
    if missing:
        raise SelectionError(
            f"The selection matches nothing: {', '.join(missing)}.",
            hint=_nearest(missing, plan) or "goldsmith plan lists the nodes of the pipeline.",
        )
    found = frozenset(node.task_id for node in plan.nodes if node.unique_id in unique_ids)
    if not found and not loads:
        outside = (
            f" dbt knows {len(unique_ids)} such nodes, none of which the pipeline runs." if unique_ids else ""
        )
        raise SelectionError(
            f"The selection leaves nothing of {plan.pipeline} to build.{outside}",
            hint="goldsmith plan lists its nodes.",
        )
    return found


def _nearest(terms: Iterable[str], plan: Plan) -> str:
    names = {node.name for node in plan.nodes}
    tags = {f"tag:{tag}" for node in plan.nodes for tag in node.tags}
    near: list[str] = []
    for part in ",".join(terms).split(","):
        match = _NAME.match(part)
        if part not in names | tags:
            near += nearest(match["name"] if match else part, names | tags)
    return f"Did you mean {' or '.join(dict.fromkeys(near))}?" if near else ""
