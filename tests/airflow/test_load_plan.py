"""From spec and dbt project to a plan: what is read, what is kept, what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from goldsmith.check.pipeline import planned
from goldsmith.dbt import manifest as manifests
from goldsmith.dbt.project import DbtProject, find_project
from goldsmith.errors import ManifestError, ProjectError, SelectionError
from goldsmith.pipeline import load_plan
from goldsmith.pipelines.refresh import make_pipeline_manifest
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline

SPEC = Pipeline(name="shop")


@pytest.fixture
def project(
    shop: DbtProject,
    copied: Callable[[DbtProject, Path], DbtProject],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> DbtProject:
    """A copy of the parsed project that the test may spoil."""
    for name in ("HOST", "USER", "DATABASE"):
        monkeypatch.setenv(f"WAREHOUSE_{name}", "nowhere")
    return copied(shop, tmp_path / "dbt_project")


@pytest.fixture
def here(tmp_path: Path, settings_for: Callable[[Path], Settings]) -> Settings:
    """Settings for that copy."""
    return settings_for(tmp_path)


def test_a_fresh_plan_is_loaded_without_reading_the_manifest(
    project: DbtProject, here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every parse of a DAG file and every task start pay for what is read here."""
    compiled = load_plan(SPEC, project, here)
    monkeypatch.setattr(manifests, "read_document", None)
    assert load_plan(SPEC, project, here) == compiled


def test_a_changed_manifest_or_spec_is_compiled_anew(project: DbtProject, here: Settings) -> None:
    """Nobody has to delete a stale file."""
    before = load_plan(SPEC, project, here)
    document = json.loads(project.manifest_path.read_text())
    del document["nodes"]["model.shop.notes"]
    project.manifest_path.write_text(json.dumps(document))
    assert len(load_plan(SPEC, project, here).nodes) == len(before.nodes) - 1
    by_node = Pipeline(name="shop", gate="node")
    assert load_plan(by_node, project, here).gates == ()


def test_a_half_written_manifest_keeps_the_last_plan_and_warns(
    project: DbtProject, here: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """dbt writes the file in place: a DAG must not vanish while it does."""
    compiled = load_plan(SPEC, project, here)
    project.manifest_path.write_text(project.manifest_path.read_text()[:1000])
    assert load_plan(SPEC, project, here) == compiled
    assert "Keeping the last plan of shop" in caplog.text


def test_without_an_earlier_plan_a_missing_manifest_is_an_error(project: DbtProject, here: Settings) -> None:
    """There is nothing to fall back on."""
    project.manifest_path.unlink()
    with pytest.raises(ManifestError, match="No manifest"):
        load_plan(SPEC, project, here)


def test_a_read_only_project_folder_works(project: DbtProject, here: Settings) -> None:
    """The plan then goes under AIRFLOW_HOME; a folder in the plan's place stands for one without write access."""
    (project.manifest_path.parent / "goldsmith_plan_shop.sqlite").mkdir()
    compiled = load_plan(SPEC, project, here)
    assert list((here.plan_dir / "goldsmith_plans").iterdir())
    assert load_plan(SPEC, project, here) == compiled


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (Pipeline(name="shop", layers={"bronze": ("path:models/brnze/",)}), "layer bronze matches none"),
        (Pipeline(name="shop", select=("tag:nobody",)), "pipeline shop matches none"),
        (
            Pipeline(
                name="shop", layers={"one": "path:models/1", "gold": "path:models/gold", "two": "tag:2"}
            ),
            r"layer one matches none: .*; layer two matches none(?s:.*)with nodes: models/bronze, models/extra",
        ),
    ],
)
def test_a_selection_that_finds_nothing_is_an_error(
    project: DbtProject, here: Settings, spec: Pipeline, said: str
) -> None:
    """An empty layer is a spelling mistake far more often than a wish."""
    with pytest.raises(SelectionError, match=said):
        load_plan(spec, project, here)


def test_a_selection_narrows_the_pipeline(project: DbtProject, here: Settings) -> None:
    """Tests come along with the models they read; the rest stays out."""
    spec = Pipeline(name="shop", select=("path:models/gold/",), layers={"gold": ("path:models/gold/",)})
    tasks = {node.task_id for node in load_plan(spec, project, here).nodes}
    assert tasks == {
        "gold.revenue.v1.run",
        "gold.revenue.v1.not_null_customer",
        "gold.revenue.v2.run",
        "gold.revenue.v2.not_null_customer",
        "gold.tests.assert_revenue_is_orders",
    }


@pytest.mark.integration
def test_a_test_can_be_excluded(project: DbtProject, here: Settings) -> None:
    """As with dbt; and what a plain name means only dbt says, which parsing a DAG file does not start."""
    test = "assert_revenue_is_orders"
    spec = Pipeline(name="shop", exclude=(test,))
    before = {node.name for node in load_plan(SPEC, project, here).nodes}
    with pytest.raises(SelectionError, match=r"Only dbt can say what the selection .* means") as caught:
        load_plan(spec, project, here)
    assert caught.value.hint == "goldsmith manifest shop"
    make_pipeline_manifest(spec, here, print)
    assert before - {node.name for node in load_plan(spec, project, here).nodes} == {test}


@pytest.mark.integration
def test_check_reads_the_manifest_that_it_has_made_for_a_target_of_the_pipelines_own(
    project: DbtProject, here: Settings
) -> None:
    """In a fresh clone there is neither that one nor the project's."""
    project.manifest_path.unlink()
    spec = Pipeline(name="shop", target="prod")
    findings, found = planned(spec, Path("shop.py"), replace(here, target="dev"), print)
    assert [(one.subject, one.status) for one in findings] == [
        ("shop: spec", "ok"),
        ("shop: manifest", "ok"),
        ("shop: plan", "ok"),
    ]
    assert found is not None
    assert found.project.manifest_path == project.path / "target" / "goldsmith" / "shop" / "manifest.json"


def test_a_folder_without_a_dbt_project_is_said(tmp_path: Path) -> None:
    """The file that was looked for is named."""
    with pytest.raises(ProjectError, match=r"dbt_project\.yml does not exist"):
        find_project(tmp_path)
