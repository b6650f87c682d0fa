"""Write the requirement files from pyproject.toml.

    deploy/requirements-full.txt   every package, pinned, with hashes: any image but Astro's
    deploy/requirements-slim.txt   what an Airflow has to add if dbt is in an environment of its own
    deploy/requirements-dbt.txt    what is in that environment
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
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

FULL_HEADER = """\
# Every package of Goldsmith with Airflow, Celery and dbt. Written by deploy/export_requirements.py.
#     pip install --no-deps --require-hashes -r deploy/requirements-full.txt
# The list is complete without dbt-core-experimental-parser, which serves only `dbt --use-v2-parser` and
# downloads a program while it installs; --no-deps keeps pip from looking for it.
"""
SLIM_HEADER = """\
# What Goldsmith needs beside Airflow if dbt is in an environment of its own. Written by deploy/export_requirements.py.
#     pip install --no-deps -r deploy/requirements-slim.txt
# It lists neither Airflow, which is there already, nor dbt, its adapters and Elementary.
# Exact is what Airflow does not bring. Everything else is a range, so that pip keeps the version that is there.
"""
DBT_HEADER = """\
# dbt in an environment of its own: deploy/README.md, "dbt apart". Written by deploy/export_requirements.py.
# Write your own dbt, adapters and versions in place of these; Goldsmith needs dbt-core 1.11 or 1.12.
"""
ASTRO_HEADER = """\
# What Astro Runtime needs beside its own Airflow. Written by deploy/export_requirements.py.
# Exact are dbt, Cosmos and Elementary, which Runtime does not bring. Everything else is a range: Runtime
# pins its own providers and libraries, and a second exact pin could contradict those.
"""
EXTRAS = ("ses", "slack")
"""Extras of the package that every image has."""
AIRFLOW = re.compile(r"apache-airflow(-core|-task-sdk)?")
"""Airflow itself; providers stay in as ranges, because Runtime does not promise the PostgreSQL one."""
DBT = re.compile(r"elementary-data|dbt-.*")
PINNED = re.compile(rf"astronomer-cosmos|{DBT.pattern}")
SAME_VERSION = {"psycopg", "psycopg-binary"}
"""Installed together they have to be of one version."""
EITHER_SYSTEM = re.compile(
    r" and \(sys_platform[^)]*\)| ; sys_platform == 'darwin' or sys_platform == 'linux'"
)


def main() -> None:
    """Write all files."""
    parser = argparse.ArgumentParser(description="Write the requirement files from pyproject.toml.")
    parser.add_argument("--out", type=Path, default=ROOT, help="folder to write below (default: here)")
    out: Path = parser.parse_args().out
    full = resolve()
    (out / "deploy").mkdir(parents=True, exist_ok=True)
    (out / "deploy" / "requirements-full.txt").write_text(FULL_HEADER + full, encoding="utf-8")
    (out / "deploy" / "requirements-slim.txt").write_text(SLIM_HEADER + slim(full), encoding="utf-8")
    (out / "deploy" / "requirements-dbt.txt").write_text(DBT_HEADER + apart(full), encoding="utf-8")
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
    wanted = _direct(*EXTRAS)
    lines = [wanted[name] for name in wanted if not AIRFLOW.fullmatch(name) and not PINNED.fullmatch(name)]
    lines += [line for name, pins in _pins(full).items() if PINNED.fullmatch(name) for line in pins]
    return "\n".join(sorted(lines)) + "\n"


def apart(full: str) -> str:
    """Return the pins of dbt, its adapters and Elementary, one a line.

    Args:
        full: The whole set as `resolve` returns it.
    """
    return "".join(f"{line}\n" for name, pins in _pins(full).items() if DBT.fullmatch(name) for line in pins)


def slim(full: str) -> str:
    """Return what an Airflow without dbt lacks, one a line: complete, so that `--no-deps` leaves nothing out.

    Args:
        full: The whole set as `resolve` returns it.

    Raises:
        subprocess.CalledProcessError: uv found no solution or reached no package index.
    """
    wanted = _direct()
    theirs = re.compile(rf"{AIRFLOW.pattern}|{DBT.pattern}")
    own = {name: line for name, line in wanted.items() if not theirs.fullmatch(name)}
    brought = _names(_needed([wanted["apache-airflow"]], full))
    indirect = _names(_needed(own.values(), full)) - brought - own.keys()
    exact = {name for name in own if PINNED.fullmatch(name)} | SAME_VERSION | indirect
    lines = [line for name, line in own.items() if name not in exact]
    lines += [line for name, pins in _pins(full).items() if name in exact for line in pins]
    return "\n".join(sorted(lines)) + "\n"


def _direct(*extras: str) -> dict[str, str]:
    """Name to requirement, of what pyproject.toml lists."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *(project["optional-dependencies"][extra] for extra in extras)]
    return {re.split(r"[\[<>=!~; ]", line, maxsplit=1)[0]: line for lines in lists for line in lines}


def _pins(full: str) -> dict[str, list[str]]:
    """Name to pins, several where Python's version decides; without hashes and without the systems, Linux and macOS."""
    found = defaultdict(list)
    for name, rest in re.findall(r"^([a-z0-9._-]+)(==[^\\\n]+)", full, flags=re.MULTILINE):
        found[name].append(name + EITHER_SYSTEM.sub("", rest.strip()))
    return dict(found)


def _names(lines: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9._-]+)==", lines, flags=re.MULTILINE))


def _needed(requirements: Iterable[str], full: str) -> str:
    """Resolve requirements within the versions of the whole set."""
    with tempfile.TemporaryDirectory() as scratch:
        wanted, held = Path(scratch, "wanted.in"), Path(scratch, "held.txt")
        wanted.write_text("\n".join(requirements), encoding="utf-8")
        held.write_text("\n".join(line for pins in _pins(full).values() for line in pins), encoding="utf-8")
        command = ["uv", "pip", "compile", str(wanted), "--constraint", str(held), "--universal"]
        command += ["--python-version", "3.11", "--quiet", "--no-header", "--no-annotate"]
        # uv's cache knows the answer on a machine that has synced; else the package index does.
        done = subprocess.run([*command, "--offline"], cwd=ROOT, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
        return done.stdout


if __name__ == "__main__":
    main()
