"""The addresses of Airflow's pages."""

from __future__ import annotations

from urllib.parse import quote

RESULT_TAB, REPORT_TAB = "dbt-result", "dbt-report"
"""Names, in addresses, of the tabs that Goldsmith adds: to a task for what dbt said, to a run for its report."""


def dag_url(url: str, dag_id: str) -> str:
    """The page of a DAG.

    Args:
        url: The address of Airflow's web page, without a slash at its end.
        dag_id: The DAG.
    """
    return f"{url}/dags/{quote(dag_id, safe='')}"


def run_url(url: str, dag_id: str, run_id: str) -> str:
    """The page of a run."""
    return f"{dag_url(url, dag_id)}/runs/{quote(run_id, safe='')}"


def report_url(url: str, dag_id: str, run_id: str) -> str:
    """The tab of a run with its report, which Goldsmith adds to Airflow."""
    return f"{run_url(url, dag_id, run_id)}/plugin/{REPORT_TAB}"


def task_url(url: str, dag_id: str, run_id: str, task_id: str, *, map_index: int = -1, tab: str = "") -> str:
    """The page of a task in a run, with its log.

    Args:
        url: As in `dag_url`.
        dag_id: The DAG.
        run_id: Its run.
        task_id: The task.
        map_index: Which of a mapped task's copies; -1 for a task that is not mapped.
        tab: Name of a tab that a plugin adds; empty for the log.
    """
    copy = f"/mapped/{map_index}" if map_index >= 0 else ""
    plugin = f"/plugin/{tab}" if tab else ""
    return f"{run_url(url, dag_id, run_id)}/tasks/{quote(task_id, safe='')}{copy}{plugin}"
