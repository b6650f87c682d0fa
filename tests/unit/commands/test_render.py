"""`goldsmith render`: static DAG files, which say the same as the specs."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from goldsmith.cli import app
from goldsmith.dag_files import read_dag_files
from goldsmith.errors import ConfigurationError, EnvironmentProblem
from goldsmith.pipelines.static_files import static_dag_file, write_static_files
from goldsmith.spec.pipeline import Pipeline

SPECS = {
    "defaults": "owner: team\nretries: {models: 4}\n",
    "shop": "schedule: '@daily'\nstart_date: 2026-02-03\nenvironments: {prod: {connection: big}, dev: {target: dev}}\n",
    "load": "for_each: {country: [at, de]}\nselect: tag:{country}\nwindow: 1d\nschedule: '@daily'\n",
    "rich": """
after: {any: [goldsmith://shop/gold/a]}
vars: {since: 2026-01-01, list: [1, null, {a: 'b"c'}]}
gates: {gold: {failed_tests: [{max: 1, tag: x}, 2], rows: {a: {change: 0.5}}}}
report: {publish: ["s3://a@b/c", {to: reports, keep: 3}], report_timeout: 5m}
alerts: {channels: {mail: {type: email, connection: c, to: a@b.c}}, routes: [{channels: mail, urgent: true}]}
deadlines: [{by: "06:00"}, {node: a, within: 90m}]
profile: {schema: x, threads: 8, extra: {keepalives_idle: 0}}
ingest: [{source: raw.orders, file: a.csv, key: [id], columns: [id]}]
freshness: off
exclude_resource_types: unit_test
""",
}


@pytest.fixture
def repository_of_four(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of specs with a loader; commands run there."""
    pipelines = tmp_path / "dags" / "pipelines"
    pipelines.mkdir(parents=True)
    for name, text in SPECS.items():
        (pipelines / f"{name}.yml").write_text(text)
    (tmp_path / "dags" / "load_all.py").write_text(
        '"""Airflow DAGs."""\nfrom goldsmith import build_dags\nglobals().update(build_dags("pipelines"))\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(tmp_path / "dags"))  # or Airflow's, if it is loaded
    return tmp_path


def test_the_files_say_what_the_specs_say(repository_of_four: Path) -> None:
    """In the environment that is named, whatever that of this process is: each file makes the same pipeline."""
    done = CliRunner().invoke(app, ["render", "prod", "--out", "out/prod"])
    assert done.exit_code == 0, done.output
    assert sorted(path.name for path in Path("out/prod").iterdir()) == [
        *("load_at.py", "load_de.py", "rich.py", "shop.py")
    ]
    static = {name: spec for name, (spec, _) in read_dag_files(Path("out/prod")).pipelines.items()}
    written = read_dag_files(repository_of_four / "dags", environment="prod").pipelines
    assert static == {
        name: spec.model_copy(update={"environments": {}}) for name, (spec, _) in written.items()
    }
    assert (static["shop"].connection, static["shop"].retries.models, static["load_at"].select) == (
        "big",
        4,
        ("tag:at",),
    )
    for path in Path("out/prod").iterdir():
        first = path.read_text().splitlines()[0]
        assert first.startswith('"""Airflow DAG: ')
        assert "goldsmith render prod" in first


def test_what_is_gone_is_deleted_and_what_is_somebodys_stays(repository_of_four: Path) -> None:
    """A file that is left would be a DAG that nobody wants."""
    out = repository_of_four / "out"
    CliRunner().invoke(app, ["render", "dev", "--out", str(out)])
    (repository_of_four / "dags" / "pipelines" / "load.yml").unlink()
    (out / "own.py").write_text("mine = 1\n")
    done = CliRunner().invoke(app, ["render", "dev", "--out", str(out)])
    assert f"Deleted {out / 'load_at.py'}, whose pipeline is gone" in done.output
    assert sorted(path.name for path in out.iterdir()) == ["own.py", "rich.py", "shop.py"]
    assert (out / "own.py").read_text() == "mine = 1\n"


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("layerz: {}\n", "layerz (line 1): unknown key"),
        ("environments: {dev: {target: dev}}\n", "bad has no environment 'prod'"),
    ],
)
def test_if_one_cannot_be_used_nothing_is_written(repository_of_four: Path, broken: str, said: str) -> None:
    """Half of the pipelines would be a deploy that takes the others away."""
    (repository_of_four / "dags" / "pipelines" / "bad.yml").write_text(broken)
    done = CliRunner().invoke(app, ["render", "prod", "--out", "out"])
    assert done.exit_code == 2
    assert said in done.output
    assert not Path("out").exists()


def test_a_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    """Somebody else's file of the name, a file in the place of the folder, the dags folder itself."""
    spec = Pipeline(name="shop")
    (tmp_path / "shop.py").write_text("theirs = 1\n")
    with pytest.raises(
        ConfigurationError, match=r"shop\.py: not made by `goldsmith render`, and never overwritten"
    ):
        write_static_files([spec, Pipeline(name="other")], "prod", tmp_path)
    assert not (tmp_path / "other.py").exists()
    with pytest.raises(EnvironmentProblem, match="cannot be written"):
        write_static_files([spec], "prod", tmp_path / "shop.py" / "below")


@pytest.mark.usefixtures("repository_of_four")
def test_files_in_the_dags_folder_would_be_doubles() -> None:
    """Airflow would see each pipeline twice."""
    done = CliRunner().invoke(app, ["render", "prod", "--out", "dags/static"])
    assert isinstance(done.exception, ConfigurationError)
    assert "where the pipelines already have DAG files" in str(done.exception)
    assert not Path("dags/static").exists()


def test_a_text_with_quotes_stays_what_it_is(tmp_path: Path) -> None:
    """Whatever stands in a description."""
    spec = Pipeline(name="shop", description='a """b""" \\ {c}\n' * 30)
    (tmp_path / "shop.py").write_text(static_dag_file(spec, "prod"))
    assert read_dag_files(tmp_path).pipelines["shop"][0] == spec


def test_routes_that_name_environments_are_mentioned(repository_of_four: Path) -> None:
    """The static file does not know where it runs."""
    text = "alerts: {routes: [{environments: prod}]}\n"
    (repository_of_four / "dags" / "pipelines" / "rich.yml").write_text(text)
    done = CliRunner().invoke(app, ["render", "prod", "--out", "out"])
    assert "set GOLDSMITH_ENVIRONMENT=prod where these files run" in done.output
