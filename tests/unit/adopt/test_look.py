"""What a folder holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.layouts.build import project, write

from goldsmith.adopt.look import look_at, taken_names

DECORATED = '''"""Airflow DAG."""
from airflow.sdk import dag
@dag(schedule=None)
def nightly():
    pass
nightly()
'''


@pytest.mark.parametrize(
    ("files", "is_airflow", "requirements"),
    [
        ({}, False, None),
        ({"requirements.txt": "dbt-core\n"}, False, None),
        ({"requirements.txt": "apache-airflow==3.3.2\n"}, True, "requirements.txt"),
        ({"Dockerfile": "FROM apache/airflow:3.3.2\n"}, True, None),
        ({"Dockerfile": "FROM quay.io/astronomer/astro-runtime:13\n"}, True, "requirements.txt"),
        ({"Dockerfile": "FROM astrocrpublic.azurecr.io/runtime:3.3-1\n"}, True, "requirements.txt"),
        ({".astro/config.yaml": ""}, True, "requirements.txt"),
        ({"dags/a.py": ""}, True, None),
    ],
)
def test_an_airflow_is_known_by_its_files(
    files: dict[str, str], *, is_airflow: bool, requirements: str | None, tmp_path: Path
) -> None:
    """And what its image installs: only in a file that is Airflow's."""
    found = look_at(write({**files, **project("a")}, tmp_path))
    assert found.is_airflow is is_airflow
    assert found.requirements == (tmp_path / requirements if requirements else None)


@pytest.mark.parametrize(
    "place", [".", "transform", "warehouse", "data/transform", "dbt", "dags/dbt/shop", "a/b/c/d"]
)
def test_a_project_may_be_anywhere(place: str, tmp_path: Path) -> None:
    """But what tools and dbt put there is none of the user's."""
    others = ("target/x", "dbt_packages/y", ".venv/z", "node_modules/z", "venv/lib", "a/b/c/d/e")
    write(
        {f"{other}/dbt_project.yml": "name: no\n" for other in others} | project("a", place=place), tmp_path
    )
    assert look_at(tmp_path).projects == ((tmp_path / place).resolve(),)


def test_names_of_other_dags_are_taken(tmp_path: Path) -> None:
    """By their files, their ids as they are written, and their functions."""
    files = {
        "one.py": 'DbtDag(\n    dag_id = "cosmos_shop",\n)\n',
        "deep/two.py": "with DAG('orders', schedule=None):\n    pass\n",
        "three.py": DECORATED,
    }
    write(files, tmp_path)
    assert taken_names(tmp_path) == {"one", "three", "cosmos_shop", "orders", "nightly"}
    assert taken_names(tmp_path / "nowhere") == set()
