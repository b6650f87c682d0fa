"""The dbt packages of a project, installed from the packages.yml at the top of the repository.

dbt reads packages.yml beside dbt_project.yml only, and refuses every command while a package listed
there is not installed. So that file is generated, and stays only when the installation succeeded.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from goldsmith.dbt.project import dbt_executable
from goldsmith.errors import EnvironmentProblem, ProjectError

HEADER = "# generated from ../packages.yml by `goldsmith deps`\n"

_GENERATED = "packages.yml"
_LOCK = "package-lock.yml"
_INSTALLED = "dbt_packages"
_ASIDE = ".dbt_packages.before"
_NO_CONNECTION = "External connection exception occurred"


def install(project_dir: Path, packages_file: Path) -> tuple[str, ...]:
    """Generate the project's packages.yml and run `dbt deps`.

    Whatever fails, the project is left as it was: with the packages it had, or without any. A mirror of
    the package hub is named in the environment, as for dbt itself: DBT_PACKAGE_HUB_URL.

    Args:
        project_dir: The folder of dbt_project.yml.
        packages_file: The packages.yml that people write.

    Returns:
        The names of the installed packages, those that packages need included.

    Raises:
        ProjectError: There is no packages file, or it is not one.
        EnvironmentProblem: `dbt deps` failed; one line says what is missing and what still works.
    """
    wanted = _listed(packages_file)
    with _undone_on_failure(project_dir):
        text = packages_file.read_text(encoding="utf-8")
        (project_dir / _GENERATED).write_text(HEADER + text, encoding="utf-8")
        done = subprocess.run(
            [dbt_executable(), "--no-version-check", "--no-use-colors", "deps"],
            cwd=project_dir,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise EnvironmentProblem(
                f"Not installed: {', '.join(wanted)} ({_reason(done.stdout + done.stderr)});"
                " models, tests and runs work without, what needs these packages does not.",
                hint="With internet, or DBT_PACKAGE_HUB_URL naming a mirror: goldsmith deps",
            )
    return tuple(sorted(path.name for path in (project_dir / _INSTALLED).iterdir()))


def _listed(packages_file: Path) -> list[str]:
    """The packages of the file with their versions, as people name them."""
    try:
        content = yaml.safe_load(packages_file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ProjectError(
            f"No dbt packages to install: {packages_file} does not exist.",
            hint="List them there: https://docs.getdbt.com/docs/build/packages",
        ) from error
    except yaml.YAMLError as error:
        raise ProjectError(f"{packages_file} is not YAML: {error}", hint="See its line above.") from error
    entries = content.get("packages") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ProjectError(
            f"{packages_file} has no list `packages`.", hint="packages:\n  - package: owner/name"
        )
    return [
        " ".join(str(entry[key]) for key in ("package", "git", "local", "tarball", "version") if key in entry)
        for entry in entries
    ]


def _reason(output: str) -> str:
    """The line of dbt's output that says what went wrong, short."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if any(_NO_CONNECTION in line for line in lines):
        return "the package hub did not answer"
    marks = [number for number, line in enumerate(lines) if "Encountered an error" in line]
    # dbt names the kind of error on one line and says what it is on the next.
    said = " ".join(lines[marks[0] + 1 : marks[0] + 3] if marks else lines[-1:])
    return f"dbt deps: {said[:200]}" if said else "dbt deps said nothing"


@contextmanager
def _undone_on_failure(project_dir: Path) -> Iterator[None]:
    """Keep installed packages out of dbt's reach, which deletes them before it downloads new ones."""
    installed, aside = project_dir / _INSTALLED, project_dir / _ASIDE
    if aside.exists():  # left by a process that was killed
        shutil.rmtree(installed, ignore_errors=True)
        aside.rename(installed)
    had_packages = installed.is_dir()
    before = {
        name: (project_dir / name).read_bytes() if (project_dir / name).exists() else None
        for name in (_GENERATED, _LOCK)
    }
    if had_packages:
        installed.rename(aside)
    try:
        yield
    except BaseException:
        shutil.rmtree(installed, ignore_errors=True)
        for name, content in before.items():
            # A list without the packages it names stops dbt, so it returns with them only.
            if had_packages and content is not None:
                (project_dir / name).write_bytes(content)
            else:
                (project_dir / name).unlink(missing_ok=True)
        if had_packages:
            aside.rename(installed)
        raise
    shutil.rmtree(aside, ignore_errors=True)
