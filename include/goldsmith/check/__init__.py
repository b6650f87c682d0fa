"""`goldsmith check`: everything that can be told before a run, each point with its own verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from goldsmith.airflow_version import need_airflow
from goldsmith.check.finding import FAIL, Finding, failure, findings_table
from goldsmith.check.in_airflow import ask_airflow
from goldsmith.check.pipeline import planned, without_airflow
from goldsmith.dag_files import DagFiles
from goldsmith.errors import EnvironmentProblem, GoldsmithError
from goldsmith.pipelines.find import choose_pipeline, find_pipelines, no_pipeline
from goldsmith.pipelines.network import network_of
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline

__all__ = ["FAIL", "Finding", "check_all", "findings_table"]


def check_all(
    here: Settings,
    env: Mapping[str, str],
    *,
    strict: bool,
    connections: bool,
    report: Callable[[str], None],
    pipeline: str | None = None,
) -> list[Finding]:
    """Check pipelines of the dags folder; what is wrong with one does not keep the others from being checked.

    Args:
        here: Settings of this process.
        env: Environment in which Airflow runs, with its connections.
        strict: Count warnings as failures.
        connections: Connect to the warehouse as dbt will, and to Airflow as the shared engine will.
        report: Called with a line for each step.
        pipeline: Name of the pipeline; None for all.
    """
    try:
        need_airflow()
    except EnvironmentProblem as error:
        return [failure("airflow", error)]
    files = find_pipelines(here)
    specs = [spec for spec, _ in files.pipelines.values()]
    chosen, findings = _chosen(files, here, pipeline)
    if not chosen:
        return findings
    done = [planned(spec, file, here, report) for spec, file in chosen]
    usable = [one for _, one in done if one]
    if usable:
        report(f"Letting Airflow import {', '.join(one.spec.name for one in usable)}")
    answers = ask_airflow(usable, here, env, connections=connections) if usable else None
    network, _ = network_of(specs if any(spec.after for spec, _ in chosen) else (), here)
    for about, one in done:
        findings += about
        if one:
            findings += without_airflow(one, network, here)
        if one and answers and not isinstance(answers, Finding):
            findings += answers.about(one, is_named=pipeline is not None)
    if isinstance(answers, Finding):
        findings.append(answers)
    return [each.strictly() for each in findings] if strict else findings


def _chosen(
    files: DagFiles, here: Settings, pipeline: str | None
) -> tuple[list[tuple[Pipeline, Path]], list[Finding]]:
    """The pipelines to check, each with its DAG file; and what is to be said of others."""
    if pipeline is not None:
        try:
            return [choose_pipeline(here, pipeline)], []
        except GoldsmithError as error:
            return [], [failure(f"{pipeline}: spec", error)]
    if not files.names:
        return [], [failure("specs", no_pipeline(here))]
    broken = [failure(f"{name}: spec", error) for name, error in files.errors.items()]
    return list(files.pipelines.values()), broken
