"""Render a plan as an Airflow DAG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, time
from functools import partial
from typing import Any

from airflow.sdk import DAG, BaseOperator, TaskGroup, get_parsing_context

from goldsmith.dag.alerts import add_alerts, alert_now
from goldsmith.dag.assets import declare_assets
from goldsmith.dag.copies import copy_task
from goldsmith.dag.deadlines import deadline_alerts
from goldsmith.dag.docs import gate_docs, pipeline_docs
from goldsmith.dag.ended import ended_task, read_after_errors
from goldsmith.dag.last_tasks import add_elementary_tables, add_report, wire_report
from goldsmith.dag.params import add_run_params
from goldsmith.dag.schedule import schedule_of
from goldsmith.dag.wiring import wire
from goldsmith.dbt.project import DbtProject
from goldsmith.engine.base import Builds, Engine
from goldsmith.engine.dbt.workspace import DbtTarget
from goldsmith.engine.gate.asking import AskingGateTask
from goldsmith.engine.gate.task import GateTask
from goldsmith.engine.isolated.engine import IsolatedEngine
from goldsmith.engine.missing import MissingTask
from goldsmith.engine.retry_policy import NodeRetryPolicy, but_final_errors
from goldsmith.engine.shared.engine import SharedEngine
from goldsmith.engine.site import Site
from goldsmith.errors import ConfigurationError, EnvironmentProblem
from goldsmith.notify.tasks import tell_slow, tell_waiting
from goldsmith.plan.graph import PlanGraph
from goldsmith.plan.groups import unit_group_id
from goldsmith.plan.model import Plan, PlannedBuild, PlannedNode
from goldsmith.plan.priority import priorities
from goldsmith.plan.stages import ALL
from goldsmith.profile_file import connection_of
from goldsmith.report.pace import measured_seconds
from goldsmith.report.store import ReportStore
from goldsmith.results.objects import is_object_storage
from goldsmith.settings import Settings, developer_schema
from goldsmith.spec.pipeline import Pipeline
from goldsmith.spec.run import PROD
from goldsmith.warehouse.turns import ONE_SLOT_POOL, is_one_process

_LONGEST_OWNERS = 2000  # that of all tasks in one text; a longer one stops the dag-processor
_LONGEST_TAG = 100  # Airflow refuses a DAG with a longer one; dbt knows no limit


def render(
    plan: Plan, spec: Pipeline, project: DbtProject, here: Settings, *, load_plan: Callable[[], Plan]
) -> DAG:
    """Make the DAG of a plan.

    In a task's own process Airflow runs the DAG file again only to find that one task, so only it is built there;
    the scheduler works from the whole DAG, which the dag-processor serialised.

    Args:
        plan: The compiled pipeline; in a task's process the part with that task is enough.
        spec: The pipeline it was compiled from.
        project: Its dbt project.
        here: Settings of this process.
        load_plan: Gives the whole plan to the tasks that need it, when they run.
    """
    engine = _engine(spec, project, here, load_plan)
    asked = get_parsing_context()
    wanted = asked.task_id
    with _dag(plan, spec, here, engine, is_for_task=wanted is not None) as dag:
        if wanted is None or wanted.startswith("ingest."):
            _ingest(spec, engine)
        part = plan.part(wanted) if wanted else plan
        add_elementary_tables(part, spec, engine.site, wanted)
        weights = _weights(part, spec, engine, here) if wanted is None else {}
        _Nodes(dag, part, spec, engine, weights).add()
        _add_gates(part, spec, engine.site)
        if engine.builds:
            _add_builds(part, spec, engine.builds, engine.site, wanted)
        add_report(part, spec, engine.site, wanted, root=here.root)
        add_alerts(spec, engine.site, wanted)
        if wanted is None:
            wire(dag, part)
            wire_report(dag)
            declare_assets(dag, part)
            if engine.builds:
                add_run_params(dag)
        elif asked.dag_id == dag.dag_id and wanted not in dag.task_dict:
            MissingTask(task_id=wanted, **_airflow_arguments(spec.owner, spec, engine.site))
    return dag


def _dag(plan: Plan, spec: Pipeline, here: Settings, engine: Engine, *, is_for_task: bool) -> DAG:
    """The DAG without its tasks; in a task's process without what only people see."""
    tags = set[str]() if is_for_task else {tag for node in plan.nodes for tag in node.tags}
    environment = here.environment or engine.site.target.target
    takes_turns = is_one_process(plan.adapter)
    # Only the local stack surely has the pool: without it no task would ever start.
    pool = spec.pool or (ONE_SLOT_POOL if takes_turns and here.is_local else None)
    # Airflow counts active tasks for each run by itself.
    most_runs = 1 if takes_turns and not pool else spec.max_active_runs
    dag = DAG(
        dag_id=spec.name,
        description=spec.description.strip().split("\n")[0],
        doc_md=None if is_for_task else pipeline_docs(plan, spec),
        schedule=schedule_of(spec) if here.is_scheduled else None,
        start_date=datetime.combine(spec.start_date, time(), UTC),
        catchup=spec.catchup,
        max_active_runs=most_runs,
        tags=sorted({tag[:_LONGEST_TAG] for tag in ("goldsmith", *spec.tags, *tags)}),
        default_args={"owner": spec.owner, **({"pool": pool} if pool else {})},
        deadline=None if is_for_task else deadline_alerts(plan, spec, environment) or None,
    )
    if takes_turns:
        dag.max_active_tasks = 1
    return dag


