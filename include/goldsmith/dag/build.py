"""Render a plan as an Airflow DAG."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, time
from typing import Any

from airflow.sdk import DAG, BaseOperator, TaskGroup, get_parsing_context

from goldsmith.dag.docs import pipeline_docs
from goldsmith.dbt.project import DbtProject
from goldsmith.engine.base import Engine
from goldsmith.engine.isolated import IsolatedEngine
from goldsmith.gates.operator import GateTask
from goldsmith.plan.model import Plan, PlannedNode
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline

_RETRIED_AS_MODELS = ("model", "seed", "snapshot")


def render(plan: Plan, spec: Pipeline, project: DbtProject, here: Settings) -> DAG:
    """Make the DAG of a plan.

    In a task's own process Airflow runs the DAG file again only to find that one task, so only it is built there;
    the scheduler works from the whole DAG, which the dag-processor serialised.

    Args:
        plan: The compiled pipeline.
        spec: The pipeline it was compiled from.
        project: Its dbt project.
        here: Settings of this process.
    """
    engine = _engine(spec, project, here)
    with DAG(
        dag_id=spec.name,
        description=spec.description.strip().split("\n")[0],
        doc_md=pipeline_docs(plan, spec),
        schedule=spec.schedule if here.is_scheduled else None,
        start_date=datetime.combine(spec.start_date, time(), UTC),
        catchup=spec.catchup,
        max_active_runs=spec.max_active_runs,
        tags=sorted({"goldsmith", *spec.tags, *(tag for node in plan.nodes for tag in node.tags)}),
        default_args={"owner": spec.owner},
    ) as dag:
        tasks: dict[str, BaseOperator] = {}
        wanted = get_parsing_context().task_id
        if wanted is None or wanted.startswith("ingest."):
            _ingest(spec)
        groups = _Groups(plan)
        for node in plan.nodes:
            if wanted in (None, node.task_id):
                group = groups.of(node.group, node.unit)
                tasks[node.task_id] = engine.node_task(node, **_airflow_arguments(node, spec, group))
        for gate in (gate for gate in plan.gates if wanted in (None, gate.task_id)):
            tasks[gate.task_id] = GateTask(
                task_id=gate.task_id,
                task_display_name=f"gate after {gate.layer}",
                layer=gate.layer,
                tasks=gate.upstream,
                task_group=groups.of(gate.group),
                trigger_rule="all_done",
                doc_md=f"Passes when every task of `{gate.layer}` is green; what comes after it waits.",
            )
        _wire(dag, plan, tasks)
    return dag


def _ingest(spec: Pipeline) -> None:
    if spec.ingest:
        from goldsmith.ingest.task_group import ingest_group

        ingest_group(
            spec.ingest,
            connection=spec.connection,
            task_timeout=spec.task_timeout,
            run_timeout=spec.run_timeout,
        )


def _engine(spec: Pipeline, project: DbtProject, here: Settings) -> Engine:
    return IsolatedEngine(
        dag_id=spec.name,
        project_dir=project.path,
        profile_name=project.profile,
        target=spec.target or here.target,
        connection=spec.connection,
        profile_args=spec.profile.for_dbt(),
        run_timeout=spec.run_timeout,
    )


class _Groups:
    """The DAG's task groups, made on first use.

    Groups add no prefix to the ids of their tasks: a task keeps its id, and with it its history, when it is shown
    elsewhere.
    """

    def __init__(self, plan: Plan) -> None:
        self._names = {node.task_id: node.name for node in plan.nodes}
        self._made: dict[tuple[str, str], TaskGroup] = {}

    def of(self, top: str, unit: str = "") -> TaskGroup:
        """The group of a layer or folder, or of one node inside it."""
        if (top, unit) not in self._made:
            self._made[top, unit] = TaskGroup(
                # A group's id may hold no dots; the node's verb at its end says nothing here.
                group_id=unit.rpartition(".")[0].replace(".", "__") if unit else top,
                group_display_name=self._names[unit] if unit else top,
                prefix_group_id=False,
                parent_group=self.of(top) if unit else None,
            )
        return self._made[top, unit]


def _airflow_arguments(node: PlannedNode, spec: Pipeline, group: TaskGroup) -> dict[str, Any]:
    return {
        "task_id": node.task_id,
        "task_display_name": node.display_name,
        "task_group": group,
        "owner": node.owner,
        "doc_md": node.docs,
        # Later selections skip what was not chosen; what lies below shall run all the same.
        "trigger_rule": "none_failed",
        "retries": spec.retries.models if node.kind in _RETRIED_AS_MODELS else spec.retries.tests,
        "retry_delay": spec.retries.delay,
        "retry_exponential_backoff": True,
        "max_retry_delay": spec.retries.max_delay,
        "execution_timeout": spec.task_timeout,
    }


def _wire(dag: DAG, plan: Plan, tasks: Mapping[str, BaseOperator]) -> None:
    """Set each task's upstream as planned; tasks that were not built here are left out."""
    upstream = {node.task_id: node.upstream for node in plan.nodes}
    upstream |= {gate.task_id: gate.upstream for gate in plan.gates}
    for task_id, task in tasks.items():
        for before in upstream[task_id]:
            if dag.has_task(before):
                task.set_upstream(dag.get_task(before))
