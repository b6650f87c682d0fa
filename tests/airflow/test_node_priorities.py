"""Which nodes start first in the isolated engine."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from goldsmith.dag.build import render
from goldsmith.dbt.project import DbtProject
from goldsmith.plan.model import Plan
from goldsmith.report.pace import renew_pace
from goldsmith.report.store import ReportStore
from goldsmith.report.summary import NodeSum, Summary
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline


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
            nodes={
                node.unique_id: NodeSum("good", 9999.0 if node is slow else 0.5, None) for node in plan.nodes
            },
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
