"""`goldsmith run` and `goldsmith retry`: from a pipeline's name to the report of its run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from goldsmith.client.airflow import Airflow
from goldsmith.client.follow import follow
from goldsmith.client.said import Said
from goldsmith.client.session import Watch
from goldsmith.client.summary import Report, make_report
from goldsmith.errors import ConfigurationError, EnvironmentProblem, GoldsmithError, SelectionError
from goldsmith.pipeline import load_plan, project_of, refuse_prod_from_here
from goldsmith.pipelines.choice import choose_nodes, is_known_before
from goldsmith.pipelines.find import find_pipelines, refuse_unread
from goldsmith.pipelines.manifests import dbt_profile, refresh_manifest
from goldsmith.plan.choices import Choice
from goldsmith.plan.model import Plan
from goldsmith.report.store import ReportStore
from goldsmith.rest import Dag, ImportFailure, RestClient, Run
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline
from goldsmith.spec.run import RunOptions
from goldsmith.stack.environment import RESULTS
from goldsmith.stack.stack import local_stack
from goldsmith.wording import nearest

PARSE_TIMEOUT = 180.0
BEFORE_LAYERS = ("ingest", "sources", "seeds")


def prepare_run(
    spec: Pipeline, here: Settings, asked: RunOptions, report: Callable[[str], None], *, file: Path
) -> None:
    """For the local stack: refuse what it would refuse, before it is started, and make manifest and plan.

    Args:
        spec: The pipeline.
        here: Settings of this process.
        asked: The parameters of the run.
        report: Called with a line for each step.
        file: The DAG file that builds the pipeline.

    Raises:
        ConfigurationError: The pipeline would write production, Airflow does not read its DAG file, its project cannot
            be parsed or planned, or its engine takes no parameters.
        SelectionError: The selection means nothing.
    """
    if here.airflow is not None:
        return
    refuse_prod_from_here(spec, replace(here, embedded=local_stack(here).needs.embedded))
    refuse_unread(file, here)
    refresh_manifest(spec, here, report)
    _plan(spec, here)
    _check_selection(spec, here, asked)


def run_pipeline(
    airflow: Airflow,
    spec: Pipeline,
    here: Settings,
    *,
    file: Path,
    watch: Watch,
    report: Callable[[str], None],
    asked: RunOptions | None = None,
) -> Report:
    """Trigger a pipeline and follow its run to the end.

    Args:
        airflow: Where it runs.
        spec: The pipeline.
        here: Settings of this process.
        file: The DAG file that builds the pipeline.
        watch: Told of the run, and shows its progress.
        report: Called with a line for each step.
        asked: The parameters of the run.

    Raises:
        ConfigurationError: Airflow cannot import the DAG file.
        EnvironmentProblem: Airflow does not answer, or does not parse the DAG.
    """
    changed = _last_change(spec, here) if airflow.stack else None
    report("Waiting for Airflow to parse the DAG")
    dag = wait_until_parsed(airflow.api, spec.name, here.dags_dir, changed=changed, file=file)
    busy = [run for run in airflow.api.runs(spec.name) if not run.is_finished]
    if busy:
        report(f"Run {busy[-1].run_id} is not finished: this one may have to wait for it")
    # Triggered first: the schedule may start a run of its own as soon as the DAG is not paused.
    run = airflow.api.trigger(spec.name, conf=asked.conf() if asked else None)
    if dag.is_paused:
        airflow.api.unpause(spec.name)
    report(f"Run {run.run_id}")
    return _followed(airflow, run, spec, here, watch)


def resume_run(
    airflow: Airflow,
    spec: Pipeline,
    here: Settings,
    *,
    asked: RunOptions,
    watch: Watch,
    report: Callable[[str], None],
) -> Report:
    """Clear what failed or was held back in the last run, and follow it to its end.

    Raises:
        ConfigurationError: There is no such run, it did not fail, or it is to get parameters.
    """
    if asked.conf():
        raise ConfigurationError(
            f"--failed goes on with a run that has its parameters already: leave out {', '.join(asked.conf())}."
        )
    last = _last_run(airflow.api, spec)
    if last.state != "failed":
        raise ConfigurationError(
            f"The last run of {spec.name}, {last.run_id}, is {last.state}: there is nothing to go on with.",
            hint=f"goldsmith run {spec.name}",
        )
    cleared = airflow.api.clear_failed(spec.name, last.run_id)
    airflow.api.unpause(spec.name)
    report(f"Cleared {len(cleared)} tasks of run {last.run_id}")
    return _followed(airflow, last, spec, here, watch)


def _check_selection(spec: Pipeline, here: Settings, asked: RunOptions) -> None:
    """Ask dbt before anything is started, where it can tell already.

    Raises:
        SelectionError: The selection means nothing.
        ConfigurationError: The engine takes no parameters.
    """
    if spec.engine == "isolated" and asked.conf():
        raise ConfigurationError(
            f"With `engine: isolated` a run has no parameters such as {', '.join(asked.conf())}.",
            hint="Write `engine: shared` into the pipeline spec.",
        )
    if (asked.select or asked.exclude) and is_known_before(asked):
        chosen_nodes(spec, here, asked, _plan(spec, here))


def chosen_nodes(spec: Pipeline, here: Settings, asked: RunOptions, plan: Plan) -> list[Choice]:
    """What a run with a selection would build.

    Raises:
        SelectionError: The selection means nothing.
    """
    results = local_stack(here).env()[RESULTS]
    project = project_of(spec, here)
    with dbt_profile(spec, project, here, lambda _: None) as profile:
        return choose_nodes(
            plan,
            project,
            asked,
            target=spec.target or here.target,
            compared_with=here.root / spec.state_manifest if spec.state_manifest else None,
            lasted=ReportStore(results, spec.name).last_seconds(),
            variables=spec.vars,
            profile=profile,
        )


def retry_node(
    airflow: Airflow,
    spec: Pipeline,
    here: Settings,
    *,
    node: str,
    run_id: str | None,
    downstream: bool,
    watch: Watch,
    report: Callable[[str], None],
) -> Report:
    """Clear a node's task in a run, the latest unless one is named, and follow the run to its end.

    Raises:
        SelectionError: No task, or more than one, is meant by `node`.
        ConfigurationError: The pipeline has no run.
    """
    api = airflow.api
    run = api.run(spec.name, run_id) if run_id else _last_run(api, spec)
    task_id = _task_of(
        node, _plan(spec, here), [task.task_id for task in api.task_instances(spec.name, run.run_id)]
    )
    cleared = api.clear(spec.name, run.run_id, [task_id], downstream=downstream)
    api.unpause(spec.name)
    report(
        f"Cleared {len(cleared)} tasks of run {run.run_id}: {task_id}{' and downstream' if downstream else ''}"
    )
    return _followed(airflow, run, spec, here, watch)


def _last_run(api: RestClient, spec: Pipeline) -> Run:
    """The last run that was to build something.

    Raises:
        ConfigurationError: There is none.
    """
    runs = [run for run in api.runs(spec.name) if not run.is_dry]
    if not runs:
        raise ConfigurationError(f"{spec.name} has not run yet.", hint=f"goldsmith run {spec.name}")
    return runs[0]


def wait_until_parsed(
    api: RestClient, dag_id: str, dags_dir: Path, *, changed: datetime | None, file: Path | None = None
) -> Dag:
    """Wait until Airflow has parsed the DAG as it is now.

    Args:
        api: Airflow.
        dag_id: The DAG.
        dags_dir: The folder of its file, to tell its import errors from others'.
        changed: When its file, spec or manifest last changed; None to take the DAG as it is.
        file: The DAG file; None where only Airflow knows it.

    Raises:
        ConfigurationError: Airflow cannot import the DAG file.
        EnvironmentProblem: It takes too long.
    """
    deadline = time.monotonic() + PARSE_TIMEOUT
    has_asked = False
    while time.monotonic() < deadline:
        dag = api.dag(dag_id)
        since = changed or datetime.min.replace(tzinfo=UTC)
        broken = [
            one
            for one in api.import_errors()
            if one.time and one.time > since and _is_of(one, dags_dir, dag, file)
        ]
        if broken:
            raise _import_problem(broken[0])
        if dag and not dag.is_stale and not dag.has_import_errors and (dag.last_parsed or since) >= since:
            return dag
        if dag and not has_asked:
            api.parse_now(dag)
            has_asked = True
        time.sleep(0.5)
    raise EnvironmentProblem(
        f"Airflow has not parsed the DAG {dag_id} within {PARSE_TIMEOUT:.0f} seconds.",
        hint="goldsmith logs dag-processor",
    )


def _is_of(failure: ImportFailure, dags_dir: Path, dag: Dag | None, file: Path | None) -> bool:
    """Whether an import error is that of the DAG's file."""
    own = {file, Path(dag.file) if dag else None}
    return bool(own & {dags_dir / failure.file, Path(failure.file)})


