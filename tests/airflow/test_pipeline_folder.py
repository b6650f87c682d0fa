"""One DAG file for a folder of specs, as Airflow imports it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from goldsmith.dag.broken import TASK
from goldsmith.dag.probe import rendered
from goldsmith.dag_files import read_dag_files
from goldsmith.dbt.project import DbtProject
from goldsmith.errors import SelectionError, SpecError
from goldsmith.pipeline_folder import build_dags

LOADER = '''"""Airflow DAGs: one for each file in pipelines/."""
from goldsmith import build_dags

globals().update(build_dags("pipelines"))
'''
SPECS = {
    "bronze": "layers: {bronze: 'path:models/bronze/'}\nselect: path:models/bronze\n",
    "by_tag": "name: '{tag}_only'\nfor_each: {tag: [marts, nothing_has_it]}\nselect: tag:{tag}\n",
    "typo": "scedule: '@daily'\n",
    "no_layer": "schedule: '@daily'\nstart_date: 2026-02-03\nowner: me\nlayers: {none: 'path:models/none/'}\n",
}


@pytest.fixture
def loader(tmp_path: Path, sample: DbtProject, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DAG file for four specs of the sample project."""
    dags = tmp_path / "dags"
    (dags / "pipelines").mkdir(parents=True)
    for name, text in SPECS.items():
        (dags / "pipelines" / f"{name}.yml").write_text(text)
    (dags / "pipelines" / "defaults.yml").write_text("layers: {}\n")
    (dags / "load_all.py").write_text(LOADER)
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(dags))
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.setenv("GOLDSMITH_DBT_PROJECT_DIR", str(sample.path))
    return dags / "load_all.py"


def test_each_spec_is_a_dag_and_a_broken_one_says_why(loader: Path) -> None:
    """Airflow imports the file, and what is broken has a DAG of its own."""
    found = rendered(loader)
    assert found["faults"] == []
    assert sorted(found["dags"]) == ["bronze", "marts_only", "no_layer", "nothing_has_it_only", "typo"]
    assert sorted(found["broken"]) == ["no_layer", "nothing_has_it_only", "typo"]
    assert "scedule (line 1): unknown key" in found["broken"]["typo"]["text"]
    assert "layer none matches none" in found["broken"]["no_layer"]["text"]
    assert rendered(loader)["dags"] == found["dags"]


def test_a_broken_pipeline_keeps_its_schedule_and_fails(loader: Path) -> None:
    """Whoever hears of failed runs hears of it; of a spec that cannot be read nobody knows the schedule."""
    dags = build_dags(loader.parent / "pipelines")
    known: Any = dags["no_layer"]
    unknown: Any = dags["typo"]
    assert (known.schedule, known.start_date.day, known.owner) == ("@daily", 3, "me")
    assert (unknown.schedule, unknown.max_active_runs) == (None, 1)
    for dag, error in ((known, SelectionError), (unknown, SpecError)):
        assert list(dag.task_dict) == [TASK]
        task: Any = dag.get_task(TASK)
        with pytest.raises(error) as caught:
            task.execute({})
        assert dag.doc_md
        assert all(line in dag.doc_md for line in str(caught.value).splitlines())


def test_a_task_process_makes_its_own_dag_only(loader: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many pipelines one is read; of one that broke meanwhile the task fails with the reason."""

    def dag_of(dag_id: str, task_id: str) -> DAG:
        monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", dag_id)
        monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_TASK_ID", task_id)
        dags = build_dags(loader.parent / "pipelines")
        assert list(dags) == [dag_id]
        assert list(dags[dag_id].task_dict) == [task_id]
        return dags[dag_id]

    dag_of("bronze", "build.run")
    dag_of("marts_only", "build.run")
    broken: Any = dag_of("no_layer", "silver.int_orders.run").tasks[0]
    with pytest.raises(SelectionError, match="layer none matches none"):
        broken.execute({})
    monkeypatch.setenv("_AIRFLOW_PARSING_CONTEXT_DAG_ID", "not_here")
    assert build_dags(loader.parent / "pipelines") == {}


def test_commands_know_the_pipelines_of_a_folder(loader: Path) -> None:
    """Those that can be used and those that cannot, each with the DAG file; and which folders have one."""
    found = read_dag_files(loader.parent)
    assert sorted(found.pipelines) == ["bronze", "marts_only", "no_layer", "nothing_has_it_only"]
    assert {file for _, file in found.pipelines.values()} == {loader}
    assert [(one.names, one.file) for one in found.broken] == [(("typo",), loader)]
    assert found.folders == {(loader.parent / "pipelines").resolve(): loader}
    loader.write_text(
        LOADER + "typo_dag = globals()['typo']\n"
    )  # it goes on to use one, which is not made here
    assert len(read_dag_files(loader.parent).pipelines) == 4


def test_a_folder_that_is_not_there_is_an_import_error(loader: Path) -> None:
    """Nothing else could show it."""
    loader.write_text(LOADER.replace("pipelines", "pipelins"))
    [fault] = rendered(loader)["faults"]
    assert fault["text"] == f"No folder of pipeline specs at {loader.parent}/pipelins."
