"""Which Airflow is enough."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from goldsmith.airflow_version import NEEDED, need_airflow
from goldsmith.check import check_all
from goldsmith.errors import EnvironmentProblem
from goldsmith.pipeline import build_dag
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline

PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of packages, the only one of this process."""
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    return tmp_path


def install(site: Path, version: str) -> None:
    """Install the metadata of an Airflow."""
    folder = site / f"apache_airflow_core-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: apache-airflow-core\nVersion: {version}\n"
    )


@pytest.mark.parametrize("version", ["3.3.1", "3.3.2+astro.1", "3.3.10", "3.4.0rc1"])
def test_a_later_airflow_is_enough(installed: Path, version: str) -> None:
    """Whoever built it."""
    install(installed, version)
    assert metadata.version("apache-airflow-core") == version
    need_airflow()


@pytest.mark.parametrize("version", ["3.2.1", "3.3.0", "3.0.6"])
def test_an_earlier_airflow_is_named_with_what_is_needed(installed: Path, version: str) -> None:
    """And with the command."""
    install(installed, version)
    with pytest.raises(EnvironmentProblem) as caught:
        need_airflow()
    assert caught.value.message == (
        f"Goldsmith needs Airflow 3.3.1 or later; this environment has {version}."
    )
    assert caught.value.hint.startswith("pip install 'apache-airflow>=3.3.1,<3.4'")


@pytest.mark.usefixtures("installed")
def test_without_airflow_it_is_said_too() -> None:
    """Airflow 2 is another package."""
    with pytest.raises(EnvironmentProblem, match="this environment has no Airflow 3"):
        need_airflow()


def test_a_dag_file_and_check_say_it(
    installed: Path,
    settings_for: Callable[[Path], Settings],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before anything that the earlier version lacks is imported."""
    install(installed, "3.2.1")
    monkeypatch.setenv("GOLDSMITH_DBT_PROJECT_DIR", str(tmp_path))
    with pytest.raises(EnvironmentProblem, match=r"this environment has 3\.2\.1"):
        build_dag(Pipeline(name="shop"))
    [found] = check_all(settings_for(tmp_path), {}, strict=False, connections=False, report=print)
    assert (found.subject, found.status) == ("airflow", "fail")
    assert "this environment has 3.2.1" in found.text


def test_the_lowest_version_is_that_of_the_package() -> None:
    """pip and Goldsmith say the same."""
    dependencies = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]
    assert f"apache-airflow>={NEEDED},<3.4" in dependencies
