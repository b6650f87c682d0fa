"""A stored plan is used while it is fresh, and only then."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from goldsmith.dbt.node import Node
from goldsmith.plan.compile import compile_plan
from goldsmith.plan.model import Plan
from goldsmith.plan.selected import Selected
from goldsmith.plan.store import plan_paths, read_plan, write_plan
from goldsmith.spec.pipeline import Pipeline


@pytest.fixture
def plan(nodes: Callable[..., dict[str, Node]], selected: Callable[..., Selected]) -> Plan:
    """A small plan."""
    return compile_plan(Pipeline(name="shop"), selected(nodes(a="bronze/", t_a="bronze/a")))


def test_a_plan_lies_beside_its_manifest(plan: Plan, tmp_path: Path) -> None:
    """What is read is what was written, with the stamp of its manifest."""
    paths = plan_paths(tmp_path / "target" / "manifest.json", tmp_path / "airflow", "shop")
    assert write_plan(plan, (10, 20), paths) == tmp_path / "target" / "goldsmith_plan_shop.sqlite"
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


def test_one_task_is_looked_up_alone(plan: Plan, tmp_path: Path) -> None:
    """The process of a task reads what is its own: a node, a gate, a build or its comparison."""
    paths = (tmp_path / "plan.sqlite",)
    write_plan(plan, (10, 20), paths)
    [build], [gate] = plan.builds, plan.gates
    for task_id in (*(node.task_id for node in plan.nodes), gate.task_id, build.task_id, build.reconcile_id):
        stored = read_plan(paths, only=task_id)
        assert stored is not None
        assert len((*stored.plan.nodes, *stored.plan.gates, *stored.plan.builds)) == 1
        assert stored.plan == replace(plan.part(task_id), not_run=plan.not_run, exposures=plan.exposures)
    stored = read_plan(paths, only="nobody")
    assert stored is not None
    assert (stored.plan.nodes, stored.plan.gates, stored.plan.builds) == ((), (), ())


@pytest.mark.parametrize("tasks", ["model_tests", "model"])
def test_all_nodes_of_one_task_are_looked_up(
    nodes: Callable[..., dict[str, Node]], selected: Callable[..., Selected], tmp_path: Path, tasks: str
) -> None:
    """In their order, by the index: the process of a task reads nothing of the others."""
    graph = nodes(a="bronze/", **{f"t_{number}": "bronze/a" for number in range(12)})
    spec = Pipeline.model_validate({"name": "shop", "tasks": tasks})
    plan = compile_plan(spec, selected(graph))
    path = tmp_path / "plan.sqlite"
    write_plan(plan, (10, 20), (path,))
    whole = read_plan((path,))
    assert whole is not None
    assert whole.plan == plan
    for task_id in {node.task_id for node in plan.nodes}:
        stored = read_plan((path,), only=task_id)
        assert stored is not None
        assert stored.plan.nodes == plan.part(task_id).nodes
    with closing(sqlite3.connect(path)) as found:
        query = "explain query plan select part, body from task where task_id = 'a' order by place"
        [step] = found.execute(query)
    assert "USING INDEX by_task (task_id=?)" in step[-1]


def test_a_stored_plan_is_a_fraction_of_what_it_says(
    nodes: Callable[..., dict[str, Node]], selected: Callable[..., Selected], tmp_path: Path
) -> None:
    """A project of thousands of nodes would leave megabytes in each image and on each worker."""
    graph = nodes(**{f"model_{number}": "bronze/" for number in range(500)})
    plan = compile_plan(Pipeline(name="shop"), selected(graph))
    path = tmp_path / "plan.sqlite"
    write_plan(plan, (10, 20), (path,))
    assert path.stat().st_size < len(json.dumps(plan.to_dict())) / 2


def test_a_newer_plan_wins(plan: Plan, tmp_path: Path) -> None:
    """One beside the manifest, from before the folder was made read-only, and one elsewhere."""
    old, new = tmp_path / "old.sqlite", tmp_path / "new.sqlite"
    write_plan(plan, (1, 1), (old,))
    os.utime(old, (1, 1))
    write_plan(plan, (2, 2), (new,))
    stored = read_plan((old, new))
    assert stored is not None
    assert stored.stamp == (2, 2)
    new.write_text("no database")
    stored = read_plan((old, new))
    assert stored is not None
    assert stored.stamp == (1, 1)


def test_a_plan_of_another_format_counts_as_absent(plan: Plan, tmp_path: Path) -> None:
    """An older or newer Goldsmith wrote it."""
    path = tmp_path / "plan.sqlite"
    write_plan(plan, (1, 1), (path,))
    with closing(sqlite3.connect(path)) as found, found:
        found.execute("update head set format = 0")
    assert read_plan((path,)) is None


@pytest.mark.parametrize("text", ["", "{", "SQLite format 3\0"])
def test_an_unreadable_plan_counts_as_absent(tmp_path: Path, text: str) -> None:
    """It is compiled anew; an old or broken file is never an error, and nothing is made of a missing one."""
    path = tmp_path / "plan.sqlite"
    assert read_plan((path,)) is None
    assert not path.exists()
    path.write_text(text, encoding="utf-8")
    assert read_plan((path,)) is None
    assert read_plan((path,), only="a") is None


def test_where_nothing_can_be_written_the_plan_lies_nowhere(plan: Plan, tmp_path: Path) -> None:
    """It is compiled anew at the next parse."""
    (tmp_path / "file").touch()
    assert write_plan(plan, (1, 1), (tmp_path / "file" / "a.sqlite", tmp_path / "file" / "b.sqlite")) is None


def test_a_plan_for_programs_lists_whatever_a_task_waits_for(plan: Plan) -> None:
    """Nodes, builds and gates; nothing else stands before them here."""
    listing = plan.listing()
    assert [one["unique_id"] for one in listing["nodes"]] == ["a", "t_a"]
    assert [one["builds"] for one in listing["builds"]] == ["bronze"]
    assert [one["layer"] for one in listing["gates"]] == ["bronze"]
    assert listing["other_tasks"] == []
