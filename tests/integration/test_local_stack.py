"""The local Airflow, with real processes that are really killed."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from tests.integration.waiting import until

from goldsmith.client.airflow import Airflow
from goldsmith.client.display import display_on
from goldsmith.client.ended import summed_up
from goldsmith.client.follow import follow
from goldsmith.client.node_log import node_log
from goldsmith.client.parsed import wait_until_parsed
from goldsmith.client.session import Watch, _other_runs, ending_with
from goldsmith.errors import ConfigurationError, EnvironmentProblem
from goldsmith.rest import Run
from goldsmith.stack import interruption
from goldsmith.stack.component import COMPONENTS
from goldsmith.stack.interruption import refuse_interrupted
from goldsmith.stack.ports import free_port
from goldsmith.stack.processes import of_stack
from goldsmith.stack.record import Record
from goldsmith.stack.stack import Stack

pytestmark = pytest.mark.integration

DAG = """
from pathlib import Path
from airflow.sdk import DAG, TaskGroup, task

with DAG("small", schedule=None):
    with TaskGroup("bronze"):
        @task
        def first(): pass
        begin = first()
    with TaskGroup("silver"):
        @task
        def second():
            if not Path({ok!r}).exists():
                raise RuntimeError("Database Error in model second")
        middle = second()
        @task
        def third(): pass
        middle >> third()
    begin >> middle

with DAG("long", schedule=None):
    @task
    def wait():
        import time
        time.sleep(600)
    wait()
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two small DAGs and a broken file; the file `ok` decides whether `small` succeeds."""
    root = tmp_path_factory.mktemp("stack")
    (root / "dags").mkdir()
    (root / "dags" / "small.py").write_text(DAG.format(ok=str(root / "ok")))
    (root / "dags" / "broken.py").write_text("from airflow.sdk import DAG\nraise ValueError('unfinished')\n")
    return root


@pytest.fixture(scope="module")
def stranger() -> Iterator[socket.socket]:
    """A program of somebody else; it gets the stack's port at the worst moment."""
    with socket.socket() as made:
        # So that it gets the port also where a connection over it has only just ended.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        yield made


@pytest.fixture(scope="module")
def any_stack(repository: Path, stranger: socket.socket) -> Iterator[Stack]:
    """The stack that the tests of this module start and stop."""

    def interfere(step: str) -> None:
        if step == "Starting Airflow" and stranger.getsockname()[1] == 0:
            stranger.bind(("127.0.0.1", made.port))
            stranger.listen()

    made = Stack(root=repository, report=interfere)
    yield made
    made.destroy()


@pytest.fixture
def stack(any_stack: Stack) -> Stack:
    """The stack, running."""
    any_stack.up()
    return any_stack


def test_a_killed_component_is_started_again(stack: Stack) -> None:
    """The supervisor starts a component that died; `status` shows the new process."""
    before = {part.name: part for part in stack.status()}
    assert {part.state for part in before.values()} == {"healthy"}
    killed = before["triggerer"].pid
    assert killed
    os.kill(killed, signal.SIGKILL)

    def is_back() -> bool:
        now = {part.name: part for part in stack.status()}["triggerer"]
        return now.pid not in (None, killed) and now.starts > before["triggerer"].starts

    assert until(is_back, seconds=30)


def test_a_port_that_was_taken_meanwhile_is_left_to_the_other(stack: Stack, stranger: socket.socket) -> None:
    """A program that takes the chosen port before our API server does is not mistaken for it."""
    assert stranger.getsockname()[1] not in (0, stack.port)
    with stack.api() as api:
        assert api.dag("nothing") is None


def test_a_run_is_followed_reported_and_healed(stack: Stack, repository: Path) -> None:
    """The report holds the failure's own words; after the cause is gone, clearing the task turns the run green."""
    ok = repository / "ok"
    ok.unlink(missing_ok=True)
    console = Console(file=None, quiet=True)
    with stack.api() as api:
        airflow = Airflow(api=api, url=stack.url, stack=stack)
        dags = repository / "dags"
        wait_until_parsed(api, "small", dags, changed=None, file=dags / "small.py")
        run = api.trigger("small")
        api.unpause("small")
        progress = follow(api, "small", run.run_id, display_on(console, ()))
        report = summed_up(airflow, progress, order=("bronze", "silver"), plan=None)
        assert not report.is_success
        assert [(one.task_id, one.message) for one in report.failures] == [
            ("silver.second", "Database Error in model second")
        ]
        assert report.failures[0].again == "goldsmith retry silver.second --downstream"
        assert [
            (one.group, one.done, one.failed, one.not_reached) for one in progress.tallies(report.order)
        ] == [
            ("bronze", 1, 0, 0),
            ("silver", 0, 1, 1),
        ]
        log = node_log(airflow, None, "small", "silver.second", run_id=None, only_task_log=True)
        assert any("Database Error" in line for line in log.lines())

        ok.touch()
        cleared = api.clear("small", run.run_id, ["silver.second"], downstream=True)
        assert {task.task_id for task in cleared} == {"silver.second", "silver.third"}
        healed = follow(api, "small", run.run_id, display_on(console, ()))
        assert healed.run.state == "success"
        assert {task.task_id: task.try_number for task in healed.tasks} == {
            "bronze.first": 1,
            "silver.second": 2,
            "silver.third": 1,
        }


