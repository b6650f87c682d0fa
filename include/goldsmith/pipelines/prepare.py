"""What can be told and made before a run: refusals, the manifest, the plan, and what a selection means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from goldsmith.errors import ConfigurationError, GoldsmithError
from goldsmith.pipeline import load_plan, project_of, refuse_prod_from_here
from goldsmith.pipelines.find import refuse_unread
from goldsmith.pipelines.manifests import dbt_profile, refresh_manifest
from goldsmith.pipelines.preview import choose_nodes, is_known_before
from goldsmith.plan.model import Plan
from goldsmith.plan.preview import Choice
from goldsmith.report.store import ReportStore
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline
from goldsmith.spec.run import RunOptions
from goldsmith.stack.environment import RESULTS
from goldsmith.stack.stack import local_stack


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
    plan_of(spec, here)
    _check_selection(spec, here, asked)


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
        chosen_nodes(spec, here, asked, plan_of(spec, here))


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
            sources=[one.source for one in spec.ingest],
            lasted=ReportStore(results, spec.name).last_seconds(),
            variables=spec.vars,
            profile=profile,
        )


def plan_of(spec: Pipeline, here: Settings) -> Plan:
    """The plan of a pipeline, as its DAG file would load it.

    Raises:
        GoldsmithError: It has no project here, or no plan can be made.
    """
    return load_plan(spec, project_of(spec, here), here)


def plan_if_here(spec: Pipeline, here: Settings) -> Plan | None:
    """The plan; None where the project is not on this machine, as with a named Airflow."""
    try:
        return plan_of(spec, here)
    except GoldsmithError:
        return None