def _ingest(spec: Pipeline, engine: Engine) -> None:
    site = engine.site
    if spec.ingest:
        from goldsmith.ingest.task_group import ingest_group

        ingest_group(
            spec.ingest,
            connection=site.target.connection,
            task_timeout=spec.task_timeout,
            run_timeout=spec.run_timeout,
            target=site.target.target,
            is_loaded=engine.builds.is_loaded if engine.builds else None,
            **alert_now(spec, site),
        )


def _engine(spec: Pipeline, project: DbtProject, here: Settings, load_plan: Callable[[], Plan]) -> Engine:
    target = DbtTarget(
        dag_id=spec.name,
        project_dir=project.path,
        profile_name=project.profile,
        target=spec.target or here.target,
        connection=connection_of(spec, here, profile=project.profile, project_dir=project.path),
        profile_args=_profile_args(spec, here),
        variables=spec.vars,
        parsed_dir=project.manifest_path.parent,
        dbt=project.dbt,
    )
    site = Site(
        load_plan=load_plan,
        target=target,
        results_path=here.results_path,
        failing_rows=spec.failing_rows,
        run_timeout=spec.run_timeout,
        gates=spec.gates,
        freshness=spec.freshness,
        ingested=tuple(one.source for one in spec.ingest),
        compared_with=here.root / spec.state_manifest if spec.state_manifest else None,
        window=spec.window,
        lasted=ReportStore(here.results_path, spec.name).last_seconds,
    )
    if spec.alerts:
        site.on_slow = partial(tell_slow, site, spec.alerts)
    if spec.engine == "isolated":
        return IsolatedEngine(site=site)
    return SharedEngine(site=site)


def _profile_args(spec: Pipeline, here: Settings) -> dict[str, str | int | bool]:
    """On a developer's machine another database gets a schema of the developer's, unless the spec names one."""
    is_named = "schema_" in spec.profile.model_fields_set
    if spec.profile.file is not None:
        return {}
    is_own = here.is_foreign(spec.connection) and (spec.target or here.target) != PROD and not is_named
    return spec.profile.for_dbt() | ({"schema": developer_schema()} if is_own else {})


def _weights(plan: Plan, spec: Pipeline, engine: Engine, here: Settings) -> dict[str, int]:
    """Task id to weight, where each node waits for a slot of its own: the shared engine's nodes wait for none.

    From a folder alone: a DAG file is not to wait for object storage whenever it is parsed.
    """
    if engine.builds:
        return {}
    seconds: dict[str, float] = {}
    if not is_object_storage(here.results_path):
        with suppress(EnvironmentProblem):  # the dag-processor may not be allowed to read it
            seconds = measured_seconds(ReportStore(here.results_path, spec.name))
    return priorities(PlanGraph(plan), seconds)


class _Nodes:
    """The tasks of the nodes, and the groups they are shown in, made on first use.

    Groups add no prefix to the ids of their tasks: a task keeps its id, and with it its history, when it is shown
    elsewhere.
    """

    def __init__(
        self, dag: DAG, plan: Plan, spec: Pipeline, engine: Engine, weights: Mapping[str, int]
    ) -> None:
        self._dag = dag
        self._spec = spec
        self._engine = engine
        self._weights = weights
        self._graph = PlanGraph(plan)
        self._names = {task_id: nodes[0].name for task_id, nodes in self._graph.tasks.items()}
        self._groups: dict[tuple[str, str], TaskGroup] = {}
        self._like: dict[tuple[str, str], BaseOperator] = {}
        self._owners = _owners_that_fit(plan.nodes, spec.owner)

    def add(self) -> None:
        """Add the tasks of all nodes of the plan."""
        for nodes in self._graph.tasks.values():
            self._add(nodes)
        for node in read_after_errors(self._graph):
            owner = node.owner if node.owner in self._owners else self._spec.owner
            ended_task(node, task_group=self._group(node.group, node.unit), owner=owner)

    def _add(self, nodes: tuple[PlannedNode, ...]) -> None:
        """Copy a task that differs in nothing else, unless the node has arguments of its own."""
        node = nodes[0]
        group = self._group(node.group, node.unit)
        own = {"task_id": node.task_id, "task_display_name": node.display_name, "doc_md": node.docs}
        like = self._like.get((node.kind, node.owner))
        if like and not node.operator_kwargs:
            # The next one is a copy of this copy: what their constructor was given is then one object for all.
            self._like[node.kind, node.owner] = copy_task(like, self._dag, group, nodes=nodes, **own)
            return
        owner = node.owner if node.owner in self._owners else self._spec.owner
        airflow = _airflow_arguments(owner, self._spec, self._engine.site)
        arguments = {**own, "task_group": group, **airflow}
        if weight := self._weights.get(node.task_id):
            arguments |= {"priority_weight": weight, "weight_rule": "absolute"}
        task = self._task(nodes, arguments)
        if self._engine.builds and not node.operator_kwargs:
            self._like[node.kind, node.owner] = task

    def _task(self, nodes: tuple[PlannedNode, ...], arguments: Mapping[str, Any]) -> BaseOperator:
        """Make a task, and say whose arguments Airflow does not take: no other task has any that a project wrote."""
        try:
            return self._engine.node_task(nodes, **arguments)
        except Exception as error:
            node = nodes[0]
            if not node.operator_kwargs:
                raise
            raise ConfigurationError(
                f"Airflow does not take meta.cosmos.operator_kwargs of {node.unique_id}, {node.operator_kwargs}: "
                f"{error}",
                hint=f"Change them in {node.file}, or in the YAML file that describes it. For a time limit write "
                "meta.goldsmith.timeout.",
            ) from error

    def _group(self, top: str, unit: str = "") -> TaskGroup:
        """The group of a layer or folder, or of one node inside it."""
        if (top, unit) not in self._groups:
            self._groups[top, unit] = TaskGroup(
                group_id=unit_group_id(unit) if unit else top,
                group_display_name=self._names.get(unit, unit) or top,
                prefix_group_id=False,
                parent_group=self._group(top) if unit else None,
            )
        return self._groups[top, unit]


