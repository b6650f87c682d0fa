"""The embedded PostgreSQL, with real processes that are really killed."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from tests.integration.waiting import until

from goldsmith.stack.postgres import EmbeddedPostgres

pytestmark = pytest.mark.integration


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL of its own."""
    made = EmbeddedPostgres(tmp_path / "state" / "postgres", databases=("warehouse",))
    yield made
    made.destroy()


def postmaster(server: EmbeddedPostgres) -> int:
    """The number of the server's process."""
    return int((server.log_file.parent / "data" / "postmaster.pid").read_text().split()[0])


def rows(server: EmbeddedPostgres) -> int:
    """How many rows the test's table has."""
    with psycopg.connect(server.conninfo("warehouse")) as connection:
        found = connection.execute("select count(*) from kept").fetchone()
    return found[0] if found else 0


def test_postgres_starts_again_after_a_kill_and_a_reboot(server: EmbeddedPostgres) -> None:
    """What was committed is there after kill -9, and a stale process number does not keep it from starting."""
    server.start()
    with psycopg.connect(server.conninfo("warehouse")) as connection:
        connection.execute("create table kept as select 1 as id")
    os.kill(postmaster(server), signal.SIGKILL)
    assert until(lambda: not server.is_running(), seconds=5)
    server.start()
    assert rows(server) == 1
    server.stop()
    assert not server.is_running()
    # After a reboot the number in the file may be that of any process, here of this one.
    (server.log_file.parent / "data" / "postmaster.pid").write_text(f"{os.getpid()}\n")
    server.start()
    assert rows(server) == 1


def test_postgres_is_private(server: EmbeddedPostgres) -> None:
    """Nobody else can read the files or enter the socket's folder, and there is no TCP port."""
    server.start()
    for folder in (server.socket_dir, server.log_file.parent):
        assert folder.stat().st_mode & 0o077 == 0
    connections = psutil.Process(postmaster(server)).net_connections(kind="inet")
    assert [one for one in connections if one.status == psutil.CONN_LISTEN] == []


def test_a_deleted_state_folder_means_an_empty_database(tmp_path: Path) -> None:
    """Deleting the folder by hand, while the server runs, is a fresh start and leaves no second server."""
    home = tmp_path / "state" / "postgres"
    before = EmbeddedPostgres(home, databases=("warehouse",))
    before.start()
    old = psutil.Process(postmaster(before))
    with psycopg.connect(before.conninfo("warehouse")) as connection:
        connection.execute("create table kept as select 1 as id")
    shutil.rmtree(home.parent)
    after = EmbeddedPostgres(home, databases=("warehouse",))
    after.start()
    try:
        with pytest.raises(psycopg.errors.UndefinedTable):
            rows(after)
    finally:
        after.destroy()
    assert until(lambda: not old.is_running() or old.status() == psutil.STATUS_ZOMBIE, seconds=20)
