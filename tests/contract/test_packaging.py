"""The wheel, the requirement files and the tracked files hold what they should, and nothing private."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

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


def test_requirement_files_are_fresh(tmp_path: Path) -> None:
    """What the files pin is a whole solution of pyproject.toml: nothing is missing, too much or out of range."""
    kept = ROOT / "deploy" / "requirements-full.txt"
    script = str(ROOT / "deploy" / "export_requirements.py")
    export = [sys.executable, script, "--out", str(tmp_path), "--keep", str(kept)]
    # uv's cache knows the answer on a machine that has synced; else the package index does.
    cached = subprocess.run(export, env=os.environ | {"UV_OFFLINE": "1"}, check=False, capture_output=True)
    if cached.returncode != 0:
        online = subprocess.run(export, check=False, capture_output=True, text=True)
        if "Failed to fetch" in online.stderr and not IS_CI:
            pytest.skip("no package index in reach to resolve pyproject.toml against")
        assert online.returncode == 0, online.stderr
    for name in ("requirements.txt", "deploy/requirements-full.txt"):
        committed = (ROOT / name).read_text(encoding="utf-8")
        fresh = (tmp_path / name).read_text(encoding="utf-8")
        # Hashes come and go with files that are added to a version; the versions say it all.
        assert _requirements(committed) == _requirements(fresh), (
            f"{name} is stale: run `uv run python deploy/export_requirements.py`"
        )
        assert "://" not in committed


def _requirements(text: str) -> list[str]:
    return [line.rstrip(" \\") for line in text.splitlines() if line and not line.startswith((" ", "#"))]


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
