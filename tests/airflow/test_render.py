"""What Airflow sees of a plan."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, Asset

from goldsmith.dag.build import render
from goldsmith.dbt import manifest as manifests
from goldsmith.dbt.project import DbtProject
from goldsmith.engine import isolated, node_task
from goldsmith.engine.retry_policy import NodeRetryPolicy
from goldsmith.pipeline import load_plan, select_nodes
from goldsmith.plan.compile import compile_plan
from goldsmith.plan.graph import PlanGraph
from goldsmith.plan.model import Plan
from goldsmith.report.pace import renew_pace
from goldsmith.report.store import ReportStore
from goldsmith.report.summary import Summary
from goldsmith.settings import Settings, airflow_url, developer_schema
from goldsmith.spec.pipeline import Pipeline
from goldsmith.spec.run import RunOptions

SAMPLE_SPEC = Path("dags/pipelines/customer_transactions.yml")


@pytest.fixture
def here(tmp_path: Path, settings_for: Callable[[Path], Settings]) -> Settings:
    """Settings as a worker would have them."""
    return settings_for(tmp_path)


@pytest.fixture(params=["shared", "isolated"])
def spec(repository: Path, request: pytest.FixtureRequest) -> Pipeline:
    """The sample pipeline, with either engine."""
    return Pipeline.from_yaml(repository / SAMPLE_SPEC).model_copy(update={"engine": request.param})


@pytest.fixture
def plan(spec: Pipeline, sample: DbtProject, here: Settings) -> Plan:
    """The sample pipeline's plan."""
    return load_plan(spec, sample, here)


@pytest.fixture
def dag(plan: Plan, spec: Pipeline, sample: DbtProject, here: Settings) -> DAG:
    """The sample pipeline's DAG."""
    return render(plan, spec, sample, here, load_plan=lambda: plan)


def test_every_planned_node_is_a_task_of_its_engine(dag: DAG, plan: Plan, spec: Pipeline) -> None:
    """Nodes, gates, builds and ingest: nothing else, and the edges are the plan's."""
    planned = {node.task_id: node for node in plan.nodes}
    between = {gate.task_id: gate.upstream for gate in plan.gates}
    between |= {build.task_id: build.upstream for build in plan.builds}
    reconciles = {build.reconcile_id for build in plan.builds}
    others = set(dag.task_dict) - set(planned) - set(between) - reconciles
    assert {task.split(".")[0] for task in others} == {"ingest", "report", "elementary_report"}
    kind = node_task.NodeTask if spec.engine == "shared" else isolated.NodeTask
    for task_id, node in planned.items():
        task = dag.get_task(task_id)
        assert isinstance(task, kind)
        assert task.upstream_task_ids == set(node.upstream)
        assert (task.owner, task.doc_md, task.trigger_rule.value) == (node.owner, node.docs, "none_failed")
    for task_id, upstream in between.items():
        assert dag.get_task(task_id).upstream_task_ids == set(upstream)
    assert {dag.get_task(gate.task_id).trigger_rule.value for gate in plan.gates} == {"all_done"}


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


@pytest.mark.parametrize("name", ["report", "elementary_report"])
def test_a_report_is_below_everything_and_decides_nothing(dag: DAG, plan: Plan, name: str) -> None:
    """A teardown which Airflow leaves out when it judges the run; so what stands before it decides, as without it."""
    report = dag.get_task(name)
    assert (report.is_teardown, report.on_failure_fail_dagrun, report.downstream_task_ids) == (
        True,
        False,
        set(),
    )
    assert {task.task_id for task in dag.tasks if not task.downstream_task_ids} == {
        "report",
        "elementary_report",
    }
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
    assert dag.get_task("report").downstream_task_ids == {"report_made"}
    assert "report_made" not in dag.get_task("gold.gate").downstream_task_ids
    assert not any("report" in task_id for task_id in _report_tasks(spec, None, sample, here).task_dict)


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
    assert merge.downstream_task_ids == {"sources.data_lake_transactions.freshness", *first_build}
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
    assert spec.description.split("\n")[0] == dag.description


