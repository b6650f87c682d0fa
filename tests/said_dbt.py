"""A program in the place of dbt, and a warehouse that no server is needed for."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.builders import dbt_target

from goldsmith.dbt import process
from goldsmith.engine.dbt.workspace import DbtTarget

_LAKE = {
    "conn_type": "databricks",
    "host": "localhost",
    "password": "a token",
    "extra": {"http_path": "/sql"},
}


_PROGRAM = """\
#!{python} -SE
import json, os, pathlib, shutil, sys, time
folder = pathlib.Path({folder!r})
arguments = sys.argv[1:]
folder.joinpath("call.json").write_text(json.dumps([arguments, dict(os.environ)]))
if "--state" in arguments:
    shutil.copytree(arguments[arguments.index("--state") + 1], folder / "state", dirs_exist_ok=True)
said = json.loads(folder.joinpath("said.json").read_text())
sys.stdout.write("".join(line + chr(10) for line in said["lines"]))
sys.stdout.flush()
time.sleep(said["seconds"])
if said["code"] < 0:
    os.kill(os.getpid(), -said["code"])
sys.exit(said["code"])
"""


@dataclass
class SaidDbt:
    """Says what the test wants, and shows how it was called.

    Args:
        folder: Where it keeps that.
        lines: Of its output.
        code: Its exit code; negative for the signal that ends it.
        seconds: How long it takes after its output.
    """

    folder: Path
    lines: tuple[str, ...] = ()
    code: int = 0
    seconds: float = 0.0

    def executable(self, named: str = "") -> str:
        """The program, which says what is wanted at this moment."""
        assert named == ""
        self.folder.mkdir(exist_ok=True)
        said = {"lines": self.lines, "code": self.code, "seconds": self.seconds}
        (self.folder / "said.json").write_text(json.dumps(said))
        program = self.folder / "dbt"
        program.write_text(_PROGRAM.format(python=sys.executable, folder=str(self.folder)))
        program.chmod(0o755)
        return str(program)

    @property
    def arguments(self) -> list[str]:
        """Its command line; empty if it was not called."""
        return self._call()[0]

    @property
    def env(self) -> dict[str, str]:
        """Its environment."""
        return self._call()[1]

    def state(self, name: str) -> str:
        """A file of the folder that it was given as `--state`."""
        return (self.folder / "state" / name).read_text()

    def _call(self) -> tuple[list[str], dict[str, str]]:
        file = self.folder / "call.json"
        arguments, env = json.loads(file.read_text()) if file.exists() else ([], {})
        return arguments, env


@contextmanager
def said_dbt(folder: Path) -> Iterator[SaidDbt]:
    """Let each dbt command of this process be said by the test."""
    with pytest.MonkeyPatch.context() as patched:
        said = SaidDbt(folder / "said")
        patched.setattr(process, "dbt_executable", said.executable)
        yield said


@contextmanager
def lake_target(folder: Path) -> Iterator[DbtTarget]:
    """A dbt target on Databricks: Goldsmith opens no session there before dbt does."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("AIRFLOW_CONN_SAID_LAKE", json.dumps(_LAKE))
        yield dbt_target(folder, connection="said_lake", profile_args={"schema": "silver"})


def listed(unique_id: str) -> str:
    """The line with which `dbt ls` names a node."""
    return event("PrintEvent", msg=json.dumps({"unique_id": unique_id}))


def event(name: str, *, level: str = "info", **data: str) -> str:
    """A line of dbt's output."""
    return json.dumps({"info": {"name": name, "level": level, "msg": data.get("msg", "")}, "data": data})
