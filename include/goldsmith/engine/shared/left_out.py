"""What a run leaves out: asked of dbt once, by the run's first build, and shown as skipped tasks.

A task that is skipped has a state, so no later build comes to its nodes. Where tasks cannot be marked, the later
builds and the nodes' own tasks find in XCom what was chosen.
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict

from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowFailException
from rich.console import Console

from goldsmith.dbt.listing import (
    EAGER,
    LIST,
    Listing,
    manifest_to_compare,
    read_listing,
    selection_arguments,
)
from goldsmith.engine.access import airflow_api
from goldsmith.engine.build_state import CHOICES_KEY
from goldsmith.engine.dbt.workspace import Workspace
from goldsmith.engine.packed import pack, unpack
from goldsmith.engine.shared.marks import Marker, MarksApi
from goldsmith.engine.site import Site
from goldsmith.engine.task_dbt import dbt_workspace
from goldsmith.errors import EnvironmentProblem, SelectionError
from goldsmith.parameters import run_options
from goldsmith.plan.chosen_sources import chosen_sources, needs_dbt
from goldsmith.plan.chosen_tasks import chosen_tasks
from goldsmith.plan.preview import Choice, choices_table, explained
from goldsmith.spec.run import RunOptions

log = logging.getLogger(__name__)

CHOSEN_KEY = "chosen"
SOURCES_KEY = "chosen_sources"
_SHOWN = 200
_WIDTH = 160  # characters
_RUNS = 20


def options_of(context: Context, site: Site) -> RunOptions:
    """What was asked of this run when it was started.

    Raises:
        AirflowFailException: It cannot be done, or is no parameter of a run.
    """
    return run_options(context, target=site.target.target, window=site.window)


def choose(
    site: Site,
    context: Context,
    options: RunOptions,
    task_id: str,
    *,
    connect: Callable[[], MarksApi] = airflow_api,
) -> frozenset[str] | None:
    """The ids of the tasks that a run is about; None for all.

    The first build of a run asks dbt, skips the others' tasks and leaves word; the others read that.

    Args:
        site: Where the run is.
        context: Of the build that asks.
        options: What was asked of the run.
        task_id: The build.
        connect: Gives a client of Airflow's REST API, which skips the others' tasks.

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
        chosen, unique_ids = _asked(site, context, options, task_id)
    except SelectionError as error:
        raise AirflowFailException(str(error)) from error
    log.info("%d of %d tasks are chosen; the others are skipped", len(chosen), len(site.graph.tasks))
    if options.dry_run:
        loads = chosen_sources(site.ingested, options, unique_ids)
        _say_dry(explained(site.graph.plan, chosen, unique_ids, lasted=site.lasted(), loads=loads), context)
        chosen = frozenset()
    elif len(chosen) <= _SHOWN:
        log.info("%s", ", ".join(sorted(chosen)))
    if task_id == first:
        context["ti"].xcom_push(key=CHOSEN_KEY, value=pack(sorted(chosen)))
        with contextlib.closing(Marker(site.graph, context["run_id"], connect=connect)) as marker:
            _skip(marker, chosen)
    return chosen


def is_loaded(site: Site, context: Context, source: str) -> bool:
    """Whether a run loads the raw file of a source; of the ingests that start together, each may have to ask dbt.

    Args:
        site: Where the run is.
        context: Of the ingest's first task.
        source: As `schema.table`.

    Raises:
        AirflowFailException: The selection means nothing.
        EnvironmentProblem: dbt could not be asked.
    """
    options = options_of(context, site)
    if not needs_dbt(options):
        return chosen_sources([source], options, ())[source]
    first = [f"ingest.{one.rpartition('.')[2]}.split" for one in site.ingested]
    left = next(filter(None, context["ti"].xcom_pull(task_ids=first, key=SOURCES_KEY)), None)
    if left is None:
        try:
            found = _listing(site, context, options, context["ti"].task_id)
        except SelectionError as error:
            raise AirflowFailException(str(error)) from error
        loads = chosen_sources(site.ingested, options, found.unique_ids)
        left = sorted(one for one, is_wanted in loads.items() if is_wanted)
        context["ti"].xcom_push(
            key=SOURCES_KEY, value=[*left, ""]
        )  # never empty: it is known that there are none
    return source in left


