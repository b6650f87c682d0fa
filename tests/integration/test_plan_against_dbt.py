"""The plan of two whole projects against dbt's own graph and Cosmos's own nodes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.generated.answers import Dbt
from tests.generated.checks import VARIANTS, check_pipeline

from goldsmith.dbt.manifest import load
from goldsmith.dbt.project import DbtProject
from goldsmith.pipeline_nodes import select_nodes
from goldsmith.plan.compile import compile_plan
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def dbt() -> Iterator[Dbt]:
    """dbt, loaded once."""
    started = Dbt()
    yield started
    started.close()


@pytest.fixture(params=["shop", "sample"])
def project(
    request: pytest.FixtureRequest, copied: Callable[[DbtProject, Path], DbtProject], tmp_path: Path
) -> DbtProject:
    """A copy of each of the two dbt projects in turn."""
    return copied(request.getfixturevalue(request.param), tmp_path / "dbt_project")


def test_the_dag_is_dbts_graph(
    project: DbtProject, dbt: Dbt, settings_for: Callable[[Path], Settings], tmp_path: Path
) -> None:
    """Both engines and both gates run each node of `dbt ls` once, and nothing before what dbt puts before it."""
    answer = dbt.ask(project.path)
    assert not answer.error
    for variant in VARIANTS:
        spec = Pipeline.parse({"name": "shop", **variant})
        assert check_pipeline(spec, project, settings_for(tmp_path), answer)


def test_the_plan_holds_what_cosmos_filters_and_the_kinds_cosmos_drops(project: DbtProject) -> None:
    """Cosmos decides what belongs to a pipeline; unit tests it does not read."""
    from cosmos.config import ExecutionConfig, ProjectConfig, RenderConfig
    from cosmos.constants import ExecutionMode, LoadMode
    from cosmos.dbt.graph import DbtGraph

    graph = DbtGraph(
        project=ProjectConfig(manifest_path=project.manifest_path, project_name=project.name),
        render_config=RenderConfig(exclude=["package:elementary"]),
        execution_config=ExecutionConfig(dbt_project_path=project.path),
    )
    graph.load(method=LoadMode.DBT_MANIFEST, execution_mode=ExecutionMode.LOCAL)
    theirs = {uid for uid, node in graph.filtered_nodes.items() if node.resource_type.value != "exposure"}
    unit_tests = set(json.loads(project.manifest_path.read_text())["unit_tests"])
    spec = Pipeline(name="shop")
    plan = compile_plan(spec, select_nodes(spec, load(project.manifest_path, project.path)))
    assert {node.unique_id for node in plan.nodes} | set(plan.not_run) == theirs | unit_tests