def _import_problem(failure: ImportFailure) -> ConfigurationError:
    lines = [line for line in failure.stack_trace.strip().splitlines() if line.strip()]
    # The last frame and the message; the frames above are Airflow's and Goldsmith's own.
    frames = [number for number, line in enumerate(lines) if line.startswith("  File ")]
    shown = lines[frames[-1] :] if frames else lines
    return ConfigurationError(
        f"Airflow cannot import {failure.file}:\n" + "\n".join(shown[-12:]), hint="goldsmith check"
    )


def _last_change(spec: Pipeline, here: Settings) -> datetime:
    """When something last changed that the DAG is made of."""
    manifest = project_of(spec, here).manifest_path
    files = [manifest, *here.dags_dir.rglob("*.py"), *here.dags_dir.rglob("*.y*ml")]
    newest = max(file.stat().st_mtime for file in files if file.is_file())
    # Nothing is ever parsed after a time in the future, which an unpacked archive may bring.
    return datetime.fromtimestamp(min(newest, time.time()), tz=UTC)


def _followed(airflow: Airflow, run: Run, spec: Pipeline, here: Settings, watch: Watch) -> Report:
    watch.run = run
    plan = plan_if_here(spec, here)
    said = Said(api=airflow.api, run_id=run.run_id, plan=plan) if plan else None
    progress = follow(airflow.api, spec.name, run.run_id, watch.display, said=said)
    return make_report(
        airflow,
        progress,
        order=group_order(spec),
        plan=plan,
        is_only_pipeline=not progress.failed or len(find_pipelines(here).names) == 1,
    )


