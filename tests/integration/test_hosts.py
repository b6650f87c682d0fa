"""The process that forks dbt, with a real dbt and a real warehouse: what a command gets, and who ends with whom."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from tests.integration.hosted_project import FILES, SLEEPING, Lab, is_alive
from tests.integration.waiting import until

from goldsmith.dbt import hosts
from goldsmith.dbt.executable import dbt_executable, python_of
from goldsmith.dbt.process import DbtProcess
from goldsmith.stack.postgres import EmbeddedPostgres

pytestmark = [
    pytest.mark.integration,
    # Python warns of a fork beside other threads; Airflow's tasks have none.
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


@pytest.fixture
def lab(tmp_path: Path, warehouse_server: EmbeddedPostgres) -> Lab:
    """The project."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return Lab(tmp_path, warehouse_server)


@pytest.fixture
def apart(tmp_path: Path) -> Path:
    """An environment of its own, with the packages of this one."""
    made = tmp_path / "venv"
    venv.create(made, symlinks=True)
    [site] = made.glob("lib/python*/site-packages")
    for one in Path(sysconfig.get_path("purelib")).iterdir():
        (site / one.name).symlink_to(one)
    dbt = made / "bin" / "dbt"
    dbt.write_text(f"#!{made}/bin/python\nimport sys\nfrom dbt.cli.main import cli\nsys.exit(cli())\n")
    dbt.chmod(0o755)
    return made


@pytest.fixture
def start_host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., psutil.Process]]:
    """Starts a first host of this process, which is ended with the test."""
    monkeypatch.setattr(hosts, "first_host", None)
    started = []

    def start(named: str = "") -> psutil.Process:
        before = set(psutil.Process().children())
        hosts.start_first_host(named)
        [host] = set(psutil.Process().children()) - before
        started.append(host)
        return host

    yield start
    for host in started:
        for child in [*host.children(recursive=True), host]:
            if child.is_running():
                child.kill()
        host.wait(10)


def _hosts_of(dbt: Path, first: psutil.Process) -> list[psutil.Process]:
    return [one for one in first.children() if str(dbt) in one.cmdline()]


def _refuses(place: Path) -> bool:
    """Whether nobody takes a connection there."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        return line.connect_ex(str(place)) != 0


def test_a_command_is_a_fork_with_an_environment_and_output_of_its_own(
    lab: Lab, start_host: Callable[..., psutil.Process]
) -> None:
    """And an exit code; two that run at once do not hear of each other."""
    host = start_host()
    slow = lab.sleeping()
    assert psutil.Process(slow.pid).ppid() == host.pid
    assert psutil.Process(slow.pid).cwd() == str(lab.path)
    for said in ("one", "two"):
        code, text = lab.built("quick", SAID=said)
        assert (code, "Completed successfully" in text) == (0, True), text
        assert lab.sql("select said from hosted.quick") == [(said,)]
    code, text = lab.built("nothing", DBT_WARN_ERROR="1")
    assert code == 2
    assert "does not match any enabled nodes" in text
    slow.interrupt(patience=5)
    lab.ends(slow)
    "".join(slow.lines())
    assert slow.wait() != 0


def test_a_host_gets_ready_without_the_options_in_its_environment(
    lab: Lab, start_host: Callable[..., psutil.Process], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its tiny project's manifest would lie where Airflow looks for the real one."""
    shared = tmp_path / "shared"
    monkeypatch.setenv("DBT_TARGET_PATH", str(shared))
    monkeypatch.setenv("DBT_TARGET", "prod")
    start_host()
    assert lab.built("quick")[0] == 0
    assert not shared.exists()


def test_dbt_ends_with_who_asked_for_it_however_that_ends(
    lab: Lab, start_host: Callable[..., psutil.Process]
) -> None:
    """Its query too; the host takes the next command."""
    start_host()
    assert lab.built("quick")[0] == 0
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        process = lab.sleeping()
        os.write(write_end, str(process.pid).encode())
        signal.pause()
    dbt = int(os.read(read_end, 20))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert until(lambda: not is_alive(dbt) and not lab.sql(SLEEPING), seconds=60)
    assert lab.built("quick")[0] == 0


