"""The DAG file in the process of one task."""

from __future__ import annotations

from typing import Any

import pytest

from goldsmith.dag.build import render
from goldsmith.dbt.project import DbtProject
from goldsmith.errors import EnvironmentProblem
from goldsmith.pipeline import load_plan
from goldsmith.plan.model import Plan
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline


def test_a_task_process_builds_its_own_task_only(
    plan: Plan, spec: Pipeline, sample: DbtProject, here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow runs the DAG file again for each task; building all of them there would cost more than dbt."""
    node = next(node.task_id for node in plan.nodes if node.kind == "test")
    builds = [task for build in plan.builds for task in (build.task_id, build.reconcile_id)]
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", spec.name)
    for wanted in (node, plan.gates[0].task_id, *builds, "report"):
        monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", wanted)
        assert list(render(plan, spec, sample, here, load_plan=lambda: plan).task_dict) == [wanted]


def test_a_task_that_this_worker_does_not_know_fails_and_says_why(
    spec: Pipeline, sample: DbtProject, here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow alone would put it off for minutes. A process for a task of another DAG of the file needs none."""
    plan = load_plan(spec.without_types(("test",)), sample, here)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", "bronze.orders.test")
    for dag_id, expected in ((spec.name, ["bronze.orders.test"]), ("another", [])):
        monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", dag_id)
        dag = render(plan, spec, sample, here, load_plan=lambda: plan)
        assert list(dag.task_dict) == expected
        found: list[Any] = dag.tasks
        for task in found:
            with pytest.raises(EnvironmentProblem, match=r"no node for the task bronze\.orders\.test,"):
                task.execute({})
