"""Write the two requirement files from pyproject.toml.

    deploy/requirements-full.txt   every package, pinned, with hashes: any image but Astro's
    requirements.txt               what Astro Runtime, which brings Airflow, has to add

Run `uv run python deploy/export_requirements.py` after a change of dependencies. The versions are resolved
afresh, so they depend on pyproject.toml alone, whose `exclude-newer` fixes the date.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

FULL_HEADER = """\
# Every package of Goldsmith with Airflow, Celery and dbt. Written by deploy/export_requirements.py.
#     pip install --no-deps --require-hashes -r deploy/requirements-full.txt
# The list is complete without dbt-core-experimental-parser, which serves only `dbt --use-v2-parser` and
# downloads a program while it installs; --no-deps keeps pip from looking for it.
"""
ASTRO_HEADER = """\
# What Astro Runtime needs beside its own Airflow. Written by deploy/export_requirements.py.
# Exact are dbt, Cosmos and Elementary, which Runtime does not bring. Everything else is a range: Runtime
# pins its own providers and libraries, and a second exact pin could contradict those.
"""
EXTRAS = ("ses", "slack")
"""Extras of the package that every image has."""
RUNTIME_BRINGS = re.compile(r"apache-airflow(-core|-task-sdk)?")
"""Airflow itself; providers stay in as ranges, because Runtime does not promise the PostgreSQL one."""
PINNED = re.compile(r"astronomer-cosmos|elementary-data|dbt-.*")


def main() -> None:
    """Write both files."""
    parser = argparse.ArgumentParser(description="Write the requirement files from pyproject.toml.")
    parser.add_argument("--out", type=Path, default=ROOT, help="folder to write below (default: here)")
    out: Path = parser.parse_args().out
    full = resolve()
    (out / "deploy").mkdir(parents=True, exist_ok=True)
    (out / "deploy" / "requirements-full.txt").write_text(FULL_HEADER + full, encoding="utf-8")
    (out / "requirements.txt").write_text(ASTRO_HEADER + astro(full), encoding="utf-8")


def resolve() -> str:
    """Resolve pyproject.toml away from any lock file and return the whole set with hashes.

    Raises:
        subprocess.CalledProcessError: uv found no solution or reached no package index.
    """
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, scratch)
        command = ["uv", "export", "--quiet", "--project", scratch, "--no-dev"]
        for extra in ("celery", *EXTRAS):
            command += ["--extra", extra]
        command += ["--no-emit-project", "--no-annotate", "--no-header"]
        return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def astro(full: str) -> str:
    """Return the direct dependencies that Astro Runtime lacks, one a line.

    Args:
        full: The whole set as `resolve` returns it.
    """
    versions = dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", full, flags=re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = []
    wanted = [
        *project["dependencies"],
        *(one for extra in EXTRAS for one in project["optional-dependencies"][extra]),
    ]
    for requirement in wanted:
        name = re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0]
        if not RUNTIME_BRINGS.fullmatch(name) and not PINNED.fullmatch(name):
            lines.append(requirement)
    lines += [f"{name}=={version}" for name, version in versions.items() if PINNED.fullmatch(name)]
    return "\n".join(sorted(lines)) + "\n"


if __name__ == "__main__":
    main()
