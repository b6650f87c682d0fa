"""Whether the author's profiles.yml does for a target."""

from __future__ import annotations

from pathlib import Path

import pytest

from goldsmith.dbt.profiles_yml import lacks
from goldsmith.dbt.project import DbtProject, find_project

SECRET = """
shop:
  target: dev
  outputs:
    dev: {type: postgres, host: h, password: "{{ env_var('SHOP_PASSWORD') }}"}
    prod: {type: postgres, host: h, password: "{{ env_var('SHOP_PASSWORD', '') }}"}
"""


@pytest.fixture
def project(tmp_path: Path) -> DbtProject:
    """A dbt project with the profile `shop`, below an empty home."""
    folder = tmp_path / "home" / "shop"
    folder.mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    return find_project(folder)


@pytest.mark.parametrize(
    ("text", "target", "said"),
    [
        (None, "prod", "there is no "),
        ("other: {outputs: {prod: {type: postgres}}}", "prod", "has no profile 'shop'"),
        ("", "prod", "has no profile 'shop'"),
        ("shop: {outputs: {dev: {type: postgres}}}", "prod", "has no target 'prod'"),
        ("shop: {target: prod}", "prod", "has no target 'prod'"),
        (SECRET, "dev", "needs the environment variable SHOP_PASSWORD"),
        (SECRET, "prod", ""),
        ("shop: {outputs: {prod: {type: postgres}}}", "prod", ""),
        ("shop: {outputs: [", "prod", ""),
        ("shop: {outputs: {prod: {type: no_such_db}}}", "prod", "the adapter dbt-no_such_db"),
        ("shop: {outputs: {prod: {type: \"{{ env_var('KIND', 'postgres') }}\"}}}", "prod", ""),
    ],
)
def test_what_is_missing_is_named(project: DbtProject, text: str | None, target: str, said: str) -> None:
    """File, profile, target or a variable; of a file that is no YAML dbt itself speaks."""
    if text is not None:
        (project.path / "profiles.yml").write_text(text)
    found = lacks(project, target=target, env={"HOME": str(project.path.parent)})
    assert said in found
    assert bool(said) == bool(found)


def test_variables_may_come_from_where_dbt_takes_them(project: DbtProject) -> None:
    """The environment, or a `.env` above the project."""
    (project.path / "profiles.yml").write_text(SECRET)
    home = {"HOME": str(project.path.parent)}
    assert lacks(project, target="dev", env={**home, "SHOP_PASSWORD": ""}) == ""
    (project.path.parent / ".env").write_text("export SHOP_PASSWORD=x\n")
    assert lacks(project, target="dev", env=home) == ""


@pytest.mark.parametrize("variable", ["", "DBT_PROFILES_DIR", "DBT_ENGINE_PROFILES_DIR"])
def test_the_file_is_looked_for_as_dbt_does(project: DbtProject, variable: str) -> None:
    """In ~/.dbt, or where a variable says, before the project's own."""
    folder = "profiles" if variable else ".dbt"
    home = project.path.parent
    (home / folder).mkdir()
    (home / folder / "profiles.yml").write_text("shop: {outputs: {prod: {type: postgres}}}")
    env = {"HOME": str(home)}
    if variable:
        (project.path / "profiles.yml").write_text("other: {}")
        env[variable] = str(home / folder)
    assert lacks(project, target="prod", env=env) == ""
