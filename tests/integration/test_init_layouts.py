"""`goldsmith init` in the layouts that people have: from a repository to a plan that is dbt's own graph."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from tests.generated.answers import Dbt
from tests.generated.checks import check_pipeline
from tests.layouts.build import write
from tests.layouts.known import LAYOUTS, Layout

from goldsmith.adopt.adoption import Asked
from goldsmith.adopt.files import write as write_changes
from goldsmith.adopt.init import Init, look_and_adopt
from goldsmith.dag_files import read_dag_files
from goldsmith.pipeline import project_of

pytestmark = pytest.mark.integration

# Their pipelines have a manifest of their own, because of the target: `goldsmith init` lets dbt parse once more.
_LONG = ("project in dags", "medallion", "package")
NAMES = [pytest.param(name, marks=[pytest.mark.full] if name in _LONG else []) for name in LAYOUTS]
PROFILES = """\
shop: &output
  target: prod
  outputs:
    prod: {type: postgres, host: localhost, user: nobody, password: x, port: 5432, dbname: db, schema: analytics}
dbt_shop: *output
"""


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Far from any profile of the machine, with the variables that the layouts' own profiles read."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(folder))
        patch.setenv("SHOP_HOST", "localhost")
        patch.setenv("SHOP_USER", "nobody")
        yield folder


@pytest.fixture(scope="module")
def profiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The profile with which a project without one was parsed before."""
    folder = tmp_path_factory.mktemp("profiles")
    (folder / "profiles.yml").write_text(PROFILES)
    return folder


@pytest.fixture(scope="module")
def dbt(home: Path) -> Iterator[Dbt]:  # noqa: ARG001 - its environment
    """dbt, loaded once."""
    started = Dbt()
    yield started
    started.close()


def adopted(root: Path, layout: Layout) -> Init:
    """What `goldsmith init --yes` does, as far as Airflow is not asked."""
    named = [Path(value) for option, value in _pairs(layout.arguments) if option == "--project"]
    found = look_and_adopt(root, named, Asked(), lambda _: None)
    write_changes(found.changes)
    return found


def _pairs(arguments: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    return zip(arguments[::2], arguments[1::2], strict=True)


@pytest.mark.parametrize("name", NAMES)
def test_the_pipeline_that_is_proposed_is_dbts_graph(
    name: str, dbt: Dbt, profiles: Path, tmp_path: Path
) -> None:
    """Every node once, each edge of the manifest in the order, none against it; no file of the user is changed."""
    layout = LAYOUTS[name]
    root = write(layout.files, tmp_path / "repository")
    folder = root / layout.project
    is_own = (folder / "profiles.yml").is_file()
    answer = dbt.ask(folder, None if is_own else profiles)
    assert not answer.error
    found = adopted(root, layout)
    [one] = found.adopted
    written = yaml.safe_load((root / "dags" / "pipelines" / f"{layout.name}.yml").read_text())
    assert (written["name"], written["project"]) == (layout.name, layout.project)
    assert (written["layers"], written.get("gate", "layer")) == (layout.layers, layout.gate)
    assert {key: written.get(key) for key in layout.of_cosmos} == layout.of_cosmos
    assert bool(one.cosmos.dags) is bool(layout.of_cosmos)
    assert list(written["layers"]) == list(layout.layers)
    assert {tuple(uid.rpartition(".")[2] for uid in edge) for edge in one.proposal.against} == layout.against
    assert tuple(one.outside) == layout.outside
    # As Airflow would read it: by the DAG file.
    files = read_dag_files(root / "dags")
    assert not files.broken
    spec, _ = files.pipelines[layout.name]
    plan = check_pipeline(spec, project_of(spec, found.here), found.here, answer)
    assert plan is not None
    assert len(plan.nodes) == len(answer.executable)
    for path, text in layout.files.items():
        assert (root / path).read_text().startswith(text), path
    assert not look_and_adopt(root, [Path(layout.project)], Asked(), lambda _: None).changes
