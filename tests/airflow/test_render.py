"""What Airflow sees of a plan."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from goldsmith.dag.build import render
from goldsmith.dbt import manifest as manifests
from goldsmith.dbt.project import DbtProject
from goldsmith.engine.isolated.node_task import IsolatedTask
from goldsmith.engine.retry_policy import NodeRetryPolicy
from goldsmith.engine.shared.node_task import NodeTask
from goldsmith.errors import ConfigurationError
from goldsmith.pipeline import load_plan
from goldsmith.pipeline_nodes import select_nodes
from goldsmith.plan.compile import compile_plan
from goldsmith.plan.graph import PlanGraph
from goldsmith.plan.model import Plan
from goldsmith.settings import Settings, airflow_url, developer_schema
from goldsmith.spec.pipeline import Pipeline
from goldsmith.spec.run import RunOptions


def test_every_planned_node_is_a_task_of_its_engine(dag: DAG, plan: Plan, spec: Pipeline) -> None:
    """Nodes, gates, builds and ingest: nothing else, and the edges are the plan's."""
    planned = {node.task_id: node for node in plan.nodes}
    between = {gate.task_id: gate.upstream for gate in plan.gates}
    between |= {build.task_id: build.upstream for build in plan.builds}
    reconciles = {build.reconcile_id for build in plan.builds}
    others = set(dag.task_dict) - set(planned) - set(between) - reconciles
    assert {task.split(".")[0] for task in others} == {"ingest", "report", "elementary_report", "alerts"}
    kind = NodeTask if spec.engine == "shared" else IsolatedTask
    for task_id, node in planned.items():
        task = dag.get_task(task_id)
        assert isinstance(task, kind)
        assert task.upstream_task_ids == set(node.upstream)
        assert (task.owner, task.doc_md, task.trigger_rule.value) == (node.owner, node.docs, "none_failed")
    for task_id, upstream in between.items():
        assert dag.get_task(task_id).upstream_task_ids == set(upstream)
    assert {dag.get_task(gate.task_id).trigger_rule.value for gate in plan.gates} == {"all_done"}


def test_what_reads_a_model_that_goes_on_after_an_error_waits_for_its_end(
    plan: Plan, spec: Pipeline, sample: DbtProject, here: Settings
) -> None:
    """A task between the two is green then, whatever the model's is; gates and comparisons look at that itself."""
    task_id, ended = "bronze.stg_customers.run", "bronze.stg_customers.run.ended"
    nodes = tuple(replace(node, goes_on=node.name == "stg_customers") for node in plan.nodes)
    changed = replace(plan, nodes=nodes)
    dag = render(changed, spec, sample, here, load_plan=lambda: changed)
    between = dag.get_task(ended)
    assert (between.trigger_rule.value, between.upstream_task_ids) == ("all_done", {task_id})
    assert between.inherits_from_empty_operator  # Airflow's scheduler sets it without a worker
    readers = {node.task_id for node in nodes if task_id in node.upstream}
    assert between.downstream_task_ids == readers
    judging = {"bronze.gate", *(build.reconcile_id for build in plan.builds if build.name == "bronze")}
    assert dag.get_task(task_id).downstream_task_ids == {ended, *judging}
    assert not [name for name in dag.task_dict if name.endswith(".ended") and name != ended]
    assert PlanGraph(changed).unknown(dict.fromkeys(dag.task_dict)) == []


def test_a_layer_is_built_once_and_compared_after_all_its_nodes(dag: DAG, plan: Plan, spec: Pipeline) -> None:
    """The comparison is a teardown, which runs after failures too, and fails the run where it fails."""
    assert [build.name for build in plan.builds] == (list(plan.layers) if spec.engine == "shared" else [])
    for build in plan.builds:
        built = {node.task_id for node in plan.nodes if node.build == build.task_id}
        assert built <= dag.get_task(build.task_id).downstream_task_ids
        assert dag.get_task(build.task_id).trigger_rule.value == build.waits_for
        reconcile = dag.get_task(build.reconcile_id)
        assert reconcile.upstream_task_ids == {build.task_id, *built}
        assert (reconcile.is_teardown, reconcile.on_failure_fail_dagrun) == (True, True)


