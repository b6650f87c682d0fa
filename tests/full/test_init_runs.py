"""From `goldsmith init` to a green `goldsmith run`, in each layout whose warehouse is here."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.test_cli import goldsmith
from tests.layouts.build import write
from tests.layouts.known import LAYOUTS

from goldsmith.stack.postgres import PORT, SUPERUSER, EmbeddedPostgres

pytestmark = [pytest.mark.full, pytest.mark.integration]

Call = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """The PostgreSQL that a profiles.yml names."""
    started = EmbeddedPostgres(tmp_path_factory.mktemp("warehouse") / "postgres")
    started.start()
    yield started
    started.destroy()


@pytest.fixture
def call(tmp_path: Path, server: EmbeddedPostgres) -> Iterator[Call]:
    """Call `goldsmith` in a folder, far from any profile of the machine; its Airflow is stopped in the end."""
    (tmp_path / "home").mkdir()
    root = tmp_path / "repository"
    root.mkdir()

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        # What the layouts' own profiles read: a server, and the user's credentials for it.
        named = {"SHOP_HOST": str(server.socket_dir), "SHOP_PORT": str(PORT), "SHOP_USER": SUPERUSER}
        return goldsmith(*arguments, cwd=root, HOME=str(tmp_path / "home"), COLUMNS="200", **named)

    yield run
    run("down")


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_first_run_is_green(name: str, call: Call, tmp_path: Path) -> None:
    """Two commands after the clone."""
    layout = LAYOUTS[name]
    write(layout.files, tmp_path / "repository")
    done = call("init", "--yes", *layout.arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Airflow can import {layout.name}." in done.stdout
    assert done.stdout.split()[-3:] == ["goldsmith", "run", layout.name]
    done = call("run", layout.name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{layout.name}: success" in done.stdout


def test_a_new_project_runs(call: Call) -> None:
    """In an empty folder."""
    done = call("init", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    done = call("run")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "shop: success" in done.stdout
