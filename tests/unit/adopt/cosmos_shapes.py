"""DAG files of Cosmos in the shapes that people write, and what a pipeline takes from each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A DAG file `dags/shape.py` with one Cosmos DAG, beside other files."""

    text: str
    files: Mapping[str, str] = field(default_factory=dict)
    """Other files of the repository."""
    line: int
    kind: str = "DbtDag"
    dag_id: str = "shop_daily"
    project: str | None = "/usr/local/airflow/dbt/shop"
    keys: Mapping[str, Any]
    """Of the spec."""
    notes: tuple[str, ...] = ()
    """Settings that are not taken over."""
    computed: Mapping[str, str] = field(default_factory=dict)


_POSTGRES = """\
from cosmos.profiles import PostgresUserPasswordProfileMapping
profile = ProfileConfig(
    profile_name="default",
    target_name="dev",
    profile_mapping=PostgresUserPasswordProfileMapping(conn_id="shop_db", profile_args={"schema": "public"}),
)
"""
_WAREHOUSE = {"connection": "shop_db", "profile": {"schema": "public"}, "target": "dev", "freshness": "off"}

SHAPES: dict[str, Shape] = {
    "DbtDag with everything in it": Shape(
        text="""\
from datetime import datetime, timedelta
from cosmos import DbtDag, ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.profiles import SnowflakeUserPasswordProfileMapping

shop_daily = DbtDag(
    dag_id="shop_daily",
    project_config=ProjectConfig("/usr/local/airflow/dbt/shop", dbt_vars={"region": "emea"}),
    profile_config=ProfileConfig(
        profile_name="shop",
        target_name="prod",
        profile_mapping=SnowflakeUserPasswordProfileMapping(
            conn_id="snowflake",
            profile_args={"database": "SHOP", "schema": "CORE", "threads": 8, "password": "hunter2"},
        ),
    ),
    execution_config=ExecutionConfig(dbt_executable_path="/usr/local/airflow/dbt_venv/bin/dbt"),
    render_config=RenderConfig(select=["path:models/marts", "tag:daily"], exclude=["tag:slow"]),
    operator_args={"install_deps": True, "full_refresh": False},
    schedule="0 6 * * *",
    start_date=datetime(2024, 3, 1),
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=90),
    tags=["dbt", "shop"],
    default_args={"owner": "data", "retries": 2, "retry_delay": timedelta(minutes=5)},
)
""",
        line=5,
        keys={
            "vars": {"region": "emea"},
            "target": "prod",
            "connection": "snowflake",
            "profile": {"schema": "CORE", "threads": 8, "extra": {"database": "SHOP"}},
            "dbt": "/usr/local/airflow/dbt_venv/bin/dbt",
            "select": ["path:models/marts", "tag:daily"],
            "exclude": ["tag:slow", "package:elementary"],
            "schedule": "0 6 * * *",
            "start_date": "2024-03-01",
            "catchup": False,
            "max_active_runs": 1,
            "run_timeout": "90m",
            "tags": ["dbt", "shop"],
            "owner": "data",
            "retries": {"models": 2, "delay": "5m"},
            "freshness": "off",
        },
        notes=(
            "default_args.retries",
            "operator_args.full_refresh",
            "operator_args.install_deps",
            "profile_args.password",
        ),
    ),
    "aliased imports": Shape(
        text=f"""\
import cosmos as c
from cosmos import ProfileConfig
from cosmos.airflow.dag import DbtDag as Project
{_POSTGRES}
Project("shop_daily", project_config=c.ProjectConfig("/usr/local/airflow/dbt/shop"), profile_config=profile,
        schedule="@weekly")
""",
        line=11,
        keys={**_WAREHOUSE, "schedule": "@weekly"},
    ),
    "module": Shape(
        text="""\
import cosmos
import cosmos.profiles
cosmos.DbtDag(
    dag_id="shop_daily",
    project_config=cosmos.ProjectConfig(dbt_project_path="/usr/local/airflow/dbt/shop"),
    profile_config=cosmos.ProfileConfig(
        "default", "dev", profile_mapping=cosmos.profiles.get_automatic_profile_mapping("shop_db", {"schema": "public"})
    ),
)
""",
        line=3,
        keys={**_WAREHOUSE, "schedule": None},
    ),
    "task group in with DAG": Shape(
        text=f"""\
from airflow import DAG
from airflow.operators.empty import EmptyOperator
from cosmos import DbtTaskGroup, ProfileConfig, ProjectConfig
import pendulum
{_POSTGRES}
with DAG("shop_daily", schedule_interval="@hourly", start_date=pendulum.datetime(2024, 1, 1, tz="Europe/Berlin"),
         default_args=dict(owner="shop", retries=0)):
    start = EmptyOperator(task_id="start")
    dbt = DbtTaskGroup("dbt", project_config=ProjectConfig("/usr/local/airflow/dbt/shop"), profile_config=profile)
    start >> dbt
""",
        line=15,
        kind="DbtTaskGroup",
        keys={
            **_WAREHOUSE,
            "schedule": "@hourly",
            "start_date": "2024-01-01",
            "owner": "shop",
            "retries": {"models": 0},
        },
        notes=("DAG.start_date",),
    ),
    "task group in @dag": Shape(
        text=f"""\
from airflow.decorators import dag, task
from cosmos import DbtTaskGroup, ProfileConfig, ProjectConfig
{_POSTGRES}
@dag(schedule="30 4 * * 1-5", catchup=True, tags=["shop"], on_failure_callback=print)
def shop_daily():
    @task
    def load():
        pass

    dbt = DbtTaskGroup(
        group_id="dbt", project_config=ProjectConfig("/usr/local/airflow/dbt/shop"), profile_config=profile,
        default_args={{"retries": 3}},
    )
    load() >> dbt

shop_daily()
""",
        line=16,
        kind="DbtTaskGroup",
        keys={
            **_WAREHOUSE,
            "schedule": "30 4 * * 1-5",
            "catchup": True,
            "tags": ["shop"],
            "retries": {"models": 3},
        },
        notes=("DAG.on_failure_callback", "default_args.retries"),
    ),
    "task group in the dag of a name": Shape(
        text=f"""\
from airflow.sdk import DAG, Asset
from cosmos import DbtTaskGroup, ProfileConfig, ProjectConfig
{_POSTGRES}
dag = DAG(dag_id="shop_daily", schedule=[Asset("s3://landing/orders"), Asset(name="x", uri="s3://landing/customers")])
dag.doc_md = __doc__
DbtTaskGroup(group_id="dbt", dag=dag, project_config=ProjectConfig("/usr/local/airflow/dbt/shop"),
             profile_config=profile)
""",
        line=12,
        kind="DbtTaskGroup",
        keys={**_WAREHOUSE, "after": ["s3://landing/orders", "s3://landing/customers"]},
    ),
    "constants and paths": Shape(
        text="""\
import os
from datetime import timedelta
from pathlib import Path
from cosmos import DbtDag, ProfileConfig, ProjectConfig

DAG_ID = "shop" + "_" + "daily"
HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / "dbt"
DbtDag(
    dag_id=DAG_ID,
    project_config=ProjectConfig(dbt_project_path=FOLDER.joinpath("shop").as_posix()),
    profile_config=ProfileConfig("shop", "dev", profiles_yml_filepath=os.path.join(FOLDER, "shop", "profiles.yml")),
    schedule=timedelta(hours=6),
)
""",
        files={"dbt/shop/profiles.yml": ""},
        line=9,
        project="{root}/dbt/shop",
        keys={
            "target": "dev",
            "profile": {"file": "dbt/shop/profiles.yml"},
            "schedule": "0 */6 * * *",
            "freshness": "off",
        },
        notes=("DAG.schedule",),
    ),
    "environment variables with defaults": Shape(
        text="""\
import os
from cosmos import DbtDag, ExecutionConfig, ProfileConfig, ProjectConfig

DEFAULT = Path = "/usr/local/airflow/dbt"
ROOT = os.getenv("DBT_ROOT", DEFAULT)
VENV = f"{os.environ['AIRFLOW_HOME']}/dbt_venv/bin/dbt"
shop = DbtDag(
    dag_id="shop_daily",
    project_config=ProjectConfig(f"{ROOT}/shop"),
    profile_config=ProfileConfig("shop", os.environ.get("TARGET", "prod"), profiles_yml_filepath=f"{ROOT}/none.yml"),
    execution_config=ExecutionConfig(dbt_executable_path=VENV),
    schedule=os.environ["SCHEDULE"],
)
""",
        line=7,
        keys={"target": "prod", "freshness": "off"},
        notes=("ProfileConfig.profiles_yml_filepath",),
        computed={
            "ExecutionConfig.dbt_executable_path": "dags/shape.py:11",
            "DAG.schedule": "dags/shape.py:12",
        },
    ),
    "configs in another file": Shape(
        text="""\
from cosmos import DbtDag
from include.settings import PROJECT as project, profile
from .times import *

DbtDag(dag_id="shop_daily", project_config=project, profile_config=profile, schedule=EVERY_DAY, **ARGUMENTS)
""",
        files={
            "include/__init__.py": "",
            "include/settings.py": f"""\
from cosmos import ProfileConfig, ProjectConfig
from include.paths import FOLDER
{_POSTGRES}
PROJECT = ProjectConfig(FOLDER)
""",
            "include/paths.py": 'from pathlib import Path\nFOLDER = Path("/usr/local/airflow/dbt") / "shop"\n',
            "dags/times.py": """\
EVERY_DAY = "@daily"
ARGUMENTS = {"catchup": False, "tags": ["a"], **{"max_active_runs": 2}}
""",
        },
        line=5,
        keys={**_WAREHOUSE, "schedule": "@daily", "catchup": False, "tags": ["a"], "max_active_runs": 2},
    ),
    "DAGs in a loop": Shape(
        text=f"""\
from cosmos import DbtDag, ProfileConfig, ProjectConfig, RenderConfig
{_POSTGRES}
for team in ("orders", "customers"):
    globals()[team] = DbtDag(
        dag_id=f"shop_{{team}}",
        project_config=ProjectConfig("/usr/local/airflow/dbt/shop"),
        profile_config=profile,
        render_config=RenderConfig(select=[f"tag:{{team}}"]),
        schedule="@daily",
    )
""",
        line=10,
        dag_id="",
        keys={**_WAREHOUSE, "schedule": "@daily"},
        computed={
            "DAG.dag_id": "dags/shape.py:11",
            "RenderConfig.select": "dags/shape.py:14",
            "DbtDag (in a loop)": "dags/shape.py:10",
        },
    ),
    "DAGs of a function": Shape(
        text=f"""\
from cosmos import DbtDag, ProfileConfig, ProjectConfig
{_POSTGRES}
def make(name, folder, **rest):
    return DbtDag(
        dag_id=name, project_config=ProjectConfig(folder), profile_config=profile, schedule="@daily", **rest
    )

shop = make("shop_daily", "/usr/local/airflow/dbt/shop", catchup=False)
""",
        line=10,
        dag_id="",
        project=None,
        keys={**_WAREHOUSE, "schedule": "@daily"},
        computed={
            "DAG.dag_id": "dags/shape.py:11",
            "ProjectConfig.dbt_project_path": "dags/shape.py:11",
            "DbtDag (**)": "dags/shape.py:11",
        },
    ),
    "manifest, watcher, no tests": Shape(
        text=f"""\
from airflow.timetables.trigger import CronTriggerTimetable
from cosmos import DbtDag, ExecutionConfig, LoadMode, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import ExecutionMode, SeedRenderingBehavior, SourceRenderingBehavior, TestBehavior
{_POSTGRES}
DbtDag(
    dag_id="shop_daily",
    project_config=ProjectConfig(manifest_path="/usr/local/airflow/dbt/shop/target/manifest.json", project_name="shop"),
    profile_config=profile,
    execution_config=ExecutionConfig(
        execution_mode=ExecutionMode.WATCHER, dbt_project_path="/usr/local/airflow/dbt/shop"
    ),
    render_config=RenderConfig(
        load_method=LoadMode.DBT_MANIFEST,
        selector="nightly",
        test_behavior=TestBehavior.NONE,
        seed_rendering_behavior=SeedRenderingBehavior.NONE,
        source_rendering_behavior=SourceRenderingBehavior.WITH_TESTS_OR_FRESHNESS,
        node_converters={{"source": lambda **_: None}},
    ),
    on_warning_callback=lambda context: None,
    schedule=CronTriggerTimetable("0 3 * * *", timezone="America/New_York"),
)
""",
        line=11,
        keys={
            "connection": "shop_db",
            "profile": {"schema": "public"},
            "target": "dev",
            "select": ["selector:nightly"],
            "exclude_resource_types": ["test", "unit_test", "seed"],
            "schedule": "0 3 * * *",
        },
        notes=(
            "DAG.schedule",
            "ProjectConfig.manifest_path",
            "ProjectConfig.project_name",
            "RenderConfig.load_method",
            "RenderConfig.node_converters",
            "on_warning_callback",
        ),
    ),
    "Kubernetes": Shape(
        text="""\
from airflow import DAG
from cosmos import DbtTaskGroup, ExecutionConfig, ExecutionMode, ProjectConfig
from pendulum import duration

def secrets():
    return []

with DAG(dag_id="shop_daily", schedule=None) as dag:
    DbtTaskGroup(
        group_id="dbt",
        project_config=ProjectConfig("dbt/shop"),
        execution_config=ExecutionConfig(execution_mode=ExecutionMode.KUBERNETES),
        operator_args={
            "image": "shop/dbt:1",
            "secrets": secrets(),
            "retry_delay": duration(minutes=1),
            "vars": {"day": "{{ ds }}", "region": "emea", "api_token": "x"},
        },
    )
""",
        line=9,
        kind="DbtTaskGroup",
        project="dbt/shop",
        keys={"schedule": None, "retries": {"delay": "1m"}, "vars": {"region": "emea"}, "freshness": "off"},
        notes=(
            "ExecutionConfig.execution_mode",
            "operator_args.image",
            "operator_args.secrets",
            "operator_args.vars.api_token",
            "operator_args.vars.day",
        ),
    ),
    "names that change": Shape(
        text=f"""\
from cosmos import DbtDag, ProfileConfig, ProjectConfig
{_POSTGRES}
arguments = {{"retries": 1}}
arguments["owner"] = "shop"
if profile:
    every = "@daily"
else:
    every = "@hourly"
tags = ["a"]
tags.append("b")
with open("x") as file:
    DbtDag(dag_id="shop_daily", project_config=ProjectConfig("/usr/local/airflow/dbt/shop"), profile_config=profile,
           default_args=arguments, schedule=every, tags=tags, description=file.read())
""",
        line=18,
        keys=_WAREHOUSE,
        computed={
            "default_args": "dags/shape.py:19",
            "DAG.schedule": "dags/shape.py:19",
            "DAG.tags": "dags/shape.py:19",
            "DAG.description": "dags/shape.py:19",
        },
    ),
    "values that a spec refuses": Shape(
        text="""\
from datetime import timedelta
from cosmos import DbtDag, ProjectConfig, RenderConfig
DbtDag(dag_id="shop_daily", project_config=ProjectConfig("/usr/local/airflow/dbt/shop"),
       render_config=RenderConfig(select=["state:modified"]), schedule=timedelta(minutes=7), max_active_runs=0)
""",
        line=3,
        keys={"freshness": "off"},
        notes=("DAG.schedule", "max_active_runs", "select"),
    ),
}