def left_by_first(site: Site, context: Context) -> frozenset[str] | None:
    """The ids of the tasks that the first build has chosen; None where it has said nothing."""
    packed = context["ti"].xcom_pull(task_ids=site.graph.plan.builds[0].task_id, key=CHOSEN_KEY)
    return frozenset(unpack(packed)) if packed else None


def _asked(
    site: Site, context: Context, options: RunOptions, task_id: str
) -> tuple[frozenset[str], frozenset[str]]:
    """The ids of the tasks, and the unique ids that dbt has chosen."""
    if not options.select and not options.exclude:
        return frozenset(site.graph.tasks), frozenset(site.graph.task_of)
    plan, terms = site.graph.plan, (*options.select, *options.exclude)
    found = _listing(site, context, options, task_id)
    loads = chosen_sources(site.ingested, options, found.unique_ids)
    tasks = chosen_tasks(
        plan, found.unique_ids, unmatched=found.unmatched, terms=terms, loads=any(loads.values())
    )
    return tasks, found.unique_ids


def _listing(site: Site, context: Context, options: RunOptions, task_id: str) -> Listing:
    """What dbt says of a run's selection."""
    terms = (*options.select, *options.exclude)
    with dbt_workspace(site, context["run_id"], task_id, options) as space:
        if any("result:" in term for term in terms):
            space.write_results(_results_before(site, context))
        if any("state:" in term for term in terms):
            space.copy_manifest(manifest_to_compare(site.compared_with))
        return _listed(space, options)


def _listed(space: Workspace, options: RunOptions) -> Listing:
    """Ask dbt for the nodes of a selection.

    Raises:
        SelectionError: It is none.
        EnvironmentProblem: dbt was killed.
    """
    wanted = selection_arguments(options.select, options.exclude)
    log.info("dbt %s", " ".join([*LIST, *wanted]))
    found, code = list_nodes(space, space.plain_command([*LIST, *EAGER, *wanted]))
    if code != 0:
        # Killed it may be the machine's fault, and worth another try; what dbt itself refuses is not.
        kind = EnvironmentProblem if code < 0 else SelectionError
        raise kind(
            "dbt could not say what the selection means:\n" + "\n".join(found.errors[-12:]),
            hint=f"Try it: dbt ls {' '.join(wanted)}",
        )
    return found


def list_nodes(space: Workspace, command: Sequence[str]) -> tuple[Listing, int]:
    """Run a `dbt ls`; return what it said and its exit code."""
    process = space.start(command)
    return read_listing(process.lines()), process.wait()


def _results_before(site: Site, context: Context) -> dict[str, str]:
    """Unique id to dbt's status, of the run before this one.

    Raises:
        SelectionError: There was none.
    """
    dag_id, run_id = site.target.dag_id, context["run_id"]
    with airflow_api() as api:
        runs = api.runs(dag_id, limit=_RUNS)
    ids = [run.run_id for run in runs]
    older = runs[ids.index(run_id) + 1 :] if run_id in ids else runs
    for run in older:
        # Not of one that built nothing: a dry run, or one whose parameters were refused.
        if run.is_finished and (last := site.results.last(run.run_id, site.graph.plan.nodes)):
            log.info("`result:` means the run %s", run.run_id)
            return {
                uid: "error" if one.status == "runtime error" else one.status for uid, one in last.items()
            }
    raise SelectionError(
        "`result:` means the run before, and there is none that has ended and built something.",
        hint="Run without it first.",
    )


def _skip(marker: Marker, chosen: frozenset[str]) -> None:
    """Show the tasks of all other nodes, of all layers, as skipped; those that have a state keep it."""
    marker.skip([task for task in marker.graph.tasks if task not in chosen])


def _say_dry(choices: Sequence[Choice], context: Context) -> None:
    """Say what a run would do: in the log, and for the page of the dry run."""
    log.info("A dry run: nothing is built. It would build:\n%s", _shown(choices))
    context["ti"].xcom_push(key=CHOICES_KEY, value=pack([asdict(one) for one in choices]))


def _shown(choices: Iterable[Choice]) -> str:
    """The same table as `goldsmith plan` prints."""
    text = io.StringIO()
    Console(file=text, width=_WIDTH).print(choices_table(choices))
    return text.getvalue().rstrip()
