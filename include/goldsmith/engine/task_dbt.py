"""dbt for a task: a folder for its commands, the right to write, and word of nodes that take long."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from goldsmith.dbt.error_class import shared_reason
from goldsmith.engine.access import airflow_api
from goldsmith.engine.dbt.asking import ask_dbt
from goldsmith.engine.dbt.invocation import Invocations
from goldsmith.engine.dbt.timeouts import NodeTimeouts
from goldsmith.engine.dbt.workspace import SESSION_VARIABLE, Workspace, workspace
from goldsmith.engine.links import named_run
from goldsmith.engine.site import Site
from goldsmith.errors import GoldsmithError
from goldsmith.plan.model import PlannedNode
from goldsmith.spec.run import RunOptions

if TYPE_CHECKING:
    from goldsmith.warehouse.base import Warehouse

# What talks to the warehouse is imported where it is used: a DAG file is parsed without its driver.

log = logging.getLogger(__name__)


@contextmanager
def dbt_workspace(site: Site, run_id: str, task_id: str, options: RunOptions) -> Iterator[Workspace]:
    """A folder for dbt commands of a task."""
    from goldsmith.warehouse.choose import warehouse_of

    with workspace(
        site.target,
        session=site.writer.session(run_id, task_id),
        env={
            **named_run(site.target, run_id),
            **warehouse_of(site.target.connection).session_options(),
        },
        options=options,
    ) as space:
        yield space


@contextmanager
def dbt_for(site: Site, run_id: str, task_id: str, options: RunOptions) -> Iterator[Invocations]:
    """dbt, ready to be run for a task that is the writer, and stopped where it no longer is."""
    from goldsmith.warehouse.choose import warehouse_of

    warehouse = warehouse_of(site.target.connection)
    with dbt_workspace(site, run_id, task_id, options) as space:
        yield Invocations(
            space=space,
            built_by=task_id,
            on_turn=lambda _: None,
            check=site.writer.check,
            freshness=site.freshness,
            explain=warehouse.explained,
            grant=_grants(warehouse),
            timeouts=NodeTimeouts(
                cancel=partial(warehouse.cancel_node, space.env[SESSION_VARIABLE]),
                tell=partial(note_slow_node, site, run_id),
            ),
        )


def _grants(warehouse: Warehouse) -> Callable[[str, str, str], str]:
    """The statement for a right that a node lacked; asked once for what many nodes lack alike."""
    from goldsmith.warehouse.names import relation_of

    asked = cache(lambda said, query, schema: warehouse.grant_for(said, query=query, schema=schema))

    def grant(said: str, query: str, relation: str) -> str:
        reason = shared_reason(said)
        if not reason:
            return ""
        # What the query does not name was denied for what is made.
        named = reason.split("\n")[-1].rpartition(" ")[2] in query
        return str(asked(reason, query if named else "", relation_of(relation)[0] if relation else ""))

    return grant


def warehouse_for(site: Site, run_id: str, task_id: str) -> Warehouse:
    """The warehouse, which a task may ask, through a dbt of its own if need be."""
    from goldsmith.warehouse.choose import warehouse_of

    def ask(questions: Sequence[str], timeout: float) -> list[Any]:
        with dbt_workspace(site, run_id, task_id, RunOptions()) as space:
            return ask_dbt(space, questions, timeout)

    return warehouse_of(site.target.connection, ask)


def name_what_is_missing(site: Site, task_id: str) -> None:
    """Say in the log what Goldsmith cannot do in this warehouse, once in a run: in its first task."""
    from goldsmith.warehouse.choose import kind_of, missing

    plan = site.graph.plan
    first = plan.builds[0].task_id if plan.builds else plan.nodes[0].task_id
    if task_id == first:
        kind = kind_of(site.target.connection)
        # Some types of connections are not the adapter's: `google_cloud_platform`, `generic`.
        name = plan.adapter if plan.adapter and missing(plan.adapter) else kind
        for one in missing(kind):
            log.warning("In %s Goldsmith cannot %s: %s", name, one.text, one.without)


def note_slow_node(site: Site, run_id: str, node: PlannedNode, seconds: float) -> None:
    """Say in the log, as a note on the run and to whoever has alerts that a node takes long."""
    limit = timedelta(seconds=node.slow_after)
    text = f"Slow: {node.name} runs for more than {limit} ({node.task_id})."
    log.warning("%s It has run for %.0f s.", text, seconds)
    try:
        with airflow_api() as api:
            api.note_on_run(site.target.dag_id, run_id, text)
    except GoldsmithError as error:
        log.info("No note was put on the run: %s", error)
    if site.on_slow is not None:
        site.on_slow(run_id, node, text)
