"""`goldsmith run`: from a pipeline's name to the report of its run."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from goldsmith.client.airflow import Airflow
from goldsmith.client.ended import summed_up
from goldsmith.client.follow import Notices, follow
from goldsmith.client.parsed import wait_until_parsed
from goldsmith.client.said import SaidByDbt
from goldsmith.client.session import Watch
from goldsmith.client.summary import RunSummary
from goldsmith.client.waits import AskingGates, QueuedRun
from goldsmith.errors import ConfigurationError
from goldsmith.pipeline import project_of
from goldsmith.pipelines.find import find_pipelines
from goldsmith.pipelines.prepare import plan_if_here
from goldsmith.rest import RestClient, Run
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline
from goldsmith.spec.run import RunOptions

BEFORE_LAYERS = ("ingest", "sources", "seeds")


def run_pipeline(
    airflow: Airflow,
    spec: Pipeline,
    here: Settings,
    *,
    file: Path,
    watch: Watch,
    report: Callable[[str], None],
    asked: RunOptions | None = None,
) -> RunSummary:
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
    # Triggered first: the schedule may start a run of its own as soon as the DAG is not paused.
    run = airflow.api.trigger(spec.name, conf=asked.conf() if asked else None)
    if dag.is_paused:
        airflow.api.unpause(spec.name)
    report(f"Run {run.run_id}")
    return followed(airflow, run, spec, here, watch)


def resume_run(
    airflow: Airflow,
    spec: Pipeline,
    here: Settings,
    *,
    asked: RunOptions,
    watch: Watch,
    report: Callable[[str], None],
) -> RunSummary:
    """Clear what failed or was held back in the last run, and follow it to its end.

    Raises:
        ConfigurationError: There is no such run, it did not fail, or it is to get parameters.
    """
    if asked.conf():
        raise ConfigurationError(
            f"--failed goes on with a run that has its parameters already: leave out {', '.join(asked.conf())}."
        )
    last = last_run(airflow.api, spec)
    if last.state != "failed":
        raise ConfigurationError(
            f"The last run of {spec.name}, {last.run_id}, is {last.state}: there is nothing to go on with.",
            hint=f"goldsmith run {spec.name}",
        )
    cleared = airflow.api.clear_failed(spec.name, last.run_id)
    airflow.api.unpause(spec.name)
    report(f"Cleared {len(cleared)} tasks of run {last.run_id}")
    return followed(airflow, last, spec, here, watch)


def last_run(api: RestClient, spec: Pipeline) -> Run:
    """The last run that was to build something.

    Raises:
        ConfigurationError: There is none.
    """
    runs = [run for run in api.runs(spec.name) if not run.is_dry]
    if not runs:
        raise ConfigurationError(f"{spec.name} has not run yet.", hint=f"goldsmith run {spec.name}")
    return runs[0]


def _last_change(spec: Pipeline, here: Settings) -> datetime:
    """When something last changed that the DAG is made of."""
    manifest = project_of(spec, here).manifest_path
    files = [manifest, *here.dags_dir.rglob("*.py"), *here.dags_dir.rglob("*.y*ml")]
    newest = max(file.stat().st_mtime for file in files if file.is_file())
    # Nothing is ever parsed after a time in the future, which an unpacked archive may bring.
    return datetime.fromtimestamp(min(newest, time.time()), tz=UTC)


def followed(airflow: Airflow, run: Run, spec: Pipeline, here: Settings, watch: Watch) -> RunSummary:
    """Follow a run to its end, and sum it up."""
    watch.run = run
    plan = plan_if_here(spec, here)
    said = SaidByDbt(api=airflow.api, run_id=run.run_id, plan=plan) if plan else None
    notices: list[Notices] = [QueuedRun(api=airflow.api)]
    if said:
        notices.append(AskingGates(api=airflow.api, pipeline=spec.name, run_id=run.run_id, said=said))
    progress = follow(
        airflow.api, spec.name, run.run_id, watch.display, said=said, notices=notices, check=airflow.check
    )
    return summed_up(
        airflow,
        progress,
        order=group_order(spec),
        plan=plan,
        is_only_pipeline=not progress.failed or len(find_pipelines(here).names) == 1,
    )


def group_order(spec: Pipeline) -> tuple[str, ...]:
    """The task groups in the order of the pipeline."""
    return (*BEFORE_LAYERS, *spec.layers)
