"""`goldsmith retry`: one node again in its run."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from goldsmith.client.airflow import Airflow
from goldsmith.client.find_run import find_run
from goldsmith.client.run import followed, last_run
from goldsmith.client.session import Watch
from goldsmith.client.summary import RunSummary
from goldsmith.errors import SelectionError
from goldsmith.pipelines.prepare import plan_of
from goldsmith.plan.model import Plan
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline
from goldsmith.wording import did_you_mean


def retry_node(
    airflow: Airflow,
    spec: Pipeline,
    here: Settings,
    *,
    node: str,
    run_id: str | None,
    downstream: bool,
    watch: Watch,
    report: Callable[[str], None],
) -> RunSummary:
    """Clear a node's task in a run, the latest unless one is named, and follow the run to its end.

    Raises:
        SelectionError: No task, or more than one, is meant by `node`.
        ConfigurationError: The pipeline has no run.
    """
    api = airflow.api
    run = find_run(api, spec.name, run_id) if run_id else last_run(api, spec)
    task_id = _task_of(
        node, plan_of(spec, here), [task.task_id for task in api.task_instances(spec.name, run.run_id)]
    )
    cleared = api.clear(spec.name, run.run_id, [task_id], downstream=downstream)
    api.unpause(spec.name)
    report(
        f"Cleared {len(cleared)} tasks of run {run.run_id}: {task_id}{' and downstream' if downstream else ''}"
    )
    return followed(airflow, run, spec, here, watch)


def _task_of(node: str, plan: Plan, task_ids: Iterable[str]) -> str:
    """The task that a person means: by task id, by dbt's unique id, or by the name of a node."""
    known = sorted(set(task_ids))
    if node in known:
        return node
    named = (one.task_id for one in plan.nodes if node in {one.unique_id, one.name})
    meant = list(dict.fromkeys(named))
    # A model and its tests may share words, not names; of a model and a snapshot the person has to choose.
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise SelectionError(f"{node!r} means {len(meant)} tasks.", hint=f"Name one: {', '.join(meant)}")
    names = {one.name: None for one in plan.nodes}
    raise SelectionError(
        f"No node and no task is called {node!r}. {did_you_mean(node, [*names, *known])}",
        hint=f"goldsmith plan {plan.pipeline}",
    )