def test_a_task_process_builds_its_own_task_only(
    plan: Plan, spec: Pipeline, sample: DbtProject, here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Airflow runs the DAG file again for each task; building all of them there would cost more than dbt."""
    node = next(node.task_id for node in plan.nodes if node.kind == "test")
    builds = [task for build in plan.builds for task in (build.task_id, build.reconcile_id)]
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", spec.name)
    for wanted in (node, plan.gates[0].task_id, *builds, "report"):
        monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", wanted)
        assert list(render(plan, spec, sample, here, load_plan=lambda: plan).task_dict) == [wanted]


@pytest.mark.parametrize("gate", ["layer", "node"])
@pytest.mark.parametrize("name", ["sample", "shop"])
@pytest.mark.parametrize(
    "engine",
    [
        {"engine": "isolated"},
        *({"engine": "shared", "tasks": how} for how in ("test", "model_tests", "model")),
    ],
    ids=lambda values: "-".join(values.values()),
)
def test_airflow_can_draw_the_groups(
    request: pytest.FixtureRequest, here: Settings, name: str, gate: str, engine: dict[str, str]
) -> None:
    """The grid and the graph put the groups in order at every level, with Airflow's own code."""
    from airflow.api_fastapi.core_api.services.ui.task_group import task_group_to_dict_grid
    from airflow.serialization.serialized_objects import DagSerialization

    project: DbtProject = request.getfixturevalue(name)
    sample: Path = request.getfixturevalue("repository") / SAMPLE_SPEC
    spec = Pipeline.from_yaml(sample)
    values = {**spec.model_dump(by_alias=True), **engine, "gate": gate}
    drawn = Pipeline.model_validate(values | {"ingest": spec.ingest if name == "sample" else ()})
    plan = load_plan(drawn, project, here)
    rendered = render(plan, drawn, project, here, load_plan=lambda: plan)
    dag = DagSerialization.from_dict(DagSerialization.to_dict(rendered))

    def tasks(entry: dict[str, Any]) -> list[str]:
        children = entry["children"]
        return [entry["id"]] if children is None else [task for child in children for task in tasks(child)]

    assert sorted(tasks(task_group_to_dict_grid(dag.task_group))) == sorted(dag.task_dict)


@pytest.mark.parametrize("spec", ["shared"], indirect=True)
@pytest.mark.parametrize("tasks", ["test", "model_tests", "model"])
def test_nodes_of_one_task_are_one_operator(
    spec: Pipeline, tasks: str, sample: DbtProject, here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for all that they wait for, and is named, owned and retried as the first of them."""
    coarse = spec.model_copy(update={"tasks": tasks})
    plan = load_plan(coarse, sample, here)
    dag = render(plan, coarse, sample, here, load_plan=lambda: plan)
    graph = PlanGraph(plan)
    sizes = [len(nodes) for nodes in graph.tasks.values()]
    assert sum(sizes) == len(plan.nodes)
    assert (max(sizes) > 1) == (tasks != "test")
    for task_id, nodes in graph.tasks.items():
        task, first = dag.get_task(task_id), nodes[0]
        assert isinstance(task, node_task.NodeTask)
        assert task.nodes == nodes
        assert task.upstream_task_ids == set(graph.upstream[task_id])
        assert (task.owner, task.doc_md, task.task_display_name) == (
            first.owner,
            first.docs,
            first.display_name,
        )
    build = plan.builds[0]
    built = {node.task_id for node in graph.built_by(build.task_id)}
    assert dag.get_task(build.reconcile_id).upstream_task_ids == {build.task_id, *built}
    assert f"`tasks: {tasks}`" in (dag.doc_md or "")
    wanted = max(graph.tasks, key=lambda task_id: len(graph.tasks[task_id]))
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", spec.name)
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", wanted)
    alone: Any = render(plan.part(wanted), coarse, sample, here, load_plan=lambda: plan).get_task(wanted)
    assert alone.nodes == graph.tasks[wanted]


@pytest.mark.parametrize("spec", ["shared"], indirect=True)
def test_a_copied_task_is_the_task_that_airflow_makes(
    plan: Plan, spec: Pipeline, sample: DbtProject, here: Settings
) -> None:
    """All but the first task of a kind are copies, for the price; a node with arguments of its own is not copied."""
    alone = tuple(replace(node, operator_kwargs={"install_deps": False}) for node in plan.nodes)
    copied, made = (
        render(one, spec, sample, here, load_plan=lambda: plan) for one in (plan, replace(plan, nodes=alone))
    )
    for task in map(copied.get_task, (node.task_id for node in plan.nodes)):
        assert _values(task) == _values(made.get_task(task.task_id))
    assert _hash(copied) == _hash(made)
    tests: list[Any] = [copied.get_task(node.task_id) for node in plan.nodes if node.kind == "test"]
    tests[-1].add_outlets([Asset("goldsmith://shop/one")])
    assert tests[-2].outlets == []


def _values(task: Any) -> dict[str, Any]:
    """What a task is made of: the nodes, which differ in the test itself, and the group by their ids."""
    values = {key: value for key, value in vars(task).items() if key not in ("_dag", "site")}
    given = values.pop("_BaseOperator__init_kwargs")
    own = ("task_id", "task_display_name", "doc_md", "nodes", "dag", "task_group", "site")
    values |= {f"given {key}": value for key, value in given.items() if key not in own}
    uids = [node.unique_id for node in values["nodes"]]
    return values | {"nodes": uids, "task_group": values["task_group"].group_id}


def _hash(dag: DAG) -> str:
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization.serialized_objects import DagSerialization

    return str(SerializedDagModel.hash(DagSerialization.to_dict(dag)))


def test_no_secret_and_no_path_of_this_process_is_serialised(dag: DAG, repository: Path) -> None:
    """What is stored in Airflow's database is the same in every process, and harmless."""
    from airflow.serialization.serialized_objects import DagSerialization

    serialised = DagSerialization.to_dict(dag)
    # Airflow's own note of where it parsed the file; not part of the hash that makes a DAG version.
    del serialised["dag"]["_processor_dags_folder"]
    text = json.dumps(serialised).replace(str(repository), "")
    assert tempfile.gettempdir() not in text
    assert "password" not in text.lower()


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


def test_the_isolated_engine_starts_first_what_is_followed_by_the_longest_way(
    plan: Plan, spec: Pipeline, sample: DbtProject, here: Settings
) -> None:
    """By the seconds of earlier runs; a node's own priority stands; a process of one task does not look."""
    first, second = [node for node in plan.nodes if node.kind == "seed"]
    own = next(node for node in plan.nodes if node.kind == "snapshot")
    nodes = [
        replace(one, operator_kwargs={"priority_weight": 77}) if one is own else one for one in plan.nodes
    ]
    changed = replace(plan, nodes=tuple(nodes))
    for number, (slow, fast) in enumerate(((first, second), (second, first))):
        store = ReportStore(here.results_path, spec.name)
        store.note("pace", "")
        run = Summary(
            run_id=f"r{number}",
            started=f"{number}",
            seconds=1.0,
            is_red=False,
            nodes={node.unique_id: ("good", 9999.0 if node is slow else 0.5, None) for node in plan.nodes},
        )
        store.add(run, keep=1)
        renew_pace(store, run.nodes, now=datetime.now(UTC))
        dag = render(changed, spec, sample, here, load_plan=lambda: changed)
        weights = {node.unique_id: dag.get_task(node.task_id).priority_weight for node in plan.nodes}
        rules = {str(dag.get_task(node.task_id).weight_rule) for node in plan.nodes}
        if spec.engine == "shared":
            assert set(weights.values()) == {1, 77}
            continue
        assert rules == {"absolute"}
        assert weights[own.unique_id] == 77
        assert weights[slow.unique_id] > weights[fast.unique_id] > 1
        assert max(weights.values()) <= len(plan.nodes)