def test_the_page_names_what_no_task_builds(
    plan: Plan, spec: Pipeline, sample: DbtProject, here: Settings
) -> None:
    """Resource types of a dbt that Goldsmith does not know yet."""
    later = replace(plan, unknown_kinds=("widget (2)",))
    page = render(later, spec, sample, here, load_plan=lambda: later).doc_md or ""
    assert "**Not built**: nodes of types that Goldsmith does not know: widget (2)." in page


@pytest.mark.parametrize("name", ["report", "elementary_report"])
def test_a_report_is_below_everything_and_decides_nothing(dag: DAG, plan: Plan, name: str) -> None:
    """A teardown which Airflow leaves out when it judges the run; so what stands before it decides, as without it."""
    report = dag.get_task(name)
    assert (report.is_teardown, report.on_failure_fail_dagrun, report.downstream_task_ids) == (
        True,
        False,
        {"alerts"},
    )
    assert {task.task_id for task in dag.tasks if not task.downstream_task_ids} == {"alerts"}
    last = {"gold.gate"} | {build.reconcile_id for build in plan.builds}
    assert last <= report.upstream_task_ids
    outside = {node.task_id for node in plan.nodes if node.layer not in plan.layers and not plan.builds}
    assert report.upstream_task_ids <= last | outside
    assert report.execution_timeout == timedelta(minutes=15)
    assert report.retries == 1


def test_a_run_takes_the_parameters_that_are_checked_and_no_task_copies_them(
    dag: DAG, spec: Pipeline
) -> None:
    """The form has a field for each; thousands of tasks with a copy of it would make the DAG heavy."""
    known = set(RunOptions.model_fields) if spec.engine == "shared" else set()
    assert set(dag.params) == known
    assert RunOptions.parse(dag.params.dump(), target="prod") == RunOptions()
    assert not [task.task_id for task in dag.tasks if task.params]


def test_tasks_of_both_engines_have_the_pipelines_variables(
    plan: Plan, spec: Pipeline, sample: DbtProject, here: Settings
) -> None:
    """They decide which nodes there are, so no dbt command may do without."""
    given = spec.model_copy(update={"vars": {"region": "emea"}})
    rendered = render(plan, given, sample, here, load_plan=lambda: plan)
    tasks: list[Any] = [rendered.get_task(node.task_id) for node in plan.nodes]
    assert {str(task.site.target.variables) for task in tasks} == {"{'region': 'emea'}"}


def test_assets_that_airflow_does_not_take_are_named_with_the_line_to_change(
    spec: Pipeline, sample: DbtProject, here: Settings
) -> None:
    """Each provider has rules of its own for the URIs of its scheme."""
    named = Pipeline.model_validate(
        {**spec.model_dump(by_alias=True), "asset_namespace": "postgres://host:5432"}
    )
    plan = load_plan(named, sample, here)
    with pytest.raises(ConfigurationError, match="must contain database, schema, and table") as caught:
        render(plan, named, sample, here, load_plan=lambda: plan)
    assert "asset_namespace" in caught.value.hint


def _report_tasks(spec: Pipeline, report: dict[str, Any] | None, sample: DbtProject, here: Settings) -> DAG:
    changed = Pipeline.model_validate({**spec.model_dump(by_alias=True), "report": report})
    plan = load_plan(changed, sample, here)
    return render(plan, changed, sample, here, load_plan=lambda: plan)


def test_a_run_without_its_report_is_red_where_the_spec_says_so(
    spec: Pipeline, sample: DbtProject, here: Settings
) -> None:
    """By a task that no worker runs; what stood last without it still decides too."""
    dag = _report_tasks(spec, {"on_report_failure": "fail"}, sample, here)
    made = dag.get_task("report_made")
    assert (made.upstream_task_ids, made.trigger_rule.value, made.is_teardown) == (
        {"report", "elementary_report"},
        "none_failed",
        False,
    )
    assert dag.get_task("report").downstream_task_ids == {"report_made", "alerts"}
    assert "report_made" not in dag.get_task("gold.gate").downstream_task_ids
    assert not any("report" in task_id for task_id in _report_tasks(spec, None, sample, here).task_dict)


