"""A manifest that no longer describes the project is noticed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from goldsmith.dbt.project import DbtProject, find_project


@pytest.fixture
def project(tmp_path: Path) -> DbtProject:
    """A project whose models lie in a folder of another name, with a manifest made after all of it."""
    (tmp_path / "dbt_project.yml").write_text("name: shop\nmodel-paths: [sql]\n")
    (tmp_path / "sql" / "bronze").mkdir(parents=True)
    for name in ("a", "b"):
        (tmp_path / "sql" / "bronze" / f"{name}.sql").write_text("select 1 as id")
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "manifest.json").write_text("{}")
    for path in (tmp_path / "dbt_project.yml", *tmp_path.glob("sql/**"), *tmp_path.glob("sql/**/*")):
        os.utime(path, (1000, 1000))
    return find_project(tmp_path)


def edit(models: Path) -> None:
    """Change a model."""
    (models / "a.sql").write_text("select 2 as id")


def delete(models: Path) -> None:
    """Remove a model."""
    (models / "a.sql").unlink()


def rename(models: Path) -> None:
    """Give a model another name."""
    (models / "a.sql").rename(models / "c.sql")


@pytest.mark.parametrize("change", [edit, delete, rename])
def test_whatever_happens_to_a_model_is_seen(project: DbtProject, change: Callable[[Path], None]) -> None:
    """Also what leaves no younger file behind, and in folders that dbt_project.yml names."""
    assert project.changed_since_manifest() == ()
    models = project.path / "sql" / "bronze"
    os.utime(project.manifest_path, (2000, 2000))
    change(models)
    assert project.changed_since_manifest() != ()
