"""A pipeline's DAG against what dbt says of its project: the same nodes, and nothing earlier than in `dbt build`."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any

import networkx as nx
from airflow.sdk import DAG
from tests.generated.answers import Answer

from goldsmith.dag.build import render
from goldsmith.dbt.project import DbtProject
from goldsmith.errors import PlanError
from goldsmith.pipeline import load_plan
from goldsmith.plan.model import Plan
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline

VARIANTS: tuple[dict[str, str], ...] = (
    {"engine": "shared", "gate": "node"},
    {"engine": "shared", "gate": "layer"},
    {"engine": "isolated", "gate": "node"},
    {"engine": "isolated", "gate": "layer"},
    {"engine": "shared", "gate": "node", "tasks": "model"},
    {"engine": "shared", "gate": "layer", "tasks": "model_tests"},
)
"""How one project is run."""


def check_pipeline(spec: Pipeline, project: DbtProject, here: Settings, answer: Answer) -> Plan | None:
    """Compile and render a pipeline, and compare it with dbt.

    Args:
        spec: The pipeline.
        project: Its dbt project, with its manifest.
        here: Settings whose plans nobody else has.
        answer: What dbt says of the project.

    Returns:
        The plan; None if the project cannot have gates, because it reads against the order of its layers.
    """
    try:
        plan = load_plan(spec, project, here)
    except PlanError as error:
        against = reads_against_layers(spec, project, answer)
        if spec.gate == "layer" and any(name in str(error) for name in against):
            return None
        raise
    dag = render(plan, spec, project, here, load_plan=lambda: plan)
    check_nodes(plan, answer)
    check_airflow(dag)
    check_order(plan, dag, answer)
    return plan


def check_nodes(plan: Plan, answer: Answer) -> None:
    """Each node that dbt runs stands in the plan once, and nothing else."""
    planned = {node.unique_id for node in plan.nodes}
    assert not planned ^ answer.executable, (planned - answer.executable, answer.executable - planned)
    assert len(planned) == len(plan.nodes)
    if plan.tasks == "test":
        assert len({node.task_id for node in plan.nodes}) == len(plan.nodes)


def check_airflow(dag: DAG) -> None:
    """Airflow takes the DAG, and can draw it."""
    from airflow.api_fastapi.core_api.services.ui.task_group import task_group_to_dict_grid
    from airflow.serialization.serialized_objects import DagSerialization

    dag.validate()
    dag.check_cycle()
    read = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))

    def tasks(entry: dict[str, Any]) -> list[str]:
        children = entry["children"]
        return [entry["id"]] if children is None else [task for child in children for task in tasks(child)]

    if not dag.task_dict:  # a project of ephemeral models alone
        return
    assert sorted(tasks(task_group_to_dict_grid(read.task_group))) == sorted(dag.task_dict)
    assert max(map(len, dag.task_dict)) <= 250
    assert all(task_id.isascii() for task_id in dag.task_dict)


def check_order(plan: Plan, dag: DAG, answer: Answer) -> None:
    """What dbt orders, the DAG orders alike; gates only add to it."""
    above = _above(dag)
    for node in plan.nodes:
        before = {one.task_id for one in plan.nodes if one.unique_id in answer.before[node.unique_id]}
        assert before - {node.task_id} <= above[node.task_id], node.unique_id
    if plan.tasks == "test" and not plan.gates:
        uid_of = {node.task_id: node.unique_id for node in plan.nodes}
        for node in plan.nodes:
            ours = {uid_of[task] for task in above[node.task_id] if task in uid_of}
            assert ours == answer.before[node.unique_id], node.unique_id
    check_layers(plan, above)


def check_layers(plan: Plan, above: Mapping[str, Collection[str]]) -> None:
    """With gates a layer begins when all layers before it have ended."""
    if not plan.gates:
        return
    rank = {layer: index for index, layer in enumerate(plan.layers)}
    ranked = [node for node in plan.nodes if node.layer in rank]
    for node in ranked:
        before = {one.task_id for one in ranked if rank[one.layer] < rank[node.layer]}
        assert before <= set(above[node.task_id]), node.unique_id


def _above(dag: DAG) -> dict[str, set[str]]:
    """Id of each task to those of all tasks that end before it begins."""
    graph = nx.DiGraph()
    graph.add_nodes_from(dag.task_dict)
    graph.add_edges_from(
        (before, task_id) for task_id, task in dag.task_dict.items() for before in task.upstream_task_ids
    )
    return {task_id: nx.ancestors(graph, task_id) for task_id in graph}


def reads_against_layers(spec: Pipeline, project: DbtProject, answer: Answer) -> set[str]:
    """Names of the nodes that wait for something of a later layer.

    Args:
        spec: The pipeline; its layers are folders below models/.
        project: Its project.
        answer: What dbt says of it.
    """
    manifest = json.loads(project.manifest_path.read_text())
    rank = {layer: index for index, layer in enumerate(spec.layers)}
    entries = {**manifest["nodes"], **manifest["unit_tests"]}

    def layer(uid: str) -> int | None:
        entry = entries.get(uid, {})
        if entry.get("resource_type") == "unit_test":
            return layer(entry["depends_on"]["nodes"][0])
        folders = entry.get("original_file_path", "").split("/")
        is_model = entry.get("resource_type") == "model" and entry["package_name"] == project.name
        return rank.get(folders[1]) if is_model and len(folders) > 2 else None

    found = set()
    for uid, before in answer.before.items():
        mine = layer(uid)
        later = [one for one in before if mine is not None and (layer(one) or 0) > mine]
        found |= {entries[uid]["name"]} if later else set()
    return found
