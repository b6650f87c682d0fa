"""A stored plan is used while it is fresh, and only then."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from goldsmith.dbt.node import Node
from goldsmith.plan.compile import Selected, compile_plan
from goldsmith.plan.model import Plan
from goldsmith.plan.store import plan_paths, read_plan, write_plan
from goldsmith.spec.pipeline import Pipeline


@pytest.fixture
def plan(nodes: Callable[..., dict[str, Node]], selected: Callable[..., Selected]) -> Plan:
    """A small plan."""
    return compile_plan(Pipeline(name="shop"), selected(nodes(a="bronze/", t_a="bronze/a")))


def test_a_plan_lies_beside_its_manifest(plan: Plan, tmp_path: Path) -> None:
    """What is read is what was written, with the stamp of its manifest."""
    paths = plan_paths(tmp_path / "target" / "manifest.json", tmp_path / "airflow", "shop")
    assert write_plan(plan, (10, 20), paths) == tmp_path / "target" / "goldsmith_plan_shop.json"
    stored = read_plan(paths)
    assert stored is not None
    assert (stored.plan, stored.stamp) == (plan, (10, 20))


def test_where_the_project_is_read_only_the_plan_goes_elsewhere(plan: Plan, tmp_path: Path) -> None:
    """A file in place of the folder stands for a folder that cannot be written, also for root."""
    (tmp_path / "target").touch()
    paths = plan_paths(tmp_path / "target" / "manifest.json", tmp_path / "airflow", "shop")
    written = write_plan(plan, (10, 20), paths)
    assert written is not None
    assert written.is_relative_to(tmp_path / "airflow")
    assert read_plan(paths) is not None


@pytest.mark.parametrize("text", ["", "{", '{"format": 0}', '{"format": 2, "plan": {}}'])
def test_an_unreadable_plan_counts_as_absent(tmp_path: Path, text: str) -> None:
    """It is compiled anew; an old or broken file is never an error."""
    path = tmp_path / "plan.json"
    path.write_text(text, encoding="utf-8")
    assert read_plan((path,)) is None
