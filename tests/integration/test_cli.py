"""The command as a person calls it: exit codes and what is said, without a server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from typer.testing import CliRunner

from goldsmith.cli import app

pytestmark = pytest.mark.integration

PROJECT = "name: shop\nprofile: shop\n"
DAG = "from goldsmith import Pipeline, build_dag\nfirst = build_dag(Pipeline(name={name!r}))\n"


def goldsmith(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Call the command."""
    return subprocess.run(
        [sys.executable, "-m", "goldsmith.cli", *arguments],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def repository_of_two(tmp_path: Path) -> Path:
    """A repository with the pipelines `orders` and `returns`."""
    (tmp_path / "dbt_project").mkdir()
    (tmp_path / "dbt_project" / "dbt_project.yml").write_text(PROJECT)
    (tmp_path / "dags").mkdir()
    for name in ("orders", "returns"):
        (tmp_path / "dags" / f"{name}.py").write_text(DAG.format(name=name))
    return tmp_path


def test_every_command_shows_an_example() -> None:
    """`--help` of each command ends with a line to copy."""
    names = [
        command.name or command.callback.__name__ for command in app.registered_commands if command.callback
    ]
    assert {"run", "retry", "up", "down", "status", "logs", "deps", "sample"} <= set(names)
    for name in names:
        shown = CliRunner().invoke(app, [name, "--help"])
        assert f"Example: goldsmith {name}" in shown.output


def test_a_laptop_does_not_write_production(repository_of_two: Path) -> None:
    """Where a database of one's own is named, the target has to be, too."""
    connection = {"AIRFLOW_CONN_WAREHOUSE": '{"conn_type": "postgres", "host": "db.example.com"}'}
    done = goldsmith("run", "orders", cwd=repository_of_two, **connection)
    assert done.returncode == 2, done.stderr
    assert "orders would write the target prod of the connection warehouse" in done.stderr
    assert "export GOLDSMITH_TARGET=dev" in done.stderr
    allowed = goldsmith("run", "orders", cwd=repository_of_two, GOLDSMITH_TARGET="dev", **connection)
    assert "would write" not in allowed.stderr


def test_a_laptop_does_not_load_files_into_a_database_that_is_not_its_own(repository_of_two: Path) -> None:
    """Whatever the target: raw tables are the same for all."""
    file = repository_of_two / "dags" / "orders.py"
    ingest = '[{"file": "a.csv", "source": "lake.a", "key": ["id"], "columns": ["id"]}]'
    file.write_text(file.read_text().replace("name='orders'", f"name='orders', ingest={ingest}"))
    connection = {"AIRFLOW_CONN_WAREHOUSE": '{"conn_type": "postgres", "host": "db.example.com"}'}
    done = goldsmith("run", "orders", cwd=repository_of_two, GOLDSMITH_TARGET="dev", **connection)
    assert done.returncode == 2, done.stderr
    assert "orders would load files into lake.a of the connection warehouse" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (["run", "order"], 2, "No pipeline is called 'order'. Did you mean orders?"),
        (["run"], 2, "There are 2 pipelines: orders, returns."),
        (["manifest", "order"], 2, "No pipeline is called 'order'. Did you mean orders?"),
        (["retry", "stg_orders", "--pipeline", "orders"], 3, "Start it: goldsmith up"),
        (["status"], 3, ""),
        (["sample", "--out", "/proc/nowhere"], 3, "/proc/nowhere"),
        (["run", "--bogus"], 2, "No such option: --bogus"),
    ],
)
def test_a_mistake_ends_with_a_message_and_a_code(
    repository_of_two: Path, arguments: list[str], exit_code: int, said: str
) -> None:
    """Usage and configuration end with 2, the environment with 3; stderr says why, without a traceback."""
    done = goldsmith(*arguments, cwd=repository_of_two)
    assert done.returncode == exit_code, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_list_of_packages_there_is_nothing_to_install(repository_of_two: Path) -> None:
    """A project without packages is an ordinary one."""
    done = goldsmith("deps", cwd=repository_of_two)
    assert done.returncode == 0, done.stderr
    assert "Nothing to install: neither" in done.stdout


def test_a_broken_pipeline_is_told_when_it_is_meant(repository_of_two: Path) -> None:
    """Its own error if it is named; the others are found; without a name it counts as one of several."""
    dags = repository_of_two / "dags"
    (dags / "returns.py").write_text(DAG.format(name="returns").replace("name=", "layerz={}, name="))
    (dags / "orders.py").unlink()
    (dags / "shop.yml").write_text("name: shop\nlayerz: {}\n")
    (dags / "shop.py").write_text("from goldsmith import build_dag\nx = build_dag('shop.yml')\n")
    for name in ("returns", "shop"):
        done = goldsmith("run", name, cwd=repository_of_two)
        assert done.returncode == 2
        assert "layerz" in done.stderr
        assert "Traceback" not in done.stderr
    done = goldsmith("run", cwd=repository_of_two)
    assert "There are 2 pipelines: returns, shop." in done.stderr
    done = goldsmith("run", "ship", cwd=repository_of_two)
    assert "No pipeline is called 'ship'. Did you mean shop?" in done.stderr
    assert f"It may be in {dags / 'returns.py'}" in done.stderr


