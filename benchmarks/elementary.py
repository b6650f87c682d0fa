r"""What Elementary adds to a run: `python benchmarks/elementary.py --packages FOLDER --models 100,300 --json FILE`.

FOLDER holds the dbt packages `elementary` and `dbt_utils`, exported from their repositories. For each number of models
the same project is built without the package, with it as Goldsmith wants it (`disable_dbt_artifacts_autoupload`, and
the sample's macro that writes rows), and with it as it is out of the box. The variants take turns on one PostgreSQL;
dbt's parser cache is warm. Per variant:

    build_s, build_cpu_s   `dbt build` of the whole project: what a run of the shared engine pays, once for each build
    one_s, one_cpu_s       `dbt run` of one model: what each task of the isolated engine pays
    of_build, of_one       the CPU seconds over those without the package

And what is paid once: `tables` (Elementary's tables, once for each version of the package), `artifacts` (what the
project is made of, once for each manifest) and `edr` (its report, each run, beside everything else).
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from projects import parse_project, shape, write_project
from psycopg.conninfo import conninfo_to_dict
from record import Record
from rich.console import Console
from rich.table import Table

from goldsmith.dbt.executable import dbt_executable
from goldsmith.elementary.edr import PROFILE, Edr, edr_executable
from goldsmith.spec.report import Elementary
from goldsmith.stack.postgres import EmbeddedPostgres

WITHOUT, MUTED, DEFAULT = "without", "goldsmith", "out of the box"
_PACKAGES = """\
packages:
  - {package: elementary-data/elementary, version: 0.25.1}
  - {package: dbt-labs/dbt_utils, version: 1.4.1}
"""
_MACROS = Path(__file__).parents[1] / "dbt_project" / "macros"
_MUTE = "vars: {disable_dbt_artifacts_autoupload: true}\n"
_SCHEMA = "  elementary: {+schema: elementary}\n"
_ONE = "gold_0"


class Ground:
    """A PostgreSQL, and a project for each variant.

    Args:
        folder: For all of it.
        packages: The dbt packages.
        models: Number of models.
        seed: Of the generated project.
    """

    def __init__(self, folder: Path, packages: Path, models: int, seed: int) -> None:
        self.server = EmbeddedPostgres(folder / "postgres")
        self.server.start()
        parts = conninfo_to_dict(self.server.conninfo("warehouse"))
        self.env = {
            **os.environ,
            "WAREHOUSE_HOST": str(parts["host"]),
            "WAREHOUSE_PORT": str(parts["port"]),
            "WAREHOUSE_USER": str(parts["user"]),
            "WAREHOUSE_PASSWORD": "",
            "WAREHOUSE_DATABASE": "warehouse",
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }
        made = shape(models, seed=seed)
        self.projects = {}
        for variant in (WITHOUT, MUTED, DEFAULT):
            project = folder / variant.replace(" ", "_")
            write_project(project, made, schema=project.name)
            if variant != WITHOUT:
                _add_elementary(project, packages, is_muted=variant == MUTED)
            parse_project(project, self.env)
            self.projects[variant] = project

    def dbt(self, variant: str, *arguments: str) -> tuple[float, float]:
        """Run dbt; wall and CPU seconds."""
        command = [dbt_executable(), "--no-version-check", "--log-level-file", "none", "--quiet", *arguments]
        return _timed(command, cwd=self.projects[variant], env=self.env)


def _add_elementary(project: Path, packages: Path, *, is_muted: bool) -> None:
    shutil.copytree(packages, project / "dbt_packages")
    (project / "packages.yml").write_text(_PACKAGES)
    (project / "macros").mkdir()
    for name in ("test_materialization", *(["elementary_insert_rows"] if is_muted else [])):
        shutil.copy(_MACROS / f"{name}.sql", project / "macros")
    config = project / "dbt_project.yml"
    config.write_text(config.read_text().rstrip() + "\n" + _SCHEMA + (_MUTE if is_muted else ""))


def _timed(command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> tuple[float, float]:
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(command, cwd=cwd, env=dict(env), capture_output=True, text=True, check=False)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        raise SystemExit(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _edr(ground: Ground, folder: Path) -> tuple[float, float]:
    """Make Elementary's report of the project that Goldsmith's way has built."""
    profiles = folder / "edr_profiles"
    profiles.mkdir()
    project = ground.projects[MUTED]
    text = (project / "profiles.yml").read_text().replace("generated:", f"{PROFILE}:", 1)
    (profiles / "profiles.yml").write_text(text.replace("schema: goldsmith", "schema: goldsmith_elementary"))
    work = folder / "edr"
    work.mkdir()
    run = Edr(
        executable=edr_executable(""),
        work=work,
        profiles_dir=profiles,
        packages_dir=project / "dbt_packages",
        env=ground.env,
        target="prod",
        name="benchmark",
        wanted=Elementary(),
        cache_dir=folder / "edr_cache",
    )
    run.run()  # so that what its own dbt project parses to is known, as in all runs but the first
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    run.run()
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(models: int, packages: Path, *, repeat: int, seed: int) -> list[dict[str, Any]]:
    """Rows for a number of models."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        ground = Ground(folder, packages, models, seed)
        try:
            once = {"tables": ground.dbt(MUTED, "run", "--select", "package:elementary")}
            ground.dbt(DEFAULT, "run", "--select", "package:elementary")
            builds: dict[str, list[tuple[float, float]]] = defaultdict(list)
            ones: dict[str, list[tuple[float, float]]] = defaultdict(list)
            for number in range(repeat):
                for variant in sorted(ground.projects, reverse=bool(number % 2)):
                    builds[variant].append(ground.dbt(variant, "build", "--exclude", "package:elementary"))
                    ones[variant].append(ground.dbt(variant, "run", "--select", _ONE))
            once["artifacts"] = ground.dbt(MUTED, "run", "--select", "elementary.edr.dbt_artifacts")
            once["edr"] = _edr(ground, folder)
        finally:
            ground.server.destroy()
    return _rows(models, builds, ones, once)


def _rows(
    models: int,
    builds: Mapping[str, list[tuple[float, float]]],
    ones: Mapping[str, list[tuple[float, float]]],
    once: Mapping[str, tuple[float, float]],
) -> list[dict[str, Any]]:
    def median(found: list[tuple[float, float]], at: int) -> float:
        return statistics.median(one[at] for one in found)

    each = [
        {
            "models": models,
            "variant": variant,
            "build_s": median(builds[variant], 0),
            "build_cpu_s": median(builds[variant], 1),
            "of_build": median(builds[variant], 1) / median(builds[WITHOUT], 1),
            "one_s": median(ones[variant], 0),
            "one_cpu_s": median(ones[variant], 1),
            "of_one": median(ones[variant], 1) / median(ones[WITHOUT], 1),
        }
        for variant in builds
    ]
    paid = [
        {"models": models, "variant": name, "build_s": wall, "build_cpu_s": cpu}
        for name, (wall, cpu) in once.items()
    ]
    return [*each, *paid]


def main() -> None:
    """Measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(description="What Elementary adds to a run.")
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--models", default="100,300")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    record = Record()
    rows = [
        row
        for models in options.models.split(",")
        for row in measure(int(models), options.packages, repeat=options.repeat, seed=options.seed)
    ]
    names = ("models", "variant", "build_s", "build_cpu_s", "of_build", "one_s", "one_cpu_s", "of_one")
    table = Table(*names, box=None)
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in names))
    Console(file=sys.stdout).print(table)
    record.write(options.json, rows)


def _cell(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value if value is not None else "")


if __name__ == "__main__":
    main()