def test_down_leaves_nothing_also_with_a_task_at_work(stack: Stack, repository: Path) -> None:
    """`down` ends the components, the task that runs, and PostgreSQL, within seconds; who follows a run is told."""
    run = start_long_task(stack, repository)
    record = Record.read(stack.state)
    told: list[tuple[float, str]] = []
    watching = threading.Thread(target=watch_until_told, args=(stack, run, told))
    watching.start()
    began = time.monotonic()
    assert stack.down()
    assert time.monotonic() - began < 30
    watching.join(timeout=20)
    [(moment, text)] = told
    assert moment - began < 20  # 2 s on a quiet machine
    assert text.startswith(
        "The local stack was stopped, and the run with it.\nTo start it again: goldsmith up."
    )
    assert list(of_stack(stack.state.path, record.sessions)) == []
    assert not stack.server.is_running()
    assert {part.state for part in stack.status()} == {"stopped"}
    assert not stack.down()


def test_a_killed_supervisor_leaves_nothing_that_down_does_not_end(stack: Stack, repository: Path) -> None:
    """After kill -9 of the supervisor, `down` finds the components and the task they left, and PostgreSQL."""
    start_long_task(stack, repository)
    record = Record.read(stack.state)
    assert record.supervisor
    os.kill(record.supervisor.pid, signal.SIGKILL)
    assert stack.down()
    assert list(of_stack(stack.state.path, record.sessions)) == []
    assert not stack.server.is_running()


def watch_until_told(stack: Stack, run: Run, told: list[tuple[float, str]]) -> None:
    """Follow a run as `goldsmith run` does, and note when it was told that there is nothing to follow any more."""
    display = display_on(Console(file=StringIO()), ())
    with stack.api() as api:
        airflow = Airflow(api=api, url=stack.url, stack=stack)
        try:
            follow(api, run.dag_id, run.run_id, display, check=airflow.check)
        except EnvironmentProblem as error:
            told.append((time.monotonic(), str(error)))