def test_types_that_are_left_out_are_no_tasks_and_the_others_keep_their_order(
    plan: Plan, spec: Pipeline, sample: DbtProject, here: Settings
) -> None:
    """As dbt leaves them out of a command; what waited for a test waits for what is before it."""
    left_out = load_plan(spec.without_types(["unit_test", "test"]), sample, here)
    kinds = {node.unique_id: node.kind for node in plan.nodes}
    assert {"test", "unit_test"} <= set(kinds.values())
    assert {node.unique_id for node in left_out.nodes} == {
        uid for uid, kind in kinds.items() if kind not in ("test", "unit_test")
    }
    known = set(render(left_out, spec, sample, here, load_plan=lambda: left_out).task_dict)
    assert all(set(node.upstream) <= known for node in left_out.nodes)


def test_elementarys_tables_come_first_where_its_package_is_installed(
    plan: Plan, spec: Pipeline, sample: DbtProject, here: Settings
) -> None:
    """Before the first dbt command; without the package, or where nobody wants its report, there is no such task."""
    assert plan.elementary == ""
    manifest = manifests.load(sample.manifest_path, sample.path)
    there = compile_plan(spec, replace(select_nodes(spec, manifest), elementary_schema="observed"))
    dag = render(there, spec, sample, here, load_plan=lambda: there)
    below = dag.get_task("elementary_tables").downstream_task_ids
    if spec.engine == "shared":
        assert below == {"bronze.build"}
    else:
        assert {node.task_id for node in there.nodes if node.kind == "seed"} <= below
    without = _report_tasks(spec, {"elementary": None}, sample, here)
    assert not any(task_id.startswith("elementary") for task_id in without.task_dict)


def test_alerts_are_told_last_and_what_is_urgent_by_the_task_that_failed(
    plan: Plan, spec: Pipeline, sample: DbtProject, here: Settings
) -> None:
    """A teardown below the reports; without an urgent route tasks have no callback."""

    def rendered(**changes: Any) -> DAG:
        changed = Pipeline.model_validate({**spec.model_dump(by_alias=True), **changes})
        made = load_plan(changed, sample, here)
        return render(made, changed, sample, here, load_plan=lambda: made)

    dag = rendered(alerts={})
    alerts = dag.get_task("alerts")
    assert (alerts.is_teardown, alerts.on_failure_fail_dagrun, alerts.downstream_task_ids) == (
        True,
        False,
        set(),
    )
    assert alerts.upstream_task_ids == {"report", "elementary_report"}
    assert not any(task.on_failure_callback for task in dag.tasks)
    assert rendered(alerts={}, report=None).get_task("alerts").upstream_task_ids >= {"gold.gate"}
    urgent = rendered(alerts={"routes": [{"urgent": True}]})
    called = {task.task_id for task in urgent.tasks if task.on_failure_callback}
    builds = {build.task_id for build in plan.builds}
    assert {"gold.gate", "gold.fct_transactions.run", "ingest.transactions.load", *builds} <= called
    assert not {"alerts", "report", *(build.reconcile_id for build in plan.builds)} & called


def test_ingest_comes_before_what_reads_its_tables(dag: DAG, spec: Pipeline) -> None:
    """Loaded first, checked for freshness next, read after that; the first build waits for every ingest."""
    merge = dag.get_task("ingest.transactions.merge")
    first_build = {"bronze.build"} if spec.engine == "shared" else set()
    assert merge.downstream_task_ids == {"sources.data_lake.transactions.freshness", *first_build}
    assert merge.execution_timeout == timedelta(minutes=30)
    assert "bronze" in dag.task_group.children
    assert "ingest" in dag.task_group.children