def test_dbt_ends_with_its_host_and_the_command_has_failed(
    lab: Lab, start_host: Callable[..., psutil.Process]
) -> None:
    """As if dbt had been killed; the next command executes `dbt`."""
    host = start_host()
    process = lab.sleeping()
    host.kill()
    lab.ends(process)
    assert "".join(process.lines()) != ""
    assert process.wait() == -signal.SIGKILL
    after = lab.start("quick")
    assert psutil.Process(after.pid).ppid() == os.getpid()
    assert "Completed successfully" in "".join(after.lines())
    assert after.wait() == 0


def test_a_request_that_is_none_ends_no_others(lab: Lab, start_host: Callable[..., psutil.Process]) -> None:
    """Each of them is answered by the end of its connection."""
    start_host()
    process = lab.sleeping()
    assert hosts.first_host is not None
    for text in (b"dbt build\n", b"5\n", b'{"arguments": []}\n', b'{"host": {}}\n', b'{"signal": 9}\n'):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line, Path(os.devnull).open("wb") as null:
            line.settimeout(10)
            line.connect(str(hosts.first_host))
            socket.send_fds(line, [text], [null.fileno()])
            line.shutdown(socket.SHUT_WR)
            assert line.recv(100) == b""
    assert is_alive(process.pid)
    assert lab.built("quick")[0] == 0
    process.interrupt(patience=5)
    lab.ends(process)
    "".join(process.lines())


