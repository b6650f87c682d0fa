"""A manifest that no longer describes the project is noticed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from goldsmith.dbt.project import DbtProject, find_project
from goldsmith.errors import ProjectError


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


def test_a_new_function_is_seen(project: DbtProject) -> None:
    """Functions lie beside the models, in a folder that a project may not have had before."""
    (project.path / "functions").mkdir()
    (project.path / "functions" / "double_it.sql").write_text("select 2 * value")
    os.utime(project.manifest_path, (2000, 2000))
    assert project.path / "functions" / "double_it.sql" in project.changed_since_manifest()


@pytest.mark.parametrize("change", [edit, delete, rename])
def test_a_change_in_a_local_package_is_seen(tmp_path: Path, change: Callable[[Path], None]) -> None:
    """Also of a package that only a package names, from the project as dbt has it, and in circles."""
    for name, beside in (("shop", "../in/base"), ("in/base", "../deep"), ("deep", ".")):
        models = tmp_path / name / "models"
        models.mkdir(parents=True)
        (models / "a.sql").write_text("select 1 as id")
        (models.parent / "dbt_project.yml").write_text("name: x\n")
        (models.parent / "packages.yml").write_text(f"packages: [{{local: {beside}}}]\n")
    project = find_project(tmp_path / "shop")
    project.manifest_path.parent.mkdir()
    project.manifest_path.write_text("{}")
    for path in project.sources():
        os.utime(path, (1000, 1000))
    os.utime(project.manifest_path, (2000, 2000))
    assert project.changed_since_manifest() == ()
    change(tmp_path / "deep" / "models")
    assert project.changed_since_manifest() != ()


@pytest.mark.parametrize("name", ["vars.yml", "selectors.yml", "catalogs.yml", "sql/a.sql.jinja", "sql/f.js"])
def test_other_files_that_dbt_reads_are_seen(project: DbtProject, name: str) -> None:
    """Variables in a file of their own, templates with an ending of their own, functions in JavaScript."""
    (project.path / name).write_text("one")
    for folder in (project.path / "sql", project.path / name):
        os.utime(folder, (1000, 1000))
    os.utime(project.manifest_path, (2000, 2000))
    assert project.changed_since_manifest() == ()
    (project.path / name).write_text("two")
    assert project.changed_since_manifest() == (project.path / name,)


def test_changes_below_links_are_seen(project: DbtProject) -> None:
    """As dbt follows them; also in a circle."""
    shared = project.path / "shared" / "deep"
    shared.mkdir(parents=True)
    (shared / "c.sql").write_text("select 1 as id")
    (project.path / "sql" / "common").symlink_to(project.path / "shared")
    (shared / "again").symlink_to(project.path / "sql")
    for path in project.sources():
        os.utime(path, (1000, 1000))
    os.utime(project.manifest_path, (2000, 2000))
    assert project.changed_since_manifest() == ()
    (shared / "c.sql").write_text("select 2 as id")
    assert project.changed_since_manifest() == (project.path / "sql" / "common" / "deep" / "c.sql",)


def test_folders_of_documentation_are_watched_too(project: DbtProject) -> None:
    """Descriptions are part of the manifest."""
    (project.path / "dbt_project.yml").write_text("name: shop\ndocs-paths: [words]\n")
    (project.path / "words").mkdir()
    (project.path / "words" / "a.md").write_text("text")
    assert project.path / "words" / "a.md" in set(find_project(project.path).sources())


def test_a_path_may_come_from_the_projects_own_variables(tmp_path: Path) -> None:
    """dbt 1.12 reads `.env` in the project; processes that do not start there find the same."""
    (tmp_path / ".env").write_text("OUT_DIR=built\n")
    (tmp_path / "dbt_project.yml").write_text("name: shop\ntarget-path: \"{{ env_var('OUT_DIR') }}\"\n")
    assert find_project(tmp_path).target_folders == ("built",)


def test_a_folder_of_models_may_come_from_the_environment(
    project: DbtProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As dbt has it."""
    (project.path / "dbt_project.yml").write_text("name: shop\nmodel-paths: [\"{{ env_var('MODELS') }}\"]\n")
    monkeypatch.setenv("MODELS", "sql")
    assert find_project(project.path).source_paths[0] == "sql"


def test_the_name_of_the_profile_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As dbt has it; else a profile of that name would be missing in the author's profiles.yml."""
    written = "{{ env_var('SHOP_PROFILE') }}"
    (tmp_path / "dbt_project.yml").write_text(f'name: shop\nprofile: "{written}"\n')
    assert find_project(tmp_path).profile == written
    monkeypatch.setenv("SHOP_PROFILE", "warehouse")
    assert find_project(tmp_path).profile == "warehouse"


def test_the_file_env_of_the_project_may_name_profile_and_target_path(tmp_path: Path) -> None:
    """dbt takes both from there, so the manifest is where it writes it."""
    (tmp_path / "dbt_project.yml").write_text("name: shop\nprofile: written\ntarget-path: other\n")
    (tmp_path / ".env").write_text("DBT_TARGET_PATH=built\nDBT_ENGINE_PROFILE=mine\n")
    found = find_project(tmp_path)
    assert found.target_folders == ("built", "other")
    assert found.profile == "mine"


@pytest.mark.parametrize("text", ["vars: {first_day: 2026-02-30}", "- a list", "a: b: c", "\t- x"])
def test_a_project_file_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    """Whatever kind of error the reader of YAML has for it."""
    (tmp_path / "dbt_project.yml").write_text(f"name: shop\n{text}\n")
    with pytest.raises(ProjectError, match=r"dbt_project\.yml"):
        find_project(tmp_path)


def test_paths_that_are_no_list_are_left_to_dbt(tmp_path: Path) -> None:
    """It says so when it parses; until then the usual folders are watched."""
    (tmp_path / "dbt_project.yml").write_text("name: shop\nmodel-paths: 5\ndocs-paths: docs\n")
    assert find_project(tmp_path).source_paths[0] == "models"
