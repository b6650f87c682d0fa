"""What a run leaves out: asked of dbt once, by the run's first build, and shown as skipped tasks.

A task that is skipped has a state, so no later build comes to its nodes. Where tasks cannot be marked, the later
builds and the nodes' own tasks find in XCom what was chosen.
"""

from __future__ import annotations

import base64
import json
import logging
import zlib
from datetime import datetime, timedelta

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException

from goldsmith.dbt.listing import LIST, manifest_to_compare, read_listing, selection_arguments
from goldsmith.dbt.process import DbtProcess
from goldsmith.engine.access import airflow_api
from goldsmith.engine.marks import Marker
from goldsmith.engine.site import Site
from goldsmith.errors import ConfigurationError, EnvironmentProblem, SelectionError
from goldsmith.plan.chosen import chosen_tasks
from goldsmith.spec.run import RunOptions

log = logging.getLogger(__name__)

XCOM_KEY = "chosen"
_SHOWN = 200
_RUNS = 20


def options_of(context: Context, site: Site) -> RunOptions:
    """What was asked of this run when it was started.

    Raises:
        AirflowFailException: It cannot be done, or is no parameter of a run.
    """
    run = context["dag_run"]
    window = _window(run.partition_date, site.window)
    try:
        return RunOptions.parse({**window, **(run.conf or {})}, target=site.target.target)
    except ConfigurationError as error:
        raise AirflowFailException(str(error)) from error


def _window(start: datetime | None, length: timedelta | None) -> dict[str, datetime]:
    """The window of a run that Airflow started for one."""
    if start is None or length is None:
        return {}
    return {"event_time_start": start, "event_time_end": start + length}


def choose(site: Site, context: Context, options: RunOptions, task_id: str) -> frozenset[str] | None:
    """The ids of the tasks that a run is about; None for all.

    The first build of a run asks dbt, skips the others' tasks and leaves word; the others read that.

    Args:
        site: Where the run is.
        context: Of the build that asks.
        options: What was asked of the run.
        task_id: The build.

    Raises:
        AirflowFailException: The selection means nothing.
        EnvironmentProblem: dbt could not be asked.
    """
    if not options.is_selective:
        return None
    first = site.graph.plan.builds[0].task_id
    if task_id != first and (kept := left_by_first(site, context)) is not None:
        return kept
    try:
        chosen = _asked(site, context, options, task_id)
    except SelectionError as error:
        raise AirflowFailException(str(error)) from error
    _say(site, chosen, options)
    if options.dry_run:
        chosen = frozenset()
    if task_id == first:
        context["ti"].xcom_push(key=XCOM_KEY, value=_packed(chosen))
        _skip(site, context["run_id"], chosen)
    return chosen


def left_by_first(site: Site, context: Context) -> frozenset[str] | None:
    """The ids of the tasks that the first build has chosen; None where it has said nothing."""
    packed = context["ti"].xcom_pull(task_ids=site.graph.plan.builds[0].task_id, key=XCOM_KEY)
    return _unpacked(packed) if packed else None


def _asked(site: Site, context: Context, options: RunOptions, task_id: str) -> frozenset[str]:
    plan = site.graph.plan
    if not options.select and not options.exclude:
        return frozenset(node.task_id for node in plan.nodes)
    terms = (*options.select, *options.exclude)
    with site.workspace(context["run_id"], task_id, options) as space:
        if any("result:" in term for term in terms):
            space.write_results(_results_before(site, context))
        if any("state:" in term for term in terms):
            space.copy_manifest(manifest_to_compare(site.compared_with))
        wanted = [*LIST, *selection_arguments(options.select, options.exclude)]
        log.info("dbt %s", " ".join(wanted))
        process = DbtProcess(space.plain_command(wanted), cwd=site.target.project_dir, env=space.env)
        found = read_listing(process.lines())
        if (code := process.wait()) != 0:
            # Killed it may be the machine's fault, and worth another try; what dbt itself refuses is not.
            kind = EnvironmentProblem if code < 0 else SelectionError
            raise kind(
                "dbt could not say what the selection means:\n" + "\n".join(found.errors[-12:]),
                hint=f"Try it: dbt ls {' '.join(selection_arguments(options.select, options.exclude))}",
            )
    return chosen_tasks(plan, found.unique_ids, unmatched=found.unmatched, select=options.select)


def _results_before(site: Site, context: Context) -> dict[str, str]:
    """Unique id to dbt's status, of the run before this one.

    Raises:
        SelectionError: There was none.
    """
    dag_id, run_id = site.target.dag_id, context["run_id"]
    with airflow_api() as api:
        before = [run for run in api.runs(dag_id, limit=_RUNS) if run.is_finished and run.run_id != run_id]
    if not before:
        raise SelectionError(
            "`result:` means the run before, and there is none that has ended.", hint="Run without it first."
        )
    log.info("`result:` means the run %s", before[0].run_id)
    last = site.last_results(before[0].run_id, site.graph.plan.nodes)
    return {uid: "error" if one.status == "runtime error" else one.status for uid, one in last.items()}


def _skip(site: Site, run_id: str, chosen: frozenset[str]) -> None:
    """Show the tasks of all other nodes, of all layers, as skipped; those that have a state keep it."""
    marker = Marker(site.graph, run_id)
    try:
        marker.skip([task for task in site.graph.tasks if task not in chosen])
    finally:
        marker.close()


def _say(site: Site, chosen: frozenset[str], options: RunOptions) -> None:
    """Which tasks the run is about; of a dry run all of them, for that is what it is for."""
    total = len(site.graph.tasks)
    log.info("%d of %d tasks are chosen; the others are skipped", len(chosen), total)
    if options.dry_run:
        for task in sorted(chosen, key=site.graph.position.__getitem__):
            log.info("would build %s", task)
        log.info("A dry run: nothing is built")
    elif len(chosen) <= _SHOWN:
        log.info("%s", ", ".join(sorted(chosen)))


def _packed(chosen: frozenset[str]) -> str:
    return base64.b85encode(zlib.compress(json.dumps(sorted(chosen)).encode())).decode()


def _unpacked(text: str) -> frozenset[str]:
    return frozenset(json.loads(zlib.decompress(base64.b85decode(text))))
