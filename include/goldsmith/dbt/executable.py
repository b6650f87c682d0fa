"""Which `dbt` runs, and the Python environment that it belongs to."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from goldsmith.errors import ProjectError

_ELSEWHERE = "export GOLDSMITH_DBT=/opt/dbt/bin/dbt"
# What pip and uv write: one line, or a shell's if the path is too long for a first line or has a space.
_INTERPRETER = re.compile(rb"""\A#!(?:/bin/sh\n'''exec' )?"?([^"\n]*?/python[\d.]*)"?(?:[ \n])""")
_ENTRY_POINT = b"from dbt.cli.main import cli"
# All that pip, uv and conda write after it: whatever else a program does, a host would leave out.
_NOTHING_ELSE = re.compile(
    rb"""(#.*|' '''|import (re|sys)|from dbt\.cli\.main import cli|if __name__ == ['"]__main__['"]:"""
    rb"""|(el)?if sys\.argv\[0\]\.endswith\(.*\):|sys\.argv\[0\] = .*|sys\.exit\(cli\(\)\))?"""
)
_READ = 4096  # bytes


def dbt_executable(named: str = "") -> str:
    """The dbt command.

    Args:
        named: A path, or a name on the PATH; empty for dbt of this environment, else the first on the PATH.

    Raises:
        ProjectError: There is none, or what is named cannot be executed.
    """
    if named:
        return _named(named)
    beside = Path(sys.executable).parent / "dbt"
    found = str(beside) if beside.is_file() else shutil.which("dbt")
    if not found:
        raise ProjectError(
            "No `dbt` command in this environment.",
            hint=f"pip install dbt-core dbt-postgres, or name a dbt in another environment: {_ELSEWHERE}",
        )
    return found


def named_dbt(named: str, root: Path) -> str:
    """What is named as the dbt command, as `dbt_executable` takes it wherever a process runs.

    Args:
        named: A path, which may begin with ~ or at the root, or a name on the PATH; empty for none.
        root: Folder of the repository.
    """
    found = os.path.expanduser(named)  # noqa: PTH111 - it may be a name without a path
    return str(root / found) if os.sep in found else found


def dbt_command(named: str = "") -> list[str]:
    """The start of a dbt command line whose output a program reads, whatever the project's flags say about it.

    Args:
        named: As for `dbt_executable`.
    """
    output = ("--no-use-colors", "--no-quiet", "--log-format", "text", "--log-level", "info")
    return [dbt_executable(named), "--no-version-check", *output]


def python_of(executable: str) -> str | None:
    """The Python that runs a dbt command.

    Args:
        executable: As `dbt_executable` gives it.

    Returns:
        Its path; None for anything but the script that pip or uv installs: a program around dbt may do more than dbt
        itself, and dbt 2 is no Python.
    """
    try:
        with Path(executable).open("rb") as file:
            start = file.read(_READ)
    except OSError:
        return None
    found = _INTERPRETER.match(start)
    if found is None or _ENTRY_POINT not in start:
        return None
    rest = start[found.end() :].partition(b"\n")[2] if found[0][-1:] == b" " else start[found.end() :]
    if not all(_NOTHING_ELSE.fullmatch(line.strip()) for line in rest.splitlines()):
        return None
    python = os.fsdecode(found[1])
    return python if os.access(python, os.X_OK) else None


def is_of_this_environment(executable: str) -> bool:
    """Whether a dbt command belongs to the environment of this process."""
    python = python_of(executable)
    return python is not None and Path(python).parent == Path(sys.executable).parent


def _named(named: str) -> str:
    found = named if os.sep in named else shutil.which(named)
    if found is None:
        raise _unusable(named, "no command of that name is on the PATH")
    path = Path(found)
    if not path.exists():
        raise _unusable(named, "it does not exist")
    if path.is_dir() or not os.access(path, os.X_OK):
        raise _unusable(named, "it is a folder" if path.is_dir() else "it may not be executed")
    return found


def _unusable(named: str, why: str) -> ProjectError:
    return ProjectError(
        f"{named} is no dbt command: {why}.",
        hint=f"Write the path of dbt into `dbt:` of the pipeline spec, or: {_ELSEWHERE}",
    )
