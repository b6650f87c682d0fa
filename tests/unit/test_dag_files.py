"""Which pipelines the DAG files of a folder build, and that one's fault is not another's."""

from __future__ import annotations

from pathlib import Path

import pytest

from goldsmith.dag_files import read_dag_files

ONE = "from goldsmith import Pipeline, build_dag\nx = build_dag(Pipeline(name={name!r}))\n"
FROM_YAML = """
from pathlib import Path
from goldsmith import build_dag
x = build_dag(Path(__file__).parent / "pipelines" / "{stem}.yml")
"""


@pytest.fixture
def dags_dir(tmp_path: Path) -> Path:
    """A dags folder with the pipeline `shop`."""
    (tmp_path / "dags" / "pipelines").mkdir(parents=True)
    (tmp_path / "dags" / "shop.py").write_text(ONE.format(name="shop"))
    return tmp_path / "dags"


def test_a_file_may_go_on_to_use_its_dag(dags_dir: Path) -> None:
    """The command line reads the spec without making the DAG."""
    (dags_dir / "shop.py").write_text(ONE.format(name="shop") + 'x.doc_md = "more"\n')
    (dags_dir / "other.py").write_text(ONE.format(name="other") + "with x as dag:\n    pass\n")
    assert sorted(read_dag_files(dags_dir).pipelines) == ["other", "shop"]


def test_two_pipelines_of_one_name_are_refused(dags_dir: Path) -> None:
    """Airflow would show one of them, and not say which; a third is not concerned."""
    (dags_dir / "again.py").write_text(ONE.format(name="shop"))
    (dags_dir / "other.py").write_text(ONE.format(name="other"))
    found = read_dag_files(dags_dir)
    assert (list(found.pipelines), found.names) == (["other"], ("other", "shop"))
    files = f"{dags_dir / 'again.py'} and {dags_dir / 'shop.py'}"
    assert found.errors["shop"].message == f"Two pipelines are called shop: {files}."


def test_of_two_files_one_may_be_left_out(dags_dir: Path) -> None:
    """An archive of old files, which Airflow is told not to read, takes no name away, nor is it broken."""
    (dags_dir / "archive").mkdir()
    old = dags_dir / "archive" / "shop.py"
    old.write_text(ONE.format(name="shop"))
    found = read_dag_files(dags_dir, left_out={old}.intersection)
    assert (found.names, found.pipelines["shop"][1]) == (("shop",), dags_dir / "shop.py")
    old.write_text("import goldsmith\n1 / 0\n")
    assert read_dag_files(dags_dir, left_out={old}.intersection).names == ("shop",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import goldsmith\n1 / 0\n", "cannot be run: ZeroDivisionError: division by zero"),
        ("import goldsmith\nraise SystemExit(3)\n", "cannot be run: SystemExit: 3"),
        ("import goldsmith\ndef\n", "cannot be run: SyntaxError"),
        ("from goldsmith import nothing_of_that_name\n", "cannot be run: ImportError"),
        (ONE.format(name="no name"), "bad.py"),
    ],
)
def test_a_file_that_cannot_run_leaves_the_others(dags_dir: Path, text: str, said: str) -> None:
    """It is reported by its name, with Python's own words."""
    (dags_dir / "bad.py").write_text(text)
    found = read_dag_files(dags_dir)
    assert list(found.pipelines) == ["shop"]
    assert len(found.broken) == 1
    assert said in found.broken[0].error.message


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("name: orders\nlayerz: {}\n", "orders"),
        ("name: orders\nlayers: [\n", "spec"),
        ("- orders\n", "spec"),
        ("name: 7\n", "spec"),
    ],
)
def test_an_invalid_spec_is_known_by_its_name(dags_dir: Path, text: str, name: str) -> None:
    """So that a command that names it says what is wrong with it, and one that does not goes on."""
    (dags_dir / "pipelines" / "spec.yml").write_text(text)
    (dags_dir / "spec.py").write_text(FROM_YAML.format(stem="spec"))
    found = read_dag_files(dags_dir)
    assert found.names == ("shop", name)
    broken = found.broken_one(name)
    assert broken is not None
    assert "spec.yml" in broken.error.message


def test_files_have_their_own_neighbours(dags_dir: Path) -> None:
    """Two folders may each have a module of one name, and all see those of the dags folder."""
    (dags_dir / "prefix.py").write_text("PREFIX = 'team_'\n")
    for team in ("a", "b"):
        (dags_dir / team).mkdir()
        (dags_dir / team / "names.py").write_text(f"NAME = {team!r}\n")
        (dags_dir / team / "dag.py").write_text(
            "from goldsmith import Pipeline, build_dag\nfrom names import NAME\nfrom prefix import PREFIX\n"
            "x = build_dag(Pipeline(name=PREFIX + NAME))\n"
        )
    assert sorted(read_dag_files(dags_dir).names) == ["shop", "team_a", "team_b"]


def test_folders_may_be_links(dags_dir: Path, tmp_path: Path) -> None:
    """Airflow follows them; one that leads back is not followed for ever."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "other.py").write_text(ONE.format(name="other"))
    (dags_dir / "linked").symlink_to(tmp_path / "elsewhere")
    (dags_dir / "loop").symlink_to(dags_dir)
    assert sorted(read_dag_files(dags_dir).pipelines) == ["other", "shop"]


def test_what_a_file_prints_is_no_answer(dags_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`goldsmith plan --json` is one document whatever DAG files print."""
    (dags_dir / "shop.py").write_text(ONE.format(name="shop") + "print('hello')\n")
    read_dag_files(dags_dir)
    assert capsys.readouterr().out == ""


def test_the_example_has_a_pipeline_for_each_table(repository: Path) -> None:
    """One template, three small files."""
    found = read_dag_files(repository / "examples" / "one_file_per_table" / "dags")
    assert found.broken == ()
    assert sorted(found.pipelines) == ["load_customers", "load_exchange_rates", "load_products"]
    rates, _ = found.pipelines["load_exchange_rates"]
    assert (rates.select, rates.ingest[0].key) == (("stg_exchange_rates",), ("currency", "rate_time"))
