"""The sample pipeline with either engine: its plan and its DAG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.sdk import DAG

from goldsmith.dag.build import render
from goldsmith.dbt.project import DbtProject
from goldsmith.pipeline import load_plan
from goldsmith.plan.model import Plan
from goldsmith.settings import Settings
from goldsmith.spec.files import read_spec
from goldsmith.spec.pipeline import Pipeline


@pytest.fixture
def here(tmp_path: Path, settings_for: Callable[[Path], Settings]) -> Settings:
    """Settings as a worker would have them."""
    return settings_for(tmp_path)


@pytest.fixture(params=["shared", "isolated"])
def spec(repository: Path, request: pytest.FixtureRequest) -> Pipeline:
    """The sample pipeline, with either engine."""
    return read_spec(repository / "dags/pipelines/customer_transactions.yml").model_copy(
        update={"engine": request.param}
    )


@pytest.fixture
def plan(spec: Pipeline, sample: DbtProject, here: Settings) -> Plan:
    """The sample pipeline's plan."""
    return load_plan(spec, sample, here)


@pytest.fixture
def dag(plan: Plan, spec: Pipeline, sample: DbtProject, here: Settings) -> DAG:
    """The sample pipeline's DAG."""
    return render(plan, spec, sample, here, load_plan=lambda: plan)