def test_dbt_may_end_before_its_start_was_heard_of(
    lab: Lab, start_host: Callable[..., psutil.Process], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both answers come at once to a process that had to wait for its turn."""
    start_host()

    class Late(socket.socket):
        def recv(self, size: int, flags: int = 0) -> bytes:
            look = super().recv
            assert until(lambda: b'"code"' in look(size, socket.MSG_PEEK), seconds=30)
            return look(size, flags)

    monkeypatch.setattr(socket, "socket", Late)
    process = DbtProcess(["no-such-command"], cwd=lab.path, env={}, adapter="postgres")
    assert "No such command 'no-such-command'" in "".join(process.lines())
    assert process.wait() == 2
    assert not psutil.pid_exists(process.pid), "it was no child of this process, that has to ask for its end"


def test_airflow_starts_without_a_host_if_its_socket_has_no_place(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The path of a socket is at most 107 characters long, and this one begins with TMPDIR."""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    monkeypatch.setattr(hosts, "first_host", None)
    hosts.start_first_host()
    assert hosts.first_host is None
    assert list(long.iterdir()) == []
    assert lab.built("quick")[0] == 0


def test_a_host_loads_dbt_anew_if_another_was_installed(
    lab: Lab, start_host: Callable[..., psutil.Process], apart: Path
) -> None:
    """The first command after that executes the new one."""
    [site] = apart.glob("lib/python*/site-packages")
    lab.dbt = str(apart / "bin" / "dbt")
    host = start_host(lab.dbt)
    for _ in range(2):
        assert lab.parent() == host.pid
        (site / f"dbt_more{len(list(site.iterdir()))}-1.0.dist-info").mkdir()
        assert lab.parent() == os.getpid()


def test_a_link_that_leads_to_another_dbt_has_another_host(
    lab: Lab, start_host: Callable[..., psutil.Process], apart: Path, tmp_path: Path
) -> None:
    """Some upgrade dbt so."""
    link = tmp_path / "dbt"
    link.symlink_to(dbt_executable())
    lab.dbt = str(link)
    host = start_host(lab.dbt)
    assert lab.parent() == host.pid
    link.unlink()
    link.symlink_to(apart / "bin" / "dbt")
    assert lab.parent() == os.getpid()
    assert until(lambda: bool(_hosts_of(link, host)), seconds=60)
    [its_own] = _hosts_of(link, host)
    assert lab.parent() == its_own.pid
    assert its_own.cmdline()[0] == str(apart / "bin" / "python")


def test_a_host_that_is_told_to_end_leaves_no_socket(
    lab: Lab, start_host: Callable[..., psutil.Process]
) -> None:
    """Service managers tell all processes of a service."""
    host = start_host()
    assert hosts.first_host is not None
    folder = hosts.first_host.parent
    assert lab.built("quick")[0] == 0
    host.terminate()
    assert until(lambda: not folder.exists(), seconds=60)


def test_dbt_that_is_killed_has_its_signal_as_its_code(
    lab: Lab, start_host: Callable[..., psutil.Process]
) -> None:
    """Whoever asked has to know that dbt said nothing of what it was at."""
    start_host()
    process = lab.sleeping()
    os.kill(process.pid, signal.SIGKILL)
    "".join(process.lines())
    assert process.wait() == -signal.SIGKILL
    lab.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'hosted'")


def test_a_host_whose_starter_is_gone_ends_with_its_last_command(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is not interrupted; then neither a process nor a socket is left."""
    read_end, write_end = os.pipe()
    starter = os.fork()
    if starter == 0:
        hosts.start_first_host()
        os.write(write_end, str(hosts.first_host).encode())
        signal.pause()
    place = Path(os.read(read_end, 200).decode())
    monkeypatch.setattr(hosts, "first_host", place)
    process = lab.sleeping()
    host = psutil.Process(psutil.Process(process.pid).ppid())
    os.kill(starter, signal.SIGKILL)
    os.waitpid(starter, 0)
    assert until(lambda: _refuses(place), seconds=60)
    assert (lab.built("quick")[0], is_alive(process.pid)) == (0, True)
    process.interrupt(patience=5)
    lab.ends(process)
    "".join(process.lines())
    assert until(lambda: not host.is_running(), seconds=60)
    assert not place.parent.exists()


def test_another_dbt_gets_a_host_of_its_own_with_its_first_command(
    lab: Lab, start_host: Callable[..., psutil.Process], tmp_path: Path
) -> None:
    """The first command executes it."""
    host = start_host()
    other = tmp_path / "bin" / "dbt"
    other.parent.mkdir()
    shutil.copy(dbt_executable(), other)
    lab.dbt = str(other)
    assert lab.built("quick")[0] == 0
    assert until(lambda: bool(_hosts_of(other, host)), seconds=60), "the first host was still loading its dbt"
    [its_own] = _hosts_of(other, host)
    process = lab.start("quick")
    assert psutil.Process(process.pid).ppid() == its_own.pid
    assert "Completed successfully" in "".join(process.lines())
    assert process.wait() == 0
    its_own.kill()
    assert until(lambda: not its_own.is_running() or its_own.status() == psutil.STATUS_ZOMBIE, seconds=60)
    # Linux shows a process as ended whose threads still end, and hold its socket: then the next command asks again.
    assert until(
        lambda: lab.built("quick")[0] == 0 and bool(set(_hosts_of(other, host)) - {its_own}), seconds=60
    ), "it was not started again"
    [its_own] = set(_hosts_of(other, host)) - {its_own}
    host.kill()
    assert until(lambda: not its_own.is_running(), seconds=60)


def test_a_program_around_dbt_is_executed(
    lab: Lab, start_host: Callable[..., psutil.Process], tmp_path: Path
) -> None:
    """A host would leave out what it does."""
    start_host()
    program = tmp_path / "dbt"
    program.write_text(f'#!/bin/sh\necho around\nexec {dbt_executable()} "$@"\n')
    program.chmod(0o755)
    lab.dbt = str(program)
    code, said = lab.built("quick")
    assert (code, said.splitlines()[0]) == (0, "around")


def test_without_a_dbt_to_import_commands_are_executed(
    lab: Lab, start_host: Callable[..., psutil.Process], tmp_path: Path
) -> None:
    """The host says so once, and each command says what is wrong itself."""
    broken = tmp_path / "dbt"
    bare = Path(sys.base_prefix) / "bin" / "python3"
    broken.write_text(f"#!{bare}\nfrom dbt.cli.main import cli\n")
    broken.chmod(0o755)
    assert python_of(str(broken)) == str(bare)
    start_host(str(broken))
    lab.dbt = str(broken)
    code, said = lab.built("quick")
    assert code == 1
    assert "No module named 'dbt'" in said
