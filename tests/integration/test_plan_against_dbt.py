"""The plan against dbt's own graph and Cosmos's own nodes."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterable, Mapping
from pathlib import Path

import networkx as nx
import pytest

from goldsmith.dbt.manifest import load
from goldsmith.dbt.project import DbtProject
from goldsmith.pipeline import select_nodes
from goldsmith.plan.compile import compile_plan
from goldsmith.plan.model import Plan
from goldsmith.spec.pipeline import Pipeline

pytestmark = pytest.mark.integration


@pytest.fixture(params=["shop", "sample"])
def project(request: pytest.FixtureRequest) -> DbtProject:
    """Each of the two dbt projects in turn."""
    found: DbtProject = request.getfixturevalue(request.param)
    return found


def plan_of(project: DbtProject, gate: str, engine: str = "isolated") -> Plan:
    """The plan of a project with the default layers."""
    spec = Pipeline.parse({"name": "shop", "gate": gate, "engine": engine})
    manifest = load(project.manifest_path, project.path)
    return compile_plan(spec, select_nodes(spec, manifest))


def dbt_graph(manifest_path: Path) -> nx.DiGraph:
    """dbt's graph with the edges `dbt build` adds for tests, made by dbt's own code."""
    import dbt.flags
    from dbt.artifacts.schemas.manifest import WritableManifest
    from dbt.compilation import Linker
    from dbt.contracts.graph.manifest import Manifest

    dbt.flags.set_flags(Namespace(USE_FAST_TEST_EDGES=False))
    manifest = Manifest.from_writable_manifest(WritableManifest.read_and_check_versions(str(manifest_path)))
    manifest.build_parent_and_child_maps()
    linker = Linker()
    linker.link_graph(manifest)
    linker.add_test_edges(manifest)
    return linker.graph


def order(edges: Mapping[str, Iterable[str]], among: set[str]) -> dict[str, set[str]]:
    """For each of `among` everything of `among` that must come before it."""
    graph = nx.DiGraph()
    graph.add_nodes_from(edges)
    graph.add_edges_from((parent, child) for child, parents in edges.items() for parent in parents)
    return {uid: nx.ancestors(graph, uid) & among for uid in among}


def test_every_node_waits_for_what_it_waits_for_in_dbt_build(project: DbtProject) -> None:
    """With dbt's own order, the plan puts exactly the same nodes before each node as dbt does."""
    plan = plan_of(project, "node")
    uid_of = {node.task_id: node.unique_id for node in plan.nodes}
    ours = {node.unique_id: [uid_of[task] for task in node.upstream] for node in plan.nodes}
    graph = dbt_graph(project.manifest_path)
    # `dbt build` runs a model's unit tests right before it; in its graph they hang below it.
    compared = {node.unique_id for node in plan.nodes if node.kind != "unit_test"}
    theirs = {uid: set(graph.predecessors(uid)) for uid in graph}
    assert order(ours, compared) == order(theirs, compared)


def test_a_unit_test_stands_between_its_model_and_the_models_parents(project: DbtProject) -> None:
    """It needs the parents' relations, and the model must not be built when it is red."""
    plan = plan_of(project, "node")
    nodes = {node.unique_id: node for node in plan.nodes}
    unit_tests = [node for node in plan.nodes if node.kind == "unit_test"]
    manifest = json.loads(project.manifest_path.read_text())
    assert unit_tests
    for test in unit_tests:
        tested = manifest["unit_tests"][test.unique_id]["depends_on"]["nodes"][0]
        # An ephemeral model has no task: there the models that read it wait.
        waiting = (
            [tested] if tested in nodes else [uid for uid in manifest["child_map"][tested] if uid in nodes]
        )
        models = [nodes[uid] for uid in waiting if nodes[uid].kind == "model"]
        assert models
        for model in models:
            assert test.task_id in model.upstream
            assert set(test.upstream) <= set(model.upstream)


@pytest.mark.parametrize("engine", ["isolated", "shared"])
def test_with_gates_the_order_is_dbts_and_the_layers(project: DbtProject, engine: str) -> None:
    """A barrier only adds to dbt's order: nothing may start earlier than in `dbt build`."""
    plan = plan_of(project, "layer", engine)
    edges = {node.task_id: node.upstream for node in plan.nodes}
    edges |= {gate.task_id: gate.upstream for gate in plan.gates}
    edges |= {build.task_id: build.upstream for build in plan.builds}
    among = {node.task_id for node in plan.nodes}
    before = order(edges, among)
    task_of = {node.unique_id: node.task_id for node in plan.nodes}
    dbt_before = {node.task_id: set(node.upstream) for node in plan_of(project, "node").nodes}
    for task, ancestors in order(dbt_before, among).items():
        assert ancestors <= before[task], task
    rank = {layer: index for index, layer in enumerate(plan.layers)}
    for node in plan.nodes:
        for other in plan.nodes:
            if rank.get(other.layer, 99) < rank.get(node.layer, -1):
                assert task_of[other.unique_id] in before[node.task_id]


def test_executable_nodes_of_the_manifest_are_tasks_once(project: DbtProject) -> None:
    """Models that are not ephemeral, seeds, snapshots, tests, unit tests and sources with freshness."""
    manifest = json.loads(project.manifest_path.read_text())
    executable = {
        uid for uid, node in manifest["nodes"].items()
        if node["resource_type"] in ("model", "seed", "snapshot", "test")
        and node["config"].get("materialized") != "ephemeral"
    }  # fmt: skip
    executable |= set(manifest["unit_tests"])
    executable |= {uid for uid, source in manifest["sources"].items() if _has_freshness(source)}
    plan = plan_of(project, "layer")
    assert sorted(node.unique_id for node in plan.nodes) == sorted(executable)
    assert len({node.task_id for node in plan.nodes}) == len(plan.nodes)
    assert len({node.select for node in plan.nodes}) == len(plan.nodes)


def _has_freshness(source: Mapping[str, dict[str, object]]) -> bool:
    freshness = source.get("freshness") or {}
    return any((freshness.get(when) or {}).get("count") for when in ("warn_after", "error_after"))  # type: ignore[attr-defined]


def test_the_plan_holds_what_cosmos_filters_and_the_kinds_cosmos_drops(project: DbtProject) -> None:
    """Cosmos decides what belongs to a pipeline; unit tests it does not read."""
    from cosmos.config import ExecutionConfig, ProjectConfig, RenderConfig
    from cosmos.constants import ExecutionMode, LoadMode
    from cosmos.dbt.graph import DbtGraph

    graph = DbtGraph(
        project=ProjectConfig(manifest_path=project.manifest_path, project_name=project.name),
        render_config=RenderConfig(exclude=["package:elementary"]),
        execution_config=ExecutionConfig(dbt_project_path=project.path),
    )
    graph.load(method=LoadMode.DBT_MANIFEST, execution_mode=ExecutionMode.LOCAL)
    theirs = {uid for uid, node in graph.filtered_nodes.items() if node.resource_type.value != "exposure"}
    unit_tests = set(json.loads(project.manifest_path.read_text())["unit_tests"])
    plan = plan_of(project, "layer")
    assert {node.unique_id for node in plan.nodes} | set(plan.not_run) == theirs | unit_tests
