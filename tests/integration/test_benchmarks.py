"""Every benchmark runs, with each of its options: what nobody runs for weeks is broken when it is needed."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.benchmark_cases import CASES, DRAWS, Case

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PICTURES = {"report_picture"}
"""Programs that draw for the docs, and measure nothing."""
PROGRAMS = sorted(
    file.stem
    for file in BENCHMARKS.glob("*.py")
    if 'if __name__ == "__main__":' in file.read_text() and file.stem not in PICTURES
)
PACKAGES = "DBT_PACKAGES_FOR_TESTS"
IS_CI = "GOLDSMITH_CI" in os.environ


def run(program: str, *options: str) -> str:
    """Run a benchmark from its command line; give what it printed."""
    command = [sys.executable, str(BENCHMARKS / f"{program}.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(command)}:\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def measured(case: Case, folder: Path) -> dict[str, object]:
    """Run a case; give what it wrote."""
    if case.needs_redis and shutil.which("redis-server") is None and not IS_CI:
        pytest.skip("no redis-server here: apt-get install redis-server")
    packages = os.environ.get(PACKAGES, "")
    if "{packages}" in case.options and not Path(packages, "elementary", "dbt_project.yml").is_file():
        pytest.skip(f"{PACKAGES} names no folder with the dbt packages elementary and dbt_utils")
    file = folder / "rows.json"
    options = shlex.split(case.options.format(packages=packages, root=folder / "root"))
    run(case.program, *options, *(["--json", str(file)] if case.writes else []))
    found: dict[str, object] = json.loads(file.read_text()) if case.writes else {}
    return found


def options_of(program: str) -> tuple[set[str], dict[str, set[str]]]:
    """The options that a program declares, and those of them that are a choice, with what may be chosen."""
    options, choices = set(), {}
    for call in ast.walk(ast.parse((BENCHMARKS / f"{program}.py").read_text())):
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "add_argument":
            name = ast.literal_eval(call.args[0])
            options.add(name)
            for given in call.keywords:
                if given.arg == "choices":
                    choices[name] = set(ast.literal_eval(given.value))
    assert options, program
    return options, choices


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_new_option_needs_a_case(program: str) -> None:
    """And so does a new program, and each value of an option that is a choice."""
    options, choices = options_of(program)
    lines = [shlex.split(case.options) for case in CASES if case.program == program]
    used = {word for line in lines for word in line if word.startswith("--")}
    used |= {"--json"} if any(case.writes for case in CASES if case.program == program) else set()
    assert options - {*used, *DRAWS} == set()
    for name, values in choices.items():
        chosen = {line[line.index(name) + 1] for line in lines if name in line}
        assert values - chosen == set(), name


@pytest.mark.integration
@pytest.mark.parametrize("case", [case for case in CASES if case.is_quick], ids=lambda case: case.name)
def test_quick(case: Case, tmp_path: Path) -> None:
    """Each program has numbers, and says of which commit they are."""
    found = measured(case, tmp_path)
    if case.writes:
        assert found["rows"]
        assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?|unknown", str(found["commit"]))
    if case.program == "engines":
        check_steps(found)
        run("engines", "--figure", str(tmp_path / "figure.png"), "--from", str(tmp_path / "rows.json"))
        assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.integration
@pytest.mark.full
@pytest.mark.parametrize("case", [case for case in CASES if not case.is_quick], ids=lambda case: case.name)
def test_full(case: Case, tmp_path: Path) -> None:
    """What takes minutes: other variants, executors, faults, packages."""
    found = measured(case, tmp_path)
    assert found.get("rows") or not case.writes


def check_steps(found: dict[str, object]) -> None:
    """The steps of the layers make up the run, and no step has a gap or an overlap."""
    rows, steps = found["rows"], found["steps"]
    assert isinstance(rows, list)
    assert isinstance(steps, list)
    plain, shared = rows
    assert [one["layer"] for one in steps] == ["bronze", "silver", "gold"]
    seconds = [value for one in steps for name, value in one.items() if name not in ("layer", "beyond nodes")]
    assert min(seconds) >= 0
    assert sum(seconds) == pytest.approx(shared["wall_s"], abs=0.5)
    assert plain["dbt_s"] < plain["wall_s"]
    assert shared["ratio_dbt"] == pytest.approx(shared["wall_s"] / plain["dbt_s"])
    assert shared["ratio"] == pytest.approx(shared["wall_s"] / plain["wall_s"])