def test_a_full_disk_is_told_with_how_much_is_missing(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """While there is space, nothing is said."""
    refuse_interrupted(stack)
    free = shutil.disk_usage(stack.state.path).free
    monkeypatch.setattr(interruption, "LEAST_FREE", free + 2**40)
    monkeypatch.setattr(interruption, "WANTED_FREE", free + 2**41)
    with pytest.raises(
        EnvironmentProblem, match=r"The disk is full: \d+ MB are free at .* 20971\d\d MB are missing"
    ):
        refuse_interrupted(stack)


def start_long_task(stack: Stack, repository: Path) -> Run:
    """Leave a task at work."""
    with stack.api() as api:
        dags = repository / "dags"
        wait_until_parsed(api, "long", dags, changed=None, file=dags / "small.py")
        run = api.trigger("long")
        api.unpause("long")
        assert until(
            lambda: [task.state for task in api.task_instances("long", run.run_id)] == ["running"], seconds=60
        )
    return run


def test_a_broken_file_fails_its_own_dag_only(stack: Stack, repository: Path) -> None:
    """While Airflow knows no such DAG, an import error counts where it is that of the DAG's file."""
    dags = repository / "dags"
    with stack.api() as api:
        assert until(lambda: bool(api.import_errors()), seconds=60)
        with pytest.raises(ConfigurationError, match="unfinished"):
            wait_until_parsed(api, "absent", dags, changed=None, file=dags / "broken.py")
        assert wait_until_parsed(api, "small", dags, changed=None, file=dags / "small.py").dag_id == "small"


def test_a_stack_with_somebody_elses_run_is_not_stopped(stack: Stack, repository: Path) -> None:
    """`--down` leaves the stack running while a run is active that this command does not watch."""
    run = start_long_task(stack, repository)
    console = Console(record=True, width=200, file=StringIO())
    watch = Watch(display=display_on(console, ()))
    airflow = Airflow(api=stack.api(), url=stack.url, stack=stack)
    with ending_with(airflow, console, watch, down=True):
        assert run.run_id in {other.run_id for other in _other_runs(airflow, watch)}
        own = Watch(display=watch.display, run=run)
        assert run.run_id not in {other.run_id for other in _other_runs(airflow, own)}
    assert stack.is_up()
    assert "goes on" in console.export_text()


def test_a_supervisor_that_ends_at_once_is_told_at_once(tmp_path: Path) -> None:
    """`up` does not wait for minutes for a supervisor that is dead, and shows what it said."""
    (tmp_path / "dags").mkdir()
    # The components' environment is the user's: there the supervisor finds another `psutil`.
    (tmp_path / "psutil.py").write_text("raise SystemExit('no such processor')\n")
    made = Stack(root=tmp_path, extra_env={"PYTHONPATH": str(tmp_path)})
    made.state.create()
    made.state.remember(port=free_port(made.port))
    began = time.monotonic()
    made._start_supervisor(made.env())
    with pytest.raises(EnvironmentProblem, match=r"(?s)supervisor has ended.*no such processor"):
        made._wait_until_healthy(since=datetime.now(UTC))
    assert time.monotonic() - began < 20


def test_a_supervisor_that_cannot_be_known_yet_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a moment after its start it has no record, and the system shows no environment of it."""
    (tmp_path / "dags").mkdir()
    made = Stack(root=tmp_path)
    made.state.create()
    made.state.remember(port=free_port(made.port))
    monkeypatch.setattr("goldsmith.stack.stack.of_stack", lambda *_: iter(()))
    made._start_supervisor(made.env())
    launched = made._launched
    assert launched is not None
    try:
        assert made._stop()
        assert launched.poll() is not None
    finally:
        launched.kill()


def test_a_stack_of_another_user_is_refused(tmp_path: Path) -> None:
    """A state folder that belongs to somebody else is not touched."""
    if os.geteuid() != 0:
        pytest.skip("only root can make a folder of another user")
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, 65534, 65534)
    (tmp_path / "dags").mkdir()
    with pytest.raises(EnvironmentProblem, match="belongs to user 65534"):
        Stack(root=tmp_path, state_dir=state).up()
    assert list(state.iterdir()) == []


AS_NORMAL_USER = """
import json, os, signal, sys, time
from pathlib import Path
from goldsmith.stack.processes import of_stack
from goldsmith.stack.record import Record
from goldsmith.stack.ports import free_port
from goldsmith.stack.stack import Stack

stack = Stack(root=Path(sys.argv[1]))
stack.up()
with stack.api() as api:
    while api.dag("long") is None:
        time.sleep(0.5)
    run = api.trigger("long")
    api.unpause("long")
    while [task.state for task in api.task_instances("long", run.run_id)] != ["running"]:
        time.sleep(0.5)
states = sorted({part.state for part in stack.status()})
record = Record.read(stack.state)
os.kill(record.supervisor.pid, signal.SIGKILL)
stack.down()
left = [process.pid for process in of_stack(stack.state.path, record.sessions)]
print(json.dumps({"states": states, "home": str(stack.server.socket_dir), "uid": os.geteuid(), "left": left}))
"""


@pytest.fixture
def normal_user() -> Iterator[tuple[str, Path]]:
    """A Python that an unprivileged user can run, and a private folder of that user."""
    if os.geteuid() != 0:
        pytest.skip("the other tests already run as a normal user")
    nobody = pwd.getpwnam("nobody")
    folder = Path(tempfile.mkdtemp(prefix="gs-"))
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    system = Path(f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}")
    reachable = [python for python in (Path(sys.executable), system) if _can_import(python, folder)]
    if not reachable:
        pytest.skip("no Python with the installed packages is reachable for a normal user here")
    yield str(reachable[0]), folder
    shutil.rmtree(folder)


def _can_import(python: Path, folder: Path) -> bool:
    try:
        return as_nobody([str(python), "-c", "import airflow, goldsmith"], folder).returncode == 0
    except OSError:
        return False


def as_nobody(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program as the user nobody."""
    nobody = pwd.getpwnam("nobody")
    packages = os.pathsep.join(path for path in sys.path if path.endswith(("site-packages", "include")))
    return subprocess.run(
        command,
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder), "PYTHONPATH": packages},
        user=nobody.pw_uid,
        group=nobody.pw_gid,
        extra_groups=(),
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_normal_user_has_the_same_stack(normal_user: tuple[str, Path]) -> None:
    """Without root, all of it runs in the state folder, and a crash leaves nothing, unreadable tasks included."""
    python, folder = normal_user
    (folder / "dags").mkdir()
    (folder / "dags" / "small.py").write_text(DAG.format(ok=str(folder / "ok")))
    done = as_nobody([python, "-c", AS_NORMAL_USER, str(folder)], folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "states": ["healthy"],
        "home": str(folder / ".goldsmith" / "postgres"),
        "uid": pwd.getpwnam("nobody").pw_uid,
        "left": [],
    }
    assert set(COMPONENTS) <= {path.stem for path in (folder / ".goldsmith" / "logs").glob("*.log")}
