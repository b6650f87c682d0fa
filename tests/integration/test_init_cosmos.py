"""`goldsmith init` beside a DAG of Cosmos: what it takes over, and what it says of the rest."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from goldsmith.adopt.adoption import Asked
from goldsmith.adopt.init import look_and_adopt
from goldsmith.adopt.show import document

pytestmark = pytest.mark.integration

COSMOS = """
from pathlib import Path
from airflow.sdk import Variable
from cosmos import DbtDag, ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.profiles import PostgresUserPasswordProfileMapping
HERE = Path(__file__).parent
shop = DbtDag(
    dag_id="shop",
    project_config=ProjectConfig(HERE.parent / "include" / "dbt" / "shop"),
    profile_config=ProfileConfig(
        profile_name="shop", target_name="live",
        profile_mapping=PostgresUserPasswordProfileMapping(
            "shop_db", profile_args={"schema": "shop", "password": "hunter2"}
        ),
    ),
    render_config=RenderConfig(exclude=["tag:old"]),
    schedule="30 4 * * *",
    on_warning_callback=print,
    default_args=Variable.get("arguments", deserialize_json=True),
)
other = DbtDag(dag_id=Variable.get("id"), project_config=ProjectConfig("nowhere"))
"""


@pytest.fixture
def astro(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An Astro project with a dbt project and two DAGs of Cosmos."""
    project = tmp_path / "include" / "dbt" / "shop"
    for name, sql in (("staging/a", "select 1 as id"), ("marts/b", "select * from {{ ref('a') }}")):
        (project / "models" / name).parent.mkdir(parents=True)
        (project / "models" / f"{name}.sql").write_text(sql)
    (project / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "cosmos_dags.py").write_text(COSMOS)
    (tmp_path / "Dockerfile").write_text("FROM astrocrpublic.azurecr.io/runtime:3.1-1\n")
    connection = {
        "conn_type": "postgres",
        "host": "db",
        "port": 5432,
        "login": "me",
        "password": "hunter2",
        "schema": "shop",
    }
    monkeypatch.setenv("AIRFLOW_CONN_SHOP_DB", json.dumps(connection))
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_the_settings_of_a_cosmos_dag_are_taken_over(astro: Path) -> None:
    """Selection, connection and target; the command line goes before it; what is computed or has no key is said."""
    found = look_and_adopt(astro, [], Asked(schedule="@hourly"), print)
    [one] = found.adopted
    assert one.keys == {
        "name": "shop_goldsmith",
        "project": "include/dbt/shop",
        "schedule": "@hourly",
        "connection": "shop_db",
        "target": "live",
        "profile": {"schema": "shop"},
        "exclude": ["tag:old", "package:elementary"],
        "layers": {"staging": "path:models/staging/", "marts": "path:models/marts/"},
    }
    said = document(found, written=False, findings=[])
    assert said["pipelines"][0]["cosmos"] == {
        "dags": ["shop (DbtDag, dags/cosmos_dags.py:7)"],
        "taken": ["connection", "exclude", "profile", "schedule", "target"],
        "not_taken": {
            "on_warning_callback": "A route of `alerts` with the event `test_warned`: docs/alerts.md.",
            "profile_args.password": "It may be a secret, which belongs into the Airflow connection.",
        },
        "not_literal": {"default_args": "dags/cosmos_dags.py:19"},
    }
    assert [line for line in said["by_hand"] if "Cosmos" in line or "Dbt" in line] == [
        (
            "shop of Cosmos and shop_goldsmith build the same tables: pause the former before shop_goldsmith runs "
            "on the same warehouse. Setting by setting: docs/from-cosmos.md."
        ),
        "dags/cosmos_dags.py:21: nothing is taken from this DbtDag, because its project, nowhere, is not here.",
    ]
    assert "hunter2" not in json.dumps(said)
