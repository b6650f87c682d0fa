"""The pages of a task: what dbt said about its nodes, or why nothing is kept of it."""

from __future__ import annotations

from dataclasses import dataclass

from goldsmith.errors import GoldsmithError
from goldsmith.pages.page import Pages
from goldsmith.results.history import by_node
from goldsmith.results.record import NodeResult

_ENDED = {"success", "failed", "upstream_failed", "skipped", "removed"}
_NOT_SHARED = (
    "It ran on a machine that does not share this path with the API server: GOLDSMITH_RESULTS_PATH has to name the"
    " same folder or object storage on all of them."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A task in a run, and what is kept of it."""

    dag_id: str
    run_id: str
    task_id: str
    state: str
    """Airflow's; empty while it has none."""
    path: str = ""
    """The file or object that was looked at."""
    records: tuple[NodeResult, ...] = ()
    before: tuple[tuple[str, tuple[NodeResult, ...]], ...] = ()
    """Runs before this one, the latest first, each with what is kept of the task."""

    def runs_before(self, unique_id: str) -> tuple[tuple[str, NodeResult], ...]:
        """Of those runs that built a node: the run's id and what dbt said last."""
        lasts = ((run_id, {one.unique_id: one for one in records}) for run_id, records in self.before)
        return tuple((run_id, found[unique_id]) for run_id, found in lasts if unique_id in found)


def result_page(shown: Shown) -> str:
    """What dbt said about a task's nodes; or that nothing is kept, and why that may be."""
    reasons = () if shown.records else _reasons(shown.state)
    return _PAGES.render("result.html", shown=shown, nodes=by_node(shown.records), reasons=reasons)


def missing_page(dag_id: str, run_id: str, task_id: str) -> str:
    """Airflow knows no such task."""
    return _PAGES.render("missing.html", dag_id=dag_id, run_id=run_id, task_id=task_id)


def failed_page(error: GoldsmithError, shown: Shown) -> str:
    """What is kept cannot be read."""
    return _PAGES.render("failed.html", error=error, shown=shown)


def _reasons(state: str) -> tuple[str, ...]:
    """Why nothing may be kept of a task in this state, the likeliest first."""
    no_node = "It is no dbt node: a build, a gate, a task that loads raw files, or another DAG's."
    if state in {"upstream_failed", "skipped", "removed"}:
        return (f"dbt did not get to it: Airflow's state is {state}.", no_node)
    if state not in _ENDED:
        return ("dbt has not finished it yet in this run.", no_node)
    return (
        no_node,
        "It was marked by hand, and dbt never built it in this run.",
        "It ran before Goldsmith kept what dbt said, or with an engine that does not: see the task's log.",
        _NOT_SHARED,
        "It was deleted with other old results.",
    )


_PAGES = Pages("goldsmith.view")
CONTENT_SECURITY_POLICY = f"{_PAGES.policy}; frame-ancestors 'self'"


def missing_report(dag_id: str, run_id: str, *, why: str, said: str = "") -> str:
    """There is no report of a run.

    Args:
        dag_id: The DAG.
        run_id: The run.
        why: The reason; empty if Airflow knows no such run.
        said: The same in the words of the task that makes the report.
    """
    return _no_report(dag_id, run_id, why=why, said=said, error=None)


def failed_report(error: GoldsmithError, dag_id: str, run_id: str) -> str:
    """What is kept of a report cannot be read."""
    return _no_report(dag_id, run_id, why="", said="", error=error)


def _no_report(dag_id: str, run_id: str, **values: object) -> str:
    return _PAGES.render("no_report.html", dag_id=dag_id, run_id=run_id, **values)
