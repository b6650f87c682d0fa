"""The operators of nodes: those of several nodes, and those that are copies of others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from airflow.sdk import DAG, Asset

from goldsmith.dag.build import render
from goldsmith.dbt.project import DbtProject
from goldsmith.engine.shared import node_task
from goldsmith.errors import ConfigurationError
from goldsmith.pipeline import load_plan
from goldsmith.plan.graph import PlanGraph
from goldsmith.plan.model import Plan
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline


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


def test_what_a_node_says_for_cosmos_alone_does_not_count(
    plan: Plan, spec: Pipeline, sample: DbtProject, here: Settings
) -> None:
    """Where dbt runs and what it is given is the pipeline's to say; a pool is the node's."""
    asked = {"install_deps": True, "select": "other", "vars": {"a": 1}, "pool": "heavy"}
    nodes = tuple(replace(node, operator_kwargs=asked) for node in plan.nodes)
    given = replace(plan, nodes=nodes)
    found: Any = render(given, spec, sample, here, load_plan=lambda: given).get_task(nodes[0].task_id)
    assert found.pool == "heavy"
    assert {"install_deps", "select", "vars"}.isdisjoint(vars(found))


@pytest.mark.parametrize(
    "asked", [{"execution_timeout": 60}, {"retries": "lots"}, {"start_date": "2099-01-01"}]
)
def test_arguments_that_airflow_does_not_take_are_named_with_their_node(
    asked: dict[str, Any], plan: Plan, spec: Pipeline, sample: DbtProject, here: Settings
) -> None:
    """Airflow's own words name neither."""
    node = replace(plan.nodes[0], operator_kwargs=asked)
    given = replace(plan, nodes=(node, *plan.nodes[1:]))
    with pytest.raises(ConfigurationError, match=next(iter(asked))) as caught:
        render(given, spec, sample, here, load_plan=lambda: given)
    assert node.unique_id in caught.value.message
    assert node.file in caught.value.hint
