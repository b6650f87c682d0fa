"""Where a run is seen in Airflow, for people and for dbt's packages."""

from __future__ import annotations

from goldsmith.airflow_pages import dag_url, run_url
from goldsmith.engine.dbt.workspace import DbtTarget
from goldsmith.settings import airflow_url


def named_run(target: DbtTarget, run_id: str) -> dict[str, str]:
    """What tells dbt's packages which run it is: the environment variables that Elementary reads.

    Args:
        target: The dbt target of the run's pipeline.
        run_id: The run.
    """
    return {
        "ORCHESTRATOR": "airflow",
        "JOB_ID": target.dag_id,
        "JOB_NAME": target.dag_id,
        "JOB_RUN_ID": run_id,
        "JOB_URL": dag_url(airflow_url(), target.dag_id),
        "JOB_RUN_URL": run_url(airflow_url(), target.dag_id, run_id),
        "DBT_ENV": target.target,
    }
