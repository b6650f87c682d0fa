"""The wheel, the requirement files and the tracked files hold what they should, and nothing private."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
IS_CI = bool(os.environ.get("GOLDSMITH_CI"))  # read before a fixture clears our variables
PACKAGE = ROOT / "include" / "goldsmith"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel."""
    out = tmp_path_factory.mktemp("dist")
    subprocess.run(["uv", "build", "--quiet", "--wheel", "--out-dir", out, ROOT], check=True)
    (built,) = out.glob("*.whl")
    return built


def test_wheel_holds_only_the_package(wheel: Path) -> None:
    """The wheel holds every file of include/goldsmith, its typing marker and metadata, and no DAG or test."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    package = {name for name in names if not re.match(r"goldsmith-[^/]+\.dist-info/", name)}
    sources = {
        f"goldsmith/{path.relative_to(PACKAGE)}"
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert package == sources
    assert "goldsmith/py.typed" in package


def test_installed_wheel_runs(wheel: Path, tmp_path: Path) -> None:
    """Installed elsewhere, the wheel imports from there and its console command shows help."""
    site = tmp_path / "site"
    install = [
        "uv",
        "pip",
        "install",
        "--quiet",
        "--python",
        sys.executable,
        "--no-deps",
        "--target",
        str(site),
    ]
    subprocess.run([*install, str(wheel)], check=True)
    env = os.environ | {"PYTHONPATH": str(site)}
    where = subprocess.run(
        [sys.executable, "-c", "import goldsmith; print(goldsmith.__file__)"],
        env=env,
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    assert Path(where.stdout.strip()).is_relative_to(site)
    command = subprocess.run(
        [site / "bin" / "goldsmith", "--help"],
        env=env,
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert command.returncode == 0, command.stderr
    assert "Usage" in command.stdout


def test_the_pinned_set_is_what_pyproject_needs() -> None:
    """Held to its own versions it is a whole solution: nothing is missing, too much or out of range.

    A resolution from nothing would differ as soon as the package index learns of one more version.
    """
    file = ROOT / "deploy" / "requirements-full.txt"
    command = ["uv", "pip", "compile", "pyproject.toml", "--constraint", str(file)]
    command += ["--extra", "celery", "--extra", "ses", "--extra", "slack"]
    command += ["--quiet", "--no-header", "--no-annotate", "--python", sys.executable]
    # uv's cache knows the answer on a machine that has synced; else the package index does.
    done = subprocess.run([*command, "--offline"], cwd=ROOT, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
        if "Failed to fetch" in done.stderr and not IS_CI:
            pytest.skip("no package index in reach to resolve pyproject.toml against")
    assert done.returncode == 0, done.stderr
    assert _pins(file.read_text(encoding="utf-8")) == _pins(done.stdout), (
        "stale: run `uv run python deploy/export_requirements.py`"
    )


def test_the_requirements_for_astro_follow_from_the_pinned_set() -> None:
    """Exact where Runtime brings nothing, ranges as in pyproject.toml elsewhere; and no address in either file."""
    script = runpy.run_path(str(ROOT / "deploy" / "export_requirements.py"))
    full = (ROOT / "deploy" / "requirements-full.txt").read_text(encoding="utf-8")
    astro = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert astro == script["ASTRO_HEADER"] + script["astro"](full)
    assert "://" not in full + astro


def test_the_requirements_beside_an_airflow_without_dbt_follow_from_the_pinned_set() -> None:
    """What Goldsmith leads to, without Airflow, what Airflow brings, and dbt; and no address."""
    script = runpy.run_path(str(ROOT / "deploy" / "export_requirements.py"))
    full = (ROOT / "deploy" / "requirements-full.txt").read_text(encoding="utf-8")
    try:
        expected = script["SLIM_HEADER"] + script["slim"](full)
    except subprocess.CalledProcessError as error:
        if "Failed to fetch" in error.stderr and not IS_CI:
            pytest.skip("no package index in reach to resolve pyproject.toml against")
        raise
    slim = (ROOT / "deploy" / "requirements-slim.txt").read_text(encoding="utf-8")
    dbt = (ROOT / "deploy" / "requirements-dbt.txt").read_text(encoding="utf-8")
    assert slim == expected
    assert dbt == script["DBT_HEADER"] + script["apart"](full)
    assert "://" not in slim + dbt


def _pins(text: str) -> set[str]:
    """The pins of a requirement file that hold on this platform, as `name==version`."""
    lines = (line.rstrip(" \\") for line in text.splitlines() if line and not line.startswith((" ", "#")))
    found = (Requirement(line) for line in lines)
    return {f"{one.name}{one.specifier}" for one in found if one.marker is None or one.marker.evaluate()}


def _tracked() -> dict[str, str]:
    """Return the text of every tracked text file by its path."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git work tree")
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    texts = {}
    for name in filter(None, listing.stdout.split("\0")):
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else b""
        if b"\0" not in content:
            texts[name] = content.decode("utf-8")
    return texts


def test_tracked_files_name_no_machine() -> None:
    """No tracked file names a private folder or a package index, and no lock file is tracked."""
    tracked = _tracked()
    assert "pyproject.toml" in tracked
    assert not {"uv.lock", ".env"} & tracked.keys()
    private = re.compile(r"(?<![\w.~}/-])/(?:root|work|Users/\w+|home/(?!user\b|you\b|me\b)\w+)/[\w.]")
    index = re.compile(r"--(?:extra-)?index-url|--find-links|trusted-host", re.IGNORECASE)
    own = str(Path(__file__).relative_to(ROOT))
    found = [
        f"{name}: {match.group()}"
        for name, text in tracked.items()
        if name != own
        for pattern in (private, index)
        for match in pattern.finditer(text)
    ]
    assert not found
