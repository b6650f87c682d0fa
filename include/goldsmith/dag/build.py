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
from goldsmith.engine.shared import SharedEngine
from goldsmith.engine.site import Site
from goldsmith.engine.workspace import DbtTarget
from goldsmith.gates.operator import GateTask
from goldsmith.plan.groups import unit_group_id
from goldsmith.plan.model import Plan, PlannedBuild, PlannedNode
from goldsmith.plan.stages import ALL
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
    engine = _engine(plan, spec, project, here)
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
                tasks=gate.judged,
                trigger_rule="all_done",
                doc_md=f"Passes when every task of `{gate.layer}` is green; what comes after it waits.",
            )
        if isinstance(engine, SharedEngine):
            tasks |= _builds(plan, spec, engine, wanted)
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


def _engine(plan: Plan, spec: Pipeline, project: DbtProject, here: Settings) -> Engine:
    target = DbtTarget(
        dag_id=spec.name,
        project_dir=project.path,
        profile_name=project.profile,
        target=spec.target or here.target,
        connection=spec.connection,
        profile_args=spec.profile.for_dbt(),
    )
    site = Site(
        load_plan=lambda: plan,
        target=target,
        results_path=here.results_path,
        failing_rows=spec.failing_rows,
        run_timeout=spec.run_timeout,
    )
    return IsolatedEngine(site=site) if spec.engine == "isolated" else SharedEngine(site=site)


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
                group_id=unit_group_id(unit) if unit else top,
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


def _builds(plan: Plan, spec: Pipeline, engine: SharedEngine, wanted: str | None) -> dict[str, BaseOperator]:
    tasks = {}
    for build in plan.builds:
        if wanted in (None, build.task_id):
            tasks[build.task_id] = engine.build_task(build, **_build_arguments(build, spec))
        if wanted in (None, build.reconcile_id):
            tasks[build.reconcile_id] = engine.reconcile_task(
                build,
                task_display_name=f"reconcile {build.name}",
                retries=1,
                retry_delay=spec.retries.build_delay,
                execution_timeout=spec.task_timeout,
                doc_md="Fails the run where Airflow, dbt and the warehouse do not say the same about a node.",
            )
    return tasks


def _build_arguments(build: PlannedBuild, spec: Pipeline) -> dict[str, Any]:
    what = "all layers" if build.name == ALL else build.name
    return {
        "task_display_name": f"build {what}",
        "trigger_rule": build.waits_for,
        "retries": spec.retries.models,
        "retry_delay": spec.retries.build_delay,
        "doc_md": f"One `dbt build` for every node of `{what}` that is not green yet. A node that fails is red itself; "
        "this task fails only where dbt could not get to its nodes, and its next try builds what is missing.",
    }


def _wire(dag: DAG, plan: Plan, tasks: Mapping[str, BaseOperator]) -> None:
    """Set each task's upstream as planned; tasks that were not built here are left out."""
    upstream = {node.task_id: node.upstream for node in plan.nodes}
    upstream |= {gate.task_id: gate.upstream for gate in plan.gates}
    upstream |= {build.task_id: build.upstream for build in plan.builds}
    built: dict[str, list[str]] = {build.task_id: [build.task_id] for build in plan.builds}
    for node in plan.nodes:
        if node.build:
            built[node.build].append(node.task_id)
    upstream |= {build.reconcile_id: tuple(built[build.task_id]) for build in plan.builds}
    for task_id, task in tasks.items():
        for before in upstream[task_id]:
            if dag.has_task(before):
                task.set_upstream(dag.get_task(before))
