"""DAGs of Cosmos, as people write them: what of them is read, and what is said of the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from goldsmith.adopt.cosmos_dags import CosmosDag, read_cosmos_dags

PROFILE = """
from cosmos import DbtDag, DbtTaskGroup, ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.profiles import PostgresUserPasswordProfileMapping
profile = ProfileConfig(
    profile_name="shop", target_name="dev",
    profile_mapping=PostgresUserPasswordProfileMapping(
        conn_id="shop_db", profile_args={"schema": "public", "threads": 8}),
)
"""
USUAL = {"target": "dev", "connection": "shop_db", "profile": {"schema": "public", "threads": 8}}
DAG = """
import os
from datetime import datetime
from pathlib import Path
from cosmos.constants import ExecutionMode, TestBehavior
ROOT = Path(os.environ.get("DBT_ROOT_PATH", Path(__file__).parent / "dbt"))
shop = DbtDag(
    dag_id="shop_cosmos",
    project_config=ProjectConfig(ROOT / "shop", dbt_vars={"since": "2026-01-01"}),
    profile_config=profile,
    render_config=RenderConfig(select=["tag:daily"], exclude=["tag:slow"], test_behavior=TestBehavior.AFTER_EACH),
    execution_config=ExecutionConfig(execution_mode=ExecutionMode.LOCAL, dbt_executable_path="/opt/dbt/bin/dbt"),
    schedule="0 6 * * *", start_date=datetime(2026, 2, 3), catchup=False, tags=["shop"], max_active_runs=2,
    default_args={"retries": 3, "owner": "data", "email": "x"},
    operator_args={"install_deps": True, "full_refresh": False, "vars": {"since": "2026-02-01"}},
)
"""


def read(folder: Path, text: str) -> CosmosDag:
    """The one DAG of a file."""
    (folder / "dbt" / "shop").mkdir(parents=True, exist_ok=True)
    (folder / "shop.py").write_text(text)
    [found] = read_cosmos_dags(folder)
    return found


def test_the_settings_of_a_dag_become_keys_of_a_spec(tmp_path: Path) -> None:
    """Paths by way of names and defaults; what has no key is said."""
    found = read(tmp_path, PROFILE + DAG)
    assert (found.kind, found.dag_id, found.project) == (
        "DbtDag",
        "shop_cosmos",
        (tmp_path / "dbt" / "shop").resolve(),
    )
    assert found.keys == {
        **USUAL,
        "select": ["tag:daily"],
        "exclude": ["package:elementary", "tag:slow"],
        "schedule": "0 6 * * *",
        "start_date": "2026-02-03",
        "catchup": False,
        "tags": ["shop"],
        "max_active_runs": 2,
        "owner": "data",
        "retries": {"models": 3},
        "vars": {"since": "2026-02-01"},
    }
    assert found.not_literal == ()
    assert found.not_taken == (
        "dbt_executable_path: docs/from-cosmos.md says what becomes of it",
        "default_args: email",
        "operator_args: full_refresh",
    )


@pytest.mark.parametrize(
    ("around", "dag_id"),
    [
        ('with DAG("around", schedule="@daily", catchup=True):\n    ', "around"),
        (
            'with DAG(dag_id="around", schedule="@daily", catchup=True) as dag:\n    before = 1\n    ',
            "around",
        ),
        ('@dag(schedule="@daily", catchup=True)\ndef around():\n    ', "around"),
        ('@dag(dag_id="named", schedule="@daily", catchup=True)\ndef around():\n    ', "named"),
    ],
)
def test_a_task_group_has_the_settings_of_the_dag_around_it(tmp_path: Path, around: str, dag_id: str) -> None:
    """By `with`, or by the decorator."""
    group = 'DbtTaskGroup(group_id="dbt", project_config=ProjectConfig("dbt/shop"), profile_config=profile)\n'
    found = read(tmp_path, f"{PROFILE}from airflow.sdk import DAG, dag\n{around}{group}")
    assert (found.kind, found.dag_id) == ("DbtTaskGroup", dag_id)
    assert found.keys == {**USUAL, "schedule": "@daily", "catchup": True}


@pytest.mark.parametrize(
    ("call", "not_literal", "not_taken"),
    [
        ("DbtDag(dag_id=f'x_{name}', profile_config=profile)", ["dag_id (line 9)"], []),
        ("DbtDag(**settings)", ["**settings (line 9)"], []),
        ("DbtDag(profile_config=make(1)['x'])", ["profile_config (line 9)"], []),
        ("DbtDag(project_config=ProjectConfig(os.environ['ROOT']))", ["dbt_project_path (line 9)"], []),
        (
            "DbtDag(schedule=[Asset('x')])",
            [],
            ["schedule: write `schedule`, or `after` for assets, into the spec"],
        ),
        ("DbtDag(schedule='whenever')", [], ["schedule: "]),
        ("DbtDag(start_date=now())", ["start_date (line 9)"], []),
        ("DbtDag(on_warning_callback=tell)", ["on_warning_callback (line 9)"], []),
        (
            "DbtDag(execution_config=ExecutionConfig(execution_mode=ExecutionMode.KUBERNETES))",
            [],
            ["execution_mode KUBERNETES: "],
        ),
        (
            "DbtDag(profile_config=ProfileConfig(profiles_yml_filepath='dbt/profiles.yml'))",
            [],
            ["profiles_yml_filepath: dbt/profiles.yml"],
        ),
    ],
)
def test_what_is_computed_or_has_no_key_is_named(
    tmp_path: Path, call: str, not_literal: list[str], not_taken: list[str]
) -> None:
    """With its line, so that a person can write it."""
    found = read(tmp_path, f"{PROFILE}{call}\n")
    assert list(found.not_literal) == not_literal
    assert len(found.not_taken) == len(not_taken)
    assert all(said.startswith(begin) for said, begin in zip(found.not_taken, not_taken, strict=True))


def test_other_names_and_several_dags_of_a_file_are_found(tmp_path: Path) -> None:
    """Whatever people call what they import; a loop makes DAGs whose names nobody can read."""
    (tmp_path / "all.py").write_text(
        "import cosmos\nimport cosmos as c\nfrom cosmos.airflow.dag import DbtDag as D\n"
        "from cosmos.constants import TestBehavior\nHERE = 'no'\nHERE = 'where'\n"
        "one = cosmos.DbtDag(dag_id='one')\ntwo = c.DbtDag(dag_id='two', description=HERE)\n"
        "three = D(dag_id='three', render_config=c.RenderConfig(test_behavior=TestBehavior.NONE, selector='daily'))\n"
        "for name in ('a', 'b'):\n    D(dag_id=name)\n"
    )
    found = read_cosmos_dags(tmp_path)
    assert sorted(one.dag_id for one in found) == ["", "one", "three", "two"]
    by_id = {one.dag_id: one for one in found}
    assert by_id["three"].keys == {
        "exclude_resource_types": ["test", "unit_test"],
        "select": "selector:daily",
    }
    assert by_id["two"].not_literal == ("description (line 8)",)
    assert by_id[""].not_literal == ("dag_id (line 11)",)


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    """What cannot be read has no DAG of Cosmos, and nothing is run."""
    (tmp_path / "other.py").write_text("raise SystemExit\n# cosmos\n")
    (tmp_path / "broken.py").write_text("import cosmos\ndef (\n")
    (tmp_path / "latin.py").write_bytes(b"# cosmos \xff\n")
    (tmp_path / "deep.py").write_text(f"import cosmos\nx = {'(' * 300}{')' * 300}\n")
    (tmp_path / "self.py").write_text("from cosmos import DbtDag\nx = x\nDbtDag(dag_id=x)\n")
    [found] = read_cosmos_dags(tmp_path)
    assert found.not_literal == ("dag_id (line 3)",)
