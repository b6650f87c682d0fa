"""A dbt project without a profiles.yml, beside pipelines that cannot be used: commands as a person calls them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

SPEC = "name: {name}\nproject: {project}\nlayers: {{}}\ngate: node\n"
FILE = '''"""Airflow DAG: {name}."""
from pathlib import Path
from goldsmith import build_dag
x = build_dag(Path(__file__).parent / "{name}.yml")
'''


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A folder with pipelines."""

    root: Path
    home: Path

    def add(self, name: str, *, project: str = "data/dbt", file: str = FILE, spec: str = SPEC) -> None:
        """Write DAG file and spec of a pipeline."""
        (self.root / "dags" / f"{name}.py").write_text(file.format(name=name))
        (self.root / "dags" / f"{name}.yml").write_text(spec.format(name=name, project=project))

    def call(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Call `goldsmith`, far from any profile and any Airflow of the machine."""
        named: Mapping[str, str] = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AIRFLOW", "GOLDSMITH", "DBT", "WAREHOUSE"))
        }
        return subprocess.run(
            [sys.executable, "-m", "goldsmith.cli", *arguments],
            cwd=self.root / "data",
            env={**named, "HOME": str(self.home), "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    """One pipeline that works, and one of each kind that does not."""
    made = Repository(root=tmp_path_factory.mktemp("own"), home=tmp_path_factory.mktemp("home"))
    for project, model in (("dbt", "select 1 as id"), ("unparsed", "select {{ nothing(")):
        models = made.root / "data" / project / "models"
        models.mkdir(parents=True)
        (models / "one.sql").write_text(model)
        (models.parent / "dbt_project.yml").write_text(f"name: {project}_\nprofile: mine\n")
    (made.root / "dags").mkdir()
    (made.root / "dags" / ".airflowignore").write_text("# drafts\nignored.py\n")
    for name in ("shop", "ignored"):
        made.add(name)
    made.add("nodoc", file=FILE.replace("Airflow DAG: ", ""))
    made.add("odd", file=FILE + "x.nothing_of_that_name.more\n")
    made.add("unsteady", file="import time\n" + FILE + "x.doc_md = str(time.time_ns())\n")
    made.add("unparsed", project="data/unparsed")
    made.add("invalid", spec=SPEC + "layerz: 1\n")
    made.add("unselectable", spec=SPEC.replace("{{}}", "{{all: 'nothing_like_that:x'}}"))
    made.add("lost", spec=SPEC + "connection: nowhere\ntarget: other\n")
    return made


def findings(text: str) -> dict[str, str]:
    """What `check` printed: subject to status and text, in one line."""
    found: dict[str, str] = {}
    subject = ""
    for line in text.splitlines()[1:]:
        status, rest = line[:6].strip(), line[6:]
        if status:
            subject, _, said = rest.partition("  ")
            found[subject.strip()] = f"{status} {said.strip()}"
        elif subject:
            found[subject.strip()] += f" {line.strip()}"
    return found


def test_manifests_of_all_are_made_but_of_the_broken(repository: Repository) -> None:
    """Without a profiles.yml, from the connection; one parse for all pipelines of a project."""
    done = repository.call("manifest")
    manifest = repository.root / "data" / "dbt" / "target" / "manifest.json"
    assert done.stdout.count(f"Wrote {manifest}") == 1, done.stderr
    assert "dbt parses with a profile made from the Airflow connection warehouse" in done.stderr
    assert done.returncode == 2
    assert "invalid: " in done.stderr
    assert "layerz" in done.stderr
    assert "unparsed: `dbt parse` failed" in done.stderr
    assert "unselectable: layer all: dbt cannot say what the selection means" in done.stderr
    nodes = json.loads(manifest.read_text())["nodes"]
    assert nodes["model.dbt_.one"]["relation_name"] == '"warehouse"."analytics"."one"'


def test_a_profile_that_cannot_be_made_is_said_with_the_lines_to_write(repository: Repository) -> None:
    """Before anything starts."""
    done = repository.call("run", "lost")
    assert done.returncode == 2
    assert "there is no " in done.stderr
    assert "'nowhere'" in done.stderr
    for line in ("mine:", "  outputs:", "    other: {type: postgres", "AIRFLOW_CONN_NOWHERE"):
        assert line in done.stderr
    assert "Starting" not in done.stderr


def test_check_says_of_each_what_is_wrong(repository: Repository) -> None:
    """Also what Airflow would never say, and nothing of one is told of another."""
    done = repository.call("check", "--no-connections")
    found = findings(done.stdout)
    assert done.returncode == 2
    assert "Traceback" not in done.stdout + done.stderr
    assert "Letting Airflow import" in done.stderr
    assert found["shop: dag"].startswith("ok ")
    assert found["shop: manifest"].startswith("ok ")
    assert "layerz" in found["invalid: spec"]
    assert "`dbt parse` failed" in found["unparsed: manifest"]
    assert "dbt cannot say what the selection means" in found["unselectable: manifest"]
    assert found["nodoc: dag"].startswith("fail ")
    assert "in safe mode a file has to contain 'airflow'" in found["nodoc: dag"]
    assert found["ignored: dag"].startswith("warn ")
    assert f"{repository.root / 'dags' / '.airflowignore'} leaves it out" in found["ignored: dag"]
    assert (
        "AttributeError: 'DAG' object has no attribute 'nothing_of_that_name' (line 5)" in found["odd: dag"]
    )
    assert "serialises differently in two processes" in found["unsteady: dag"]


def test_a_named_pipeline_is_checked_alone(repository: Repository) -> None:
    """And a file that is left out is a failure then."""
    found = findings(repository.call("check", "ignored", "--no-connections").stdout)
    assert {subject.partition(":")[0] for subject in found} == {"ignored"}
    assert found["ignored: dag"].startswith("fail ")


@pytest.mark.parametrize(
    ("name", "said"), [("nodoc", "in safe mode"), ("ignored", ".airflowignore leaves it out")]
)
def test_run_says_at_once_that_airflow_will_not_read_the_file(
    repository: Repository, name: str, said: str
) -> None:
    """It does not wait for a DAG that never comes."""
    done = repository.call("run", name)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Starting" not in done.stderr


def test_in_a_fresh_clone_plan_makes_the_manifest(repository: Repository) -> None:
    """And says so, beside the answer; every task that is named is listed."""
    shutil.rmtree(repository.root / "data" / "dbt" / "target", ignore_errors=True)
    done = repository.call("plan", "shop", "--json")
    assert "Making the dbt manifest" in done.stderr
    plan = json.loads(done.stdout)
    shown = [one for part in ("nodes", "builds", "gates") for one in plan[part]]
    assert {task for one in shown for task in one["upstream"]} <= {one["task_id"] for one in shown}
    assert "build" in {one["task_id"] for one in plan["builds"]}
