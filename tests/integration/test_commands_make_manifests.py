"""Commands in a fresh clone: each makes the manifest it needs, and plans before anything starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.test_cli import goldsmith

from goldsmith.pipelines.find import read_pipelines
from goldsmith.pipelines.manifests import refresh_manifests
from goldsmith.settings import Settings

pytestmark = pytest.mark.integration

DAG = "from goldsmith import Pipeline, build_dag\nairflow_dag = build_dag(Pipeline.parse({spec!r}))\n"
SCHEMA = """\
models: [{name: a, columns: [{name: id, data_tests: [unique]}]}]
unit_tests: [{name: one, model: a, given: [], expect: {rows: [{id: 1}]}}]
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A repository with the pipeline `shop` of one model, which nobody has parsed."""
    project = tmp_path / "dbt_project"
    for name, text in {
        "dbt_project.yml": "name: shop\nprofile: shop\nflags: {send_anonymous_usage_stats: false}\n",
        "models/bronze/a.sql": "select 1 as id",
        "models/schema.yml": SCHEMA,
    }.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text(text)
    write_dag(tmp_path)
    return tmp_path


def write_dag(root: Path, name: str = "shop", **values: object) -> None:
    """Write the DAG file of a pipeline."""
    (root / "dags").mkdir(exist_ok=True)
    (root / "dags" / f"{name}.py").write_text(DAG.format(spec={"name": name, **values}))


def tasks(root: Path, **env: str) -> list[str]:
    """Kinds of the nodes that are planned."""
    done = goldsmith("plan", "shop", "--json", cwd=root, **env)
    assert done.returncode == 0, done.stderr
    return sorted(node["kind"] for node in json.loads(done.stdout)["nodes"])


def test_a_run_is_planned_before_anything_starts(clone: Path) -> None:
    """A layer that matches nothing is named at once, with the folders that exist."""
    write_dag(clone, layers={"bronze": "path:models/nothing/", "silver": "path:models/bronze/"})
    done = goldsmith("run", "shop", cwd=clone)
    assert done.returncode == 2, done.stderr
    assert "layer bronze matches none: select path:models/nothing/" in done.stderr
    assert "models/bronze" in done.stderr
    assert "PostgreSQL" not in done.stdout + done.stderr
    assert not list((clone / ".goldsmith").glob("*/postgres*"))


def test_alerts_are_explained_in_a_fresh_clone(clone: Path) -> None:
    """The command makes the manifest, and says so."""
    write_dag(clone, alerts={"routes": [{"name": "all", "channels": ["log"], "events": ["model_failed"]}]})
    done = goldsmith("alerts", "explain", "a", "--pipeline", "shop", cwd=clone)
    assert done.returncode == 0, done.stderr
    assert "Making the dbt manifest" in done.stdout + done.stderr
    assert "yes" in done.stdout


def test_types_that_a_variable_leaves_out_are_not_planned(clone: Path) -> None:
    """dbt's advice for production is to leave unit tests out; plan and tasks go by the same variables."""
    assert tasks(clone) == ["model", "test", "unit_test"]
    assert tasks(clone, DBT_EXCLUDE_RESOURCE_TYPES="unit_test") == ["model", "test"]
    assert tasks(clone, DBT_ENGINE_RESOURCE_TYPES="model") == ["model"]


def test_a_variable_may_name_the_profile(clone: Path) -> None:
    """As dbt has it: before the one in dbt_project.yml."""
    output = "{type: postgres, host: x, port: 5432, user: x, password: x, dbname: x, schema: x}"
    (clone / "dbt_project" / "profiles.yml").write_text(
        f"other: {{target: prod, outputs: {{prod: {output}}}}}\n"
    )
    assert tasks(clone, DBT_PROFILE="other") == ["model", "test", "unit_test"]
    manifest = json.loads((clone / "dbt_project" / "target" / "manifest.json").read_text())
    assert manifest["nodes"]["model.shop.a"]["schema"] == "x"


def test_a_project_that_dbt_cannot_parse_is_its_own_pipelines_matter(
    clone: Path, settings_for: Callable[[Path], Settings]
) -> None:
    """`goldsmith up` makes the manifests of all pipelines, tells of those that it cannot make, and goes on."""
    broken = clone / "broken"
    (broken / "models").mkdir(parents=True)
    (broken / "dbt_project.yml").write_text("name: broken\nprofile: broken\n")
    (broken / "models" / "b.sql").write_text("select {{ 1 +")
    write_dag(clone, "broken", project="broken")
    unread = clone / "unread"
    unread.mkdir()
    (unread / "dbt_project.yml").write_text("name: unread\nvars: {first_day: 2026-02-30}\n")
    write_dag(clone, "unread", project="unread")
    write_dag(clone, "wrong", layerz={})
    here = settings_for(clone)
    found = read_pipelines(here)
    assert len(found.errors) == 1
    failed = refresh_manifests(here, found, lambda _: None)
    assert set(failed) == {"broken", "unread"}
    assert "day is out of range" in failed["unread"].message
    assert "dbt parse" in failed["broken"].message
    assert (clone / "dbt_project" / "target" / "manifest.json").is_file()