def group_order(spec: Pipeline) -> tuple[str, ...]:
    """The task groups in the order of the pipeline."""
    return (*BEFORE_LAYERS, *spec.layers)


def _plan(spec: Pipeline, here: Settings) -> Plan:
    return load_plan(spec, project_of(spec, here), here)


def plan_if_here(spec: Pipeline, here: Settings) -> Plan | None:
    """The plan; None where the project is not on this machine, as with a named Airflow."""
    try:
        return _plan(spec, here)
    except GoldsmithError:
        return None


def _task_of(node: str, plan: Plan, task_ids: Iterable[str]) -> str:
    """The task that a person means: by task id, by dbt's unique id, or by the name of a node."""
    known = sorted(set(task_ids))
    if node in known:
        return node
    named = (one.task_id for one in plan.nodes if node in {one.unique_id, one.name})
    meant = list(dict.fromkeys(named))
    # A model and its tests may share words, not names; of a model and a snapshot the person has to choose.
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise SelectionError(f"{node!r} means {len(meant)} tasks.", hint=f"Name one: {', '.join(meant)}")
    names = {one.name: None for one in plan.nodes}
    raise SelectionError(
        f"No node and no task is called {node!r}.{nearest(node, [*names, *known])}",
        hint=f"goldsmith plan {plan.pipeline}",
    )
