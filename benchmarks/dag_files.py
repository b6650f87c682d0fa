"""The DAG file of each variant, as a user would write it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from projects import TARGET

_START = "datetime(2026, 1, 1, tzinfo=UTC)"

_DBT_BUILD = '''\
"""Airflow DAG: the whole dbt project as one task, the yardstick."""

from datetime import UTC, datetime

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG("{name}", schedule=None, start_date={start}, catchup=False):
    BashOperator(task_id="dbt_build", bash_command="dbt build --project-dir {project} --profiles-dir {project}")
'''

_GOLDSMITH = '''\
"""Airflow DAG: the dbt project as Goldsmith runs it."""

from goldsmith import Pipeline, build_dag

pipeline = build_dag(Pipeline.parse({spec!r}))
'''

_COSMOS = '''\
"""Airflow DAG: the dbt project as Cosmos runs it."""

from datetime import UTC, datetime
from pathlib import Path

from cosmos import DbtDag, ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import ExecutionMode, InvocationMode, LoadMode, TestBehavior
from cosmos.profiles import PostgresUserPasswordProfileMapping

project = Path("{project}")
dag = DbtDag(
    dag_id="{name}",
    schedule=None,
    start_date={start},
    catchup=False,
    default_args={{"retries": 0}},
    project_config=ProjectConfig(
        dbt_project_path=project, manifest_path=project / "target" / "manifest.json", install_dbt_deps=False
    ),
    profile_config=ProfileConfig(
        profile_name="generated",
        target_name="{target}",
        profile_mapping=PostgresUserPasswordProfileMapping(
            conn_id="warehouse", profile_args={{"schema": "{name}", "threads": 4}}
        ),
    ),
    execution_config=ExecutionConfig(
        execution_mode=ExecutionMode.{mode}, invocation_mode=InvocationMode.DBT_RUNNER
    ),
    # Its assets need a host in their URI, and a socket has none: without assets it can only be faster.
    render_config=RenderConfig(
        load_method=LoadMode.DBT_MANIFEST, test_behavior=TestBehavior.AFTER_EACH, emit_datasets=False
    ),
)
'''

_WARM_UP = '''\
"""Airflow DAG: a few short tasks that let every worker do something once before anything is measured."""

from datetime import UTC, datetime

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG("{name}", schedule=None, start_date={start}, catchup=False):
    for number in range(8):
        BashOperator(task_id=f"task_{{number}}", bash_command="sleep 1")
'''

WARM_UP = "warm_up"


def _dbt_build(name: str, project: Path, _: Mapping[str, Any]) -> str:
    return _DBT_BUILD.format(name=name, project=project, start=_START)


def _goldsmith(name: str, project: Path, more: Mapping[str, Any]) -> str:
    # A report comes after what is measured.
    spec = {
        "name": name,
        "report": None,
        "engine": name,
        "schedule": None,
        "project": str(project),
        "target": TARGET,
    }
    return _GOLDSMITH.format(spec={**spec, "profile": {"schema": name}, **more})


def _cosmos(name: str, project: Path, _: Mapping[str, Any]) -> str:
    mode = name.removeprefix("cosmos_").upper()
    return _COSMOS.format(name=name, project=project, target=TARGET, mode=mode, start=_START)


VARIANTS: dict[str, Callable[[str, Path, Mapping[str, Any]], str]] = {
    "dbt_build": _dbt_build,
    "shared": _goldsmith,
    "isolated": _goldsmith,
    "cosmos_watcher": _cosmos,
    "cosmos_local": _cosmos,
}
SHARED = "shared"
GOLDSMITH = (SHARED, "isolated")
BASELINE = "dbt_build"


def write_dag_file(dags_dir: Path, variant: str, project: Path, *, spec: Mapping[str, Any]) -> None:
    """Write a variant's DAG file.

    Args:
        dags_dir: Airflow's DAG folder.
        variant: A key of `VARIANTS`; also the DAG's id and the schema in the warehouse.
        project: Its dbt project.
        spec: What Goldsmith's pipeline spec has besides.
    """
    # No file name may start with dbt_: dbt imports such modules as its plugins.
    (dags_dir / f"bench_{variant}.py").write_text(VARIANTS[variant](variant, project, spec))


def write_warm_up(dags_dir: Path) -> None:
    """Write the DAG that is run first and not measured."""
    (dags_dir / f"bench_{WARM_UP}.py").write_text(_WARM_UP.format(name=WARM_UP, start=_START))
