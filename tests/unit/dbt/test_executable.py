"""Which dbt runs, and the Python that it belongs to."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from goldsmith.dbt.executable import dbt_command, dbt_executable, is_of_this_environment, named_dbt, python_of
from goldsmith.errors import ProjectError
from goldsmith.pipeline import dbt_of
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline

ENTRY = "import sys\nfrom dbt.cli.main import cli\nsys.exit(cli())\n"
PIP = """import re
import sys
from dbt.cli.main import cli
if __name__ == '__main__':
    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])
    sys.exit(cli())
"""


def program(folder: Path, text: str, mode: int = 0o755) -> Path:
    """A file `dbt`."""
    file = folder / "dbt"
    file.write_text(text)
    file.chmod(mode)
    return file


def test_dbt_is_that_of_this_environment_unless_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its path, or by a name that is looked for on the PATH."""
    own = str(Path(sys.executable).parent / "dbt")
    assert dbt_executable() == own
    assert is_of_this_environment(own)
    other = program(tmp_path, "#!/bin/sh\n")
    assert dbt_executable(str(other)) == str(other)
    assert not is_of_this_environment(str(other))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert dbt_executable("dbt") == str(other)
    assert dbt_command(str(other))[:2] == [str(other), "--no-version-check"]
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    assert dbt_executable() == str(other)
    other.unlink()
    with pytest.raises(ProjectError, match="No `dbt` command") as raised:
        dbt_executable()
    assert "export GOLDSMITH_DBT=" in raised.value.hint


def test_what_cannot_be_executed_is_named_with_the_reason(tmp_path: Path) -> None:
    """And with what to write in its place."""
    file = program(tmp_path, "", mode=0o644)
    expected = {
        str(file): "it may not be executed",
        str(tmp_path): "it is a folder",
        str(tmp_path / "gone"): "it does not exist",
        "no-such-dbt": "no command of that name is on the PATH",
    }
    for named, why in expected.items():
        with pytest.raises(ProjectError) as raised:
            dbt_executable(named)
        assert raised.value.message == f"{named} is no dbt command: {why}."
        assert "`dbt:` of the pipeline spec" in raised.value.hint


@pytest.mark.parametrize(
    "start",
    ["#!{python}\n", "#!{python} -sE\n", "#!/bin/sh\n'''exec' \"{python}\" \"$0\" \"$@\"\n' '''\n"],
    ids=["a line", "a line with options", "a path with a space"],
)
def test_the_python_is_that_of_the_scripts_that_installers_write(tmp_path: Path, start: str) -> None:
    """Named with its number or without."""
    folder = tmp_path / "my env"
    folder.mkdir()
    for name in ("python", "python3", "python3.12"):
        python = folder / name
        python.write_text("")
        python.chmod(0o755)
        for rest in (ENTRY, "# -*- coding: utf-8 -*-\n" + PIP):
            made = program(tmp_path, start.format(python=python) + rest)
            assert python_of(str(made)) == str(python), made.read_text()


@pytest.mark.parametrize(
    "text",
    [
        f"#!/bin/sh\nexec {sys.executable} -m dbt.cli.main\n",
        f"#!{sys.executable}\nimport subprocess\n",
        f"#!{sys.executable}\nimport os\nos.environ['A'] = 'b'\n{ENTRY}",
        f"#!{sys.executable}\r\n{ENTRY}",
        f"#!/usr/bin/env python3\n{ENTRY}",
        f"#!/nowhere/python\n{ENTRY}",
        "\x7fELF dbt.cli.main",
        "",
    ],
    ids=[
        "around dbt",
        "another program",
        "around dbt in Python",
        "with a CR",
        "by env",
        "a Python that is gone",
        "dbt 2",
        "empty",
    ],
)
def test_of_anything_else_no_python_is_known(tmp_path: Path, text: str) -> None:
    """It is executed as it is."""
    assert python_of(str(program(tmp_path, text))) is None
    assert python_of(str(tmp_path / "gone")) is None


def test_the_spec_goes_before_the_setting_and_paths_begin_at_the_root(
    settings_for: Callable[[Path], Settings], tmp_path: Path
) -> None:
    """A name is looked for on the PATH."""
    here = settings_for(tmp_path)
    plain, setting = Pipeline(name="shop"), replace(here, dbt="/opt/dbt/bin/dbt")
    assert dbt_of(plain, here) == ""
    assert dbt_of(plain, setting) == "/opt/dbt/bin/dbt"
    named = Pipeline(name="shop", dbt="envs/dbt/bin/dbt")
    assert dbt_of(named, setting) == str(here.root / "envs/dbt/bin/dbt")
    assert dbt_of(Pipeline(name="shop", dbt="dbt-1.11"), setting) == "dbt-1.11"
    assert dbt_of(Pipeline(name="shop", dbt="~/dbt"), here) == str(Path.home() / "dbt")
    assert (
        dbt_of(plain, replace(here, dbt="env/dbt"))
        == named_dbt("env/dbt", here.root)
        == str(here.root / "env/dbt")
    )