def test_the_specs_retries_reach_the_operators(dag: DAG, plan: Plan, spec: Pipeline) -> None:
    """All have as many: a lost worker counts as any; what is tried again after a failure, their policy says."""
    by_kind: dict[str, set[tuple[int, timedelta | None]]] = {}
    for node in plan.nodes:
        task = dag.get_task(node.task_id)
        by_kind.setdefault(node.kind, set()).add((task.retries or 0, task.execution_timeout))
    half_hour = timedelta(minutes=30)
    assert set(by_kind) == {"model", "seed", "snapshot", "test", "unit_test", "source"}
    assert all(found == {(2, half_hour)} for found in by_kind.values())
    assert {dag.get_task(node.task_id).retry_policy for node in plan.nodes} == {
        NodeRetryPolicy(spec.retries, spec.run_timeout)
    }
    model = next(dag.get_task(node.task_id) for node in plan.nodes if node.kind == "model")
    assert (model.retry_delay, model.max_retry_delay) == (timedelta(minutes=5), half_hour)
    assert model.retry_exponential_backoff


def test_the_dag_follows_the_spec_and_explains_itself(dag: DAG, plan: Plan, spec: Pipeline) -> None:
    """One run at a time, hourly, nothing caught up; the page says what is in it."""
    assert (dag.max_active_runs, dag.catchup, dag.dagrun_timeout) == (1, False, None)
    assert dag.doc_md is not None
    for word in (
        "bronze → silver → gold",
        "| gold |",
        "`tasks: test`",
        "Chosen by `auto`",
        "tab *report* of the run",
        "**Owners** of nodes: ",
        *(line.split("**")[1] for line in plan.exposures),
    ):
        assert word in dag.doc_md
    assert ("*Trigger* has a form" in dag.doc_md) == (spec.engine == "shared")
    assert f"[runs]({airflow_url()}/dags/{spec.name}/runs)" in dag.doc_md or not airflow_url()
    assert "Not built" not in dag.doc_md
    assert spec.description.split("\n")[0] == dag.description


def test_the_dag_files_are_short_and_found_by_airflow(repository: Path) -> None:
    """Airflow drops a file, silently, that lacks the words `airflow` and `dag`."""
    files = list((repository / "dags").glob("*.py"))
    assert files
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 15
        assert "airflow" in text.lower()
        assert "dag" in text.lower()
        assert f"{file.stem} = " in text


def test_a_developer_builds_into_a_schema_of_ones_own(
    plan: Plan, spec: Pipeline, sample: DbtProject, here: Settings
) -> None:
    """In a database that is not the local stack's, unless it is production that is meant, or the spec names one."""
    foreign, local = replace(here, embedded="embedded", target="dev"), replace(here, embedded=spec.connection)
    named = Pipeline.parse({"name": "shop", "profile": {"schema": "team"}})
    unnamed = spec.model_copy(update={"target": None})
    for pipeline, settings, schema in (
        (unnamed, foreign, developer_schema()),
        (unnamed, replace(foreign, target="prod"), "analytics"),
        (unnamed, local, "analytics"),
        (unnamed, here, "analytics"),
        (named, foreign, "team"),
    ):
        dag = render(plan, pipeline, sample, settings, load_plan=lambda: plan)
        report: Any = dag.get_task("report")
        assert report.site.schema == schema


@pytest.mark.parametrize(
    ("is_local", "pool", "expected"),
    [(True, None, ("duckdb", 3)), (False, None, ("default_pool", 1)), (False, "files", ("files", 3))],
)
def test_tasks_that_share_a_duckdb_file_take_turns(
    plan: Plan,
    spec: Pipeline,
    sample: DbtProject,
    here: Settings,
    *,
    is_local: bool,
    pool: str | None,
    expected: tuple[str, int],
) -> None:
    """Those of one run anyway; runs too, unless a pool keeps them apart. Only the local stack surely has that pool."""
    given = spec.model_copy(update={"pool": pool, "max_active_runs": 3})
    ducks = replace(plan, adapter="duckdb")
    where = replace(here, embedded=spec.connection if is_local else None)
    dag = render(ducks, given, sample, where, load_plan=lambda: ducks)
    pools = {task.pool for task in dag.tasks}
    assert (pools, dag.max_active_runs, dag.max_active_tasks) == ({expected[0]}, expected[1], 1)
    assert "**In duckdb Goldsmith cannot**" in (dag.doc_md or "")
    usual = render(plan, spec, sample, here, load_plan=lambda: plan)
    assert usual.max_active_tasks > 1
    assert "Goldsmith cannot" not in (usual.doc_md or "")
