"""DAGs of Cosmos, read and never executed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.layouts.build import write
from tests.unit.adopt.cosmos_shapes import SHAPES

from goldsmith.adopt.cosmos_dags import read_cosmos_dags
from goldsmith.adopt.cosmos_found import from_cosmos
from goldsmith.adopt.cosmos_spec import spec_values
from goldsmith.spec.pipeline import Pipeline


@pytest.mark.parametrize("name", SHAPES)
def test_what_a_dag_file_says(name: str, tmp_path: Path) -> None:
    """Each setting is a key of the spec, a note, or named as one that a person has to write."""
    shape = SHAPES[name]
    write({**shape.files, "dags/shape.py": shape.text}, tmp_path)
    [dag] = read_cosmos_dags(tmp_path / "dags")
    assert (dag.kind, dag.file, dag.line) == (shape.kind, tmp_path / "dags/shape.py", shape.line)
    assert dag.dag_id == shape.dag_id
    assert dag.project == (Path(shape.project.format(root=tmp_path)) if shape.project else None)
    found = spec_values(dag, tmp_path)
    # As it is written into a spec.
    keys = yaml.safe_load(yaml.safe_dump(found.keys))
    expected = yaml.safe_load(yaml.safe_dump(dict(shape.keys)))
    assert {key: str(value) for key, value in keys.items()} == {
        key: str(value) for key, value in expected.items()
    }
    assert tuple(sorted(found.notes)) == shape.notes
    assert all(found.notes.values())
    assert found.computed == shape.computed
    assert "hunter2" not in repr(dag) + repr(found)
    Pipeline.parse({"name": "any", "layers": {}, **keys})


_DAG = """\
from cosmos import DbtDag, ProjectConfig
DbtDag(dag_id="{name}", project_config=ProjectConfig("{project}"), {more})
"""


def dag_file(name: str, project: str, more: str = "") -> str:
    """A DAG file with a Cosmos DAG."""
    return _DAG.format(name=name, project=project, more=more)


def test_files_that_cannot_be_read_are_passed_over(tmp_path: Path) -> None:
    """They are somebody else's, and no DAG of Cosmos that Airflow could load."""
    write(
        {
            "a.py": dag_file("first", "dbt") + dag_file("second", "dbt").partition("\n")[2],
            "below/b.py": dag_file("third", "dbt"),
            "broken.py": "from cosmos import DbtDag\nDbtDag(\n",
            "old.py": "from cosmos import DbtDag\nprint 'cosmos'\n",
            "plain.py": "from elsewhere import DbtDag  # cosmos\nDbtDag(dag_id='x')\n",
            "__pycache__/c.py": dag_file("no", "dbt"),
            ".hidden/d.py": dag_file("no", "dbt"),
        },
        tmp_path,
    )
    (tmp_path / "binary.py").write_bytes(b"cosmos\x00\xff\xfe")
    (tmp_path / "not_utf8.py").write_bytes(b"# cosmos \xe4\n")
    text = "# -*- coding: latin-1 -*-\n# Gr\u00fc\u00dfe\n" + dag_file("latin", "dbt")
    (tmp_path / "latin.py").write_bytes(text.encode("latin-1"))
    (tmp_path / "link.py").symlink_to(tmp_path / "nowhere.py")
    (tmp_path / "deep.py").write_text("from cosmos import DbtDag\nx = " + "(" * 5000 + ")" * 5000)
    assert [dag.dag_id for dag in read_cosmos_dags(tmp_path)] == ["first", "second", "latin", "third"]
    assert read_cosmos_dags(tmp_path / "nowhere") == ()


def test_names_that_lead_in_circles_are_computed(tmp_path: Path) -> None:
    """Within a file, and between files."""
    files = {
        "dags/a.py": "from b import tags\nfrom cosmos import DbtDag\nx = y\ny = x\nDbtDag(dag_id=x, tags=tags)\n",
        "dags/b.py": "from a import tags\n",
        "dags/long.py": "from cosmos import DbtDag\nDbtDag(dag_id='a' * 9999999999, description="
        + "-" * 900
        + "1)\n",
    }
    for dag in read_cosmos_dags(write(files, tmp_path) / "dags"):
        assert dict(dag.settings) == {}
        assert len(dag.not_literal) == 2


@pytest.mark.parametrize(
    ("written", "runs"),
    [
        ("/usr/local/airflow/dbt/shop", True),
        ("/opt/airflow/repository/dbt/shop/", True),
        ("dbt/shop", True),
        ("../dbt/shop", True),
        ("{root}/dbt/shop", True),
        ("/usr/local/airflow/dbt/other", False),
        ("/usr/local/airflow/dbt", False),
        ("{root}", False),
    ],
)
def test_the_project_of_a_dag_may_be_a_path_of_an_image(written: str, *, runs: bool, tmp_path: Path) -> None:
    """Airflow's image has the repository below another folder."""
    write({"dags/a.py": dag_file("a", written.format(root=tmp_path))}, tmp_path)
    [dag] = read_cosmos_dags(tmp_path / "dags")
    assert dag.runs(tmp_path / "dbt" / "shop", tmp_path) is runs


def test_several_dags_of_one_project_give_what_they_share(tmp_path: Path) -> None:
    """And name what they differ in; a DAG of another project counts for that."""
    write(
        {
            "dags/a.py": dag_file("a", "dbt/shop", 'schedule="@daily", tags=["dbt"], catchup=False'),
            "dags/b.py": dag_file("b", "dbt/shop", 'schedule="@hourly", tags=["dbt"]'),
            "dags/c.py": dag_file("c", "dbt/other", 'tags=["other"]'),
        },
        tmp_path,
    )
    dags = read_cosmos_dags(tmp_path / "dags")
    found = from_cosmos(dags, tmp_path / "dbt/shop", tmp_path, is_only=False)
    assert found.keys == {"tags": ["dbt"], "freshness": "off"}
    assert found.values.notes == {
        "schedule, catchup": "The DAGs differ in it; write what the pipeline is to have."
    }
    assert found.shown(tmp_path) == ["a (DbtDag, dags/a.py:2)", "b (DbtDag, dags/b.py:2)"]
    assert from_cosmos(dags, tmp_path / "dbt/third", tmp_path, is_only=True).dags == ()


def test_a_dag_whose_project_is_computed_runs_the_only_one_there(tmp_path: Path) -> None:
    """With several projects nobody can say which."""
    text = "from cosmos import DbtDag\nDbtDag(dag_id='a', project_config=somewhere(), schedule='@daily')\n"
    dags = read_cosmos_dags(write({"dags/a.py": text}, tmp_path) / "dags")
    found = from_cosmos(dags, tmp_path / "dbt", tmp_path, is_only=True)
    assert found.keys["schedule"] == "@daily"
    assert found.values.computed == {"ProjectConfig": "dags/a.py:2"}
    assert from_cosmos(dags, tmp_path / "dbt", tmp_path, is_only=False).dags == ()
