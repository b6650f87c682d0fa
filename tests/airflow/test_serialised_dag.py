"""What Airflow keeps of a DAG, and makes of it."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from goldsmith.dag.build import render
from goldsmith.dbt.project import DbtProject
from goldsmith.pipeline import load_plan
from goldsmith.plan.model import Plan
from goldsmith.settings import Settings
from goldsmith.spec.files import read_spec
from goldsmith.spec.pipeline import Pipeline


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
    sample: Path = request.getfixturevalue("repository") / "dags/pipelines/customer_transactions.yml"
    spec = read_spec(sample)
    values = {**spec.model_dump(by_alias=True), **engine, "gate": gate}
    drawn = Pipeline.model_validate(values | {"ingest": spec.ingest if name == "sample" else ()})
    plan = load_plan(drawn, project, here)
    rendered = render(plan, drawn, project, here, load_plan=lambda: plan)
    dag = DagSerialization.from_dict(DagSerialization.to_dict(rendered))

    def tasks(entry: dict[str, Any]) -> list[str]:
        children = entry["children"]
        return [entry["id"]] if children is None else [task for child in children for task in tasks(child)]

    assert sorted(tasks(task_group_to_dict_grid(dag.task_group))) == sorted(dag.task_dict)


def test_no_secret_and_no_path_of_this_process_is_serialised(dag: DAG, repository: Path) -> None:
    """What is stored in Airflow's database is the same in every process, and harmless."""
    from airflow.serialization.serialized_objects import DagSerialization

    serialised = DagSerialization.to_dict(dag)
    # Airflow's own note of where it parsed the file; not part of the hash that makes a DAG version.
    del serialised["dag"]["_processor_dags_folder"]
    text = json.dumps(serialised).replace(str(repository), "")
    assert tempfile.gettempdir() not in text
    assert "password" not in text.lower()


def test_a_tag_that_is_too_long_for_airflow_is_cut(
    plan: Plan, spec: Pipeline, sample: DbtProject, here: Settings
) -> None:
    """Airflow would refuse the whole DAG; dbt knows no limit."""
    tagged = replace(plan, nodes=tuple(replace(node, tags=("t" * 120,)) for node in plan.nodes))
    assert "t" * 100 in render(tagged, spec, sample, here, load_plan=lambda: tagged).tags


def test_more_owners_than_airflow_has_room_for_do_not_break_the_dag(
    dag: DAG, plan: Plan, spec: Pipeline, sample: DbtProject, here: Settings
) -> None:
    """Airflow keeps the owners of all tasks as one text; the nodes keep theirs, for alerts."""
    owners = {node.unique_id: f"team{number}-{'o' * 100}" for number, node in enumerate(plan.nodes)}
    many = replace(plan, nodes=tuple(replace(node, owner=owners[node.unique_id]) for node in plan.nodes))
    assert len(dag.owner) < len(", ".join(owners.values()))
    made = render(many, spec, sample, here, load_plan=lambda: many)
    assert 1900 < len(made.owner) <= 2000
    assert spec.owner in made.owner
    assert set(made.task_dict) == set(dag.task_dict)