def _owners_that_fit(nodes: Iterable[PlannedNode], usual: str) -> set[str]:
    """The owners that Airflow has room for, those of most nodes first: it keeps all of a DAG in one text."""
    fitting, room = {usual}, _LONGEST_OWNERS - len(usual)
    for owner, _ in Counter(node.owner for node in nodes).most_common():
        needed = len(f", {owner}")
        if owner not in fitting and needed <= room:
            fitting.add(owner)
            room -= needed
    return fitting


def _airflow_arguments(owner: str, spec: Pipeline, site: Site) -> dict[str, Any]:
    return {
        "owner": owner,
        **alert_now(spec, site),
        # Later selections skip what was not chosen; what lies below shall run all the same.
        "trigger_rule": "none_failed",
        # As many as any node may have, for when the task is lost; what failed is judged by the policy.
        "retries": max(spec.retries.models, spec.retries.tests),
        "retry_policy": NodeRetryPolicy(spec.retries, spec.run_timeout),
        "retry_delay": spec.retries.delay,
        "retry_exponential_backoff": True,
        "max_retry_delay": spec.retries.max_delay,
        "execution_timeout": spec.task_timeout,
    }


def _add_gates(plan: Plan, spec: Pipeline, site: Site) -> None:
    for gate in plan.gates:
        asks = gate.layer in spec.gates and spec.gates[gate.layer].on_block == "ask"
        given = {"on_ask": partial(tell_waiting, site, spec.alerts)} if asks and spec.alerts else {}
        make = AskingGateTask if asks else GateTask
        make(
            **given,
            **alert_now(spec, site),
            task_id=gate.task_id,
            task_display_name=f"gate after {gate.layer}",
            gate=gate,
            site=site,
            trigger_rule="all_done",
            # For a lost worker, or an answer that came too soon for Airflow; a verdict is final.
            retries=max(spec.retries.models, 2 if asks else 0),
            retry_delay=spec.retries.build_delay,
            retry_policy=but_final_errors(spec.retries),
            doc_md=gate_docs(gate),
        )


def _add_builds(plan: Plan, spec: Pipeline, builds: Builds, site: Site, wanted: str | None) -> None:
    for build in plan.builds:
        if wanted in (None, build.task_id):
            builds.build_task(build, **_build_arguments(build, spec), **alert_now(spec, site))
        if wanted in (None, build.reconcile_id):
            builds.reconcile_task(
                build,
                task_display_name=f"reconcile {build.name}",
                retries=3,  # for a lost worker, and for tasks that were cleared while it compared
                retry_delay=spec.retries.build_delay,
                retry_policy=but_final_errors(spec.retries),
                execution_timeout=spec.task_timeout,
                doc_md="Fails the run where Airflow, dbt and the warehouse do not say the same about a node.",
            )


def _build_arguments(build: PlannedBuild, spec: Pipeline) -> dict[str, Any]:
    what = "all layers" if build.name == ALL else build.name
    return {
        "task_display_name": f"build {what}",
        "trigger_rule": build.waits_for,
        "retries": spec.retries.models,
        "retry_delay": spec.retries.build_delay,
        "retry_policy": but_final_errors(spec.retries),
        "doc_md": f"One `dbt build` for every node of `{what}` that is not green yet. A node that fails is red itself; "
        "this task fails only where dbt could not get to its nodes, and its next try builds what is missing.",
    }
