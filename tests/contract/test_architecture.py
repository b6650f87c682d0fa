"""The shape of the code, held by numbers."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest

PACKAGE = Path(__file__).parents[2] / "include" / "goldsmith"
FILES = sorted(PACKAGE.rglob("*.py"))
ARCHITECTURE = Path(__file__).parents[2] / "docs" / "architecture.md"
EMPTY_NAMES = {"utils", "util", "helpers", "common", "misc", "manager", "core"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_files_and_functions_fit_a_reader(file: Path) -> None:
    """No file over 350 lines, no function over 45, no name that says nothing."""
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 350
    assert file.stem not in EMPTY_NAMES
    for name, lines, _ in _functions(text):
        assert lines <= 45, name


def test_half_of_the_files_and_functions_are_short() -> None:
    """At most 110 lines, and 6 without the docstring: what says much for its callers is no longer function for that."""
    texts = [file.read_text(encoding="utf-8") for file in FILES if file.name != "__init__.py"]
    assert median(len(text.splitlines()) for text in texts) <= 110
    assert median(lines - said for text in texts for _, lines, said in _functions(text)) <= 6


def _functions(text: str) -> Iterator[tuple[str, int, int]]:
    """Name and length of each function, its docstring among it; and the length of the docstring."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            said = ast.get_docstring(node, clean=False) or ""
            docstring = len(said.splitlines()) if said else 0
            yield node.name, (node.end_lineno or 0) - node.lineno + 1, docstring


def test_a_dag_file_is_parsed_without_what_only_tasks_need() -> None:
    """Drivers and clients of other services cost every parse and every task process time and memory."""
    ask = "import sys, goldsmith.dag.build; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert loaded & {"apprise", "boto3", "dbt", "elementary", "psycopg", "slack_sdk", "smtplib"} == set()


def test_one_place_imports_dbt_and_the_environment_is_read_where_processes_start() -> None:
    """dbt runs as a process of its own; settings come from one place."""
    dbt, environment = set(), set()
    for file in FILES:
        name = str(file.relative_to(PACKAGE))
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "dbt":
                dbt.add(name)
            if isinstance(node, ast.Import) and any(
                alias.name.split(".")[0] == "dbt" for alias in node.names
            ):
                dbt.add(name)
            if isinstance(node, ast.Attribute) and ast.unparse(node) == "os.environ":
                environment.add(name)
    assert dbt == {"inside_dbt/dbt_fork.py", "inside_dbt/resident.py"}
    # Beside settings.py: where the environment of a process that is started is put together, and `env_var`; and in
    # dbt's environment.
    assert environment == {
        "settings.py",
        "profile_file.py",
        "dbt/environment.py",
        "stack/stack.py",
        "stack/supervisor.py",
        "elementary/edr.py",
        "inside_dbt/dbt_fork.py",
        "inside_dbt/host.py",
    }


def test_the_files_that_the_architecture_names_exist() -> None:
    """In the life of a run, and in the table of where to change what, which has at least 30 rows."""
    text = ARCHITECTURE.read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z_/]+(?:\.py|/|\.html))`", text.split("## The life of a run")[1]))
    beside = {
        "pyproject.toml",
        "tests/contract/internals.py",
        "tests/contract/dbt_events.py",
        "include/goldsmith/",
    }
    assert {one for one in named - beside if not (PACKAGE / one).exists()} == set()
    rows = text.split("## Where do I change ...")[1].split("\n## ")[0].count("\n| ") - 2
    assert rows >= 30


def test_the_picture_of_the_rooms_has_each_room_in_the_order_of_the_import_contract() -> None:
    """A new room is shown, and a picture that lies is no help."""
    picture = ARCHITECTURE.read_text(encoding="utf-8").split("```")[1]
    contract = tomllib.loads((PACKAGE.parents[1] / "pyproject.toml").read_text(encoding="utf-8"))
    layers = contract["tool"]["importlinter"]["contracts"][0]["layers"]
    shown = [re.findall(r"\b([a-z_]+)(?:/|\.py)", line) for line in picture.strip().splitlines()]
    rank = {name: number for number, names in enumerate(shown) for name in names}
    places = [[rank.get(name.strip(), -1) for name in layer.split("|")] for layer in layers]
    assert all(place >= 0 for row in places for place in row)
    for above, below in pairwise(places):
        assert max(above) <= min(below), (above, below)