def test_sample_replaces_no_file(tmp_path: Path) -> None:
    """A folder may hold a file of one of the names, of somebody's own."""
    own = tmp_path / "customers.csv"
    own.write_text("mine\n")
    arguments = ("sample", "--rows", "10", "--out", str(tmp_path))
    done = goldsmith(*arguments, cwd=tmp_path)
    assert (done.returncode, own.read_text()) == (2, "mine\n")
    assert f"{own} exists" in done.stderr
    assert goldsmith(*arguments, "--overwrite", cwd=tmp_path).returncode == 0
    assert own.read_text() != "mine\n"


def test_outside_a_project_the_hint_says_how_to_name_one(tmp_path: Path) -> None:
    """Without a dbt project above the current folder the command says where it looked."""
    done = goldsmith("run", cwd=tmp_path)
    assert done.returncode == 2
    assert str(tmp_path) in done.stderr
    assert "GOLDSMITH_DBT_PROJECT_DIR" in done.stderr


def test_json_is_one_document_also_for_an_error(repository_of_two: Path) -> None:
    """With --json, stdout holds one JSON document whatever happens."""
    done = goldsmith("run", "nope", "--json", cwd=repository_of_two)
    assert done.returncode == 2
    assert json.loads(done.stdout)["exit_code"] == 2


def test_a_mistyped_option_is_told_in_json_too(repository_of_two: Path) -> None:
    """A usage error with --json keeps its text on stderr, and stdout is one document."""
    done = goldsmith("run", "--json", "--bogus", cwd=repository_of_two)
    assert done.returncode == 2
    assert "Usage: " in done.stderr
    document = json.loads(done.stdout)
    assert document["exit_code"] == 2
    assert "--bogus" in document["error"]


def test_ctrl_c_is_told_in_json_too(repository_of_two: Path) -> None:
    """An interrupted command with --json ends with 130, and stdout is one document."""
    (repository_of_two / "dags" / "slow.py").write_text(
        "import time\nopen('reached', 'w').close()\ntime.sleep(60)  # goldsmith.build_dag\n"
    )
    with subprocess.Popen(
        [sys.executable, "-m", "goldsmith.cli", "run", "--json"],
        cwd=repository_of_two,
        stdout=subprocess.PIPE,
        # A shell starts what runs in its background, such as these tests, deaf to Ctrl-C.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
    ) as process:
        deadline = time.monotonic() + 20
        while not (repository_of_two / "reached").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert json.loads(out)["exit_code"] == 130


def test_check_needs_no_state_folder(repository_of_two: Path) -> None:
    """In a fresh clone `check` finds what is missing, and makes the state folder itself."""
    (repository_of_two / "dbt_project" / "dbt_project.yml").unlink()
    done = goldsmith("check", "--no-connections", cwd=repository_of_two)
    assert done.returncode == 2, done.stderr
    assert "dbt_project.yml does not exist" in " ".join(done.stdout.split())
    assert "Traceback" not in done.stderr
    assert (repository_of_two / ".goldsmith").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("command", ["down", "status", "logs", "check"])
def test_a_state_folder_of_another_user_is_refused(repository_of_two: Path, command: str) -> None:
    """Every command that reads or writes the state folder says whose it is."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a folder of another user")
    state = repository_of_two / ".goldsmith"
    state.mkdir()
    os.chown(state, 65534, 65534)
    done = goldsmith(command, cwd=repository_of_two)
    assert done.returncode == 3
    assert "belongs to user 65534" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("url", "exit_code"), [("localhost:8080", 2), ("http://[::1", 2), ("http://h:99999", 2), ("stranger", 3)]
)
def test_what_is_no_airflow_is_told_apart(
    repository_of_two: Path, stranger: str, url: str, exit_code: int
) -> None:
    """A URL that is none is a mistake of configuration; a JSON server that is no Airflow, of the environment."""
    named = stranger if url == "stranger" else url
    done = goldsmith("status", cwd=repository_of_two, GOLDSMITH_AIRFLOW_URL=named)
    assert done.returncode == exit_code, done.stderr
    assert named in done.stderr
    assert "Traceback" not in done.stderr


class _Stranger(BaseHTTPRequestHandler):
    """Answers everything with JSON that is not Airflow's."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"hello": "world"}')

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def stranger() -> Iterator[str]:
    """The address of a server that is no Airflow."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Stranger) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_named_airflow_that_is_not_there_is_an_environment_problem(repository_of_two: Path) -> None:
    """A URL that nobody answers ends with 3 and names the URL; no local stack is started."""
    url = "http://127.0.0.1:1"
    done = goldsmith("run", "orders", cwd=repository_of_two, GOLDSMITH_AIRFLOW_URL=url)
    assert done.returncode == 3
    assert url in done.stderr
    assert not (repository_of_two / ".goldsmith").exists()
