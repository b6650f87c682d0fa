"""The dbt packages of a project, installed by `dbt deps` without touching a file that Goldsmith did not write.

A project with its own packages.yml or dependencies.yml uses that. Else the packages.yml at the top of the repository
counts: dbt reads packages.yml beside dbt_project.yml only, and refuses every command while a package listed there is
not installed. So that file is generated, and stays only if the installation succeeded.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from goldsmith.dbt.environment import dbt_environment
from goldsmith.dbt.executable import dbt_command
from goldsmith.dbt.project import rendered
from goldsmith.errors import EnvironmentProblem, ProjectError
from goldsmith.spec.yaml_file import read_yaml

_HEADER = "# generated from ../packages.yml by `goldsmith deps`; checksum {digest}: once you change it, it is yours\n"

_LIST = "packages.yml"
_DEPENDENCIES = "dependencies.yml"
_LOCK = "package-lock.yml"
_INSTALLED = "dbt_packages"
_PLACE = "packages-install-path"
_NO_HUB = "the package hub did not answer"
_NO_CONNECTION = "External connection exception occurred"


@dataclass(frozen=True, kw_only=True, slots=True)
class Installed:
    """What `goldsmith deps` did in a project."""

    listed_in: Path
    """The file that lists the packages."""
    names: tuple[str, ...]
    """The installed packages, those that packages need included."""


def install(project_dir: Path, packages_file: Path, *, dbt: str = "") -> Installed:
    """Run `dbt deps` with the project's own list of packages, else with the one at the top of the repository.

    Whatever fails, the project is left as it was: with the packages it had, or without any. A mirror of
    the package hub is named in the environment, as for dbt itself: DBT_PACKAGE_HUB_URL.

    Args:
        project_dir: The folder of dbt_project.yml.
        packages_file: The packages.yml at the top of the repository; for projects without a list of their own.
        dbt: The dbt command, see `goldsmith.dbt.executable`.

    Raises:
        ProjectError: There is no packages file, it is not one, or a file of the user's is in the way.
        EnvironmentProblem: `dbt deps` failed; one line says what is missing and what still works.
    """
    own = own_list(project_dir)
    source = own or packages_file
    wanted = _listed(source)
    folder = packages_dir(project_dir)
    if folder.is_symlink():
        raise ProjectError(
            f"{folder} is a link, into which `dbt deps` cannot install.",
            hint=f"Name the folder it leads to in dbt_project.yml: {_PLACE}: {folder.resolve()}",
        )
    foreign = _not_installed_by_dbt(project_dir, folder)
    if own is None:
        _refuse_foreign_lock(project_dir)
    with _undone_on_failure(project_dir, folder) as aside:
        if own is None:
            text = packages_file.read_text(encoding="utf-8")
            (project_dir / _LIST).write_text(_header(text) + text, encoding="utf-8")
        _run_deps(project_dir, wanted, dbt=dbt, is_own=own is not None)
        names = tuple(sorted(path.name for path in folder.iterdir())) if folder.is_dir() else ()
        _bring_back(foreign, aside, folder, is_own=own is not None)
    return Installed(listed_in=source, names=names)


def own_list(project_dir: Path) -> Path | None:
    """The project's own list of packages, written by its author; None if it has none.

    dependencies.yml counts if it lists packages: it may name projects alone, and dbt takes it together with
    a packages.yml then.
    """
    written = project_dir / _LIST
    if written.is_file() and not _is_generated(written):
        return written
    dependencies = project_dir / _DEPENDENCIES
    if dependencies.is_file() and "packages" in _content(dependencies):
        return dependencies
    return None


def packages_dir(project_dir: Path) -> Path:
    """Folder of a dbt project's packages."""
    file = project_dir / "dbt_project.yml"
    written = str(_content(file).get(_PLACE) or _INSTALLED)
    return project_dir / rendered(written, _PLACE, file)


def _header(text: str) -> str:
    return _HEADER.format(digest=hashlib.sha256(text.encode()).hexdigest()[:12])


def _is_generated(file: Path) -> bool:
    """Whether it is as `goldsmith deps` wrote it: one that a person changed is that person's."""
    try:
        first, end, text = file.read_text(encoding="utf-8").partition("\n")
    except UnicodeDecodeError:
        return False
    return first + end == _header(text)


def _content(file: Path) -> dict[str, Any]:
    try:
        found = read_yaml(file.read_text(encoding="utf-8"), is_strict=False)
    except FileNotFoundError as error:
        raise ProjectError(
            f"No dbt packages to install: {file} does not exist.",
            hint="List them there: https://docs.getdbt.com/docs/build/packages",
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"{file} cannot be read: {error}", hint="Save it as UTF-8.") from error
    except yaml.YAMLError as error:
        raise ProjectError(f"{file} is not YAML: {error}", hint="See its line above.") from error
    return found if isinstance(found, dict) else {}


def _listed(packages_file: Path) -> list[str]:
    """The packages of the file with their versions, as people name them."""
    entries = _content(packages_file).get("packages")
    if entries is None and read_yaml(packages_file.read_text(encoding="utf-8"), is_strict=False) is None:
        return []  # dbt takes an empty file for no packages
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ProjectError(
            f"{packages_file} has no list `packages`.", hint="packages:\n  - package: owner/name"
        )
    kinds = ("package", "git", "local", "tarball", "private", "version", "revision")
    return [" ".join(str(entry[kind]) for kind in kinds if kind in entry) for entry in entries]


def _run_deps(project_dir: Path, wanted: list[str], *, dbt: str, is_own: bool) -> None:
    done = subprocess.run(
        [*dbt_command(dbt), "--log-level-file", "none", "deps"],
        cwd=project_dir,
        env=dbt_environment(project_dir, refuses=False),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        reason = _reason(done.stdout + done.stderr)
        # A list that dbt sees, as an author's, makes it refuse every command; the generated one is taken away again.
        rest = "." if is_own else "; models, tests and runs work without, what needs these packages does not."
        raise EnvironmentProblem(
            f"Not installed: {', '.join(wanted)} ({reason}){rest}",
            hint="With internet, or DBT_PACKAGE_HUB_URL naming a mirror: goldsmith deps"
            if reason == _NO_HUB
            else f"Run it yourself: cd {project_dir} && dbt deps",
        )


def _reason(output: str) -> str:
    """The line of dbt's output that says what went wrong, short."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if any(_NO_CONNECTION in line for line in lines):
        return _NO_HUB
    marks = [number for number, line in enumerate(lines) if "Encountered an error" in line]
    # dbt names the kind of error on one line and says what it is on the next.
    said = " ".join(lines[marks[0] + 1 : marks[0] + 3] if marks else lines[-1:])
    return f"dbt deps: {said[:200]}" if said else "dbt deps said nothing"


def _not_installed_by_dbt(project_dir: Path, folder: Path) -> frozenset[str]:
    """What somebody copied into the folder of packages: dbt's lock file does not name it."""
    if not folder.is_dir():
        return frozenset()
    lock = project_dir / _LOCK
    if not lock.is_file() and own_list(project_dir):  # packages that dbt installed, without a lock file
        return frozenset(path.name for path in folder.iterdir() if not (path / "dbt_project.yml").is_file())
    entries = _content(lock).get("packages") or () if lock.is_file() else ()
    known = {str(entry.get("name")) for entry in entries if isinstance(entry, dict)}
    return frozenset(path.name for path in folder.iterdir()) - known


def _refuse_foreign_lock(project_dir: Path) -> None:
    lock = project_dir / _LOCK
    if lock.is_file() and not (project_dir / _LIST).is_file():
        raise ProjectError(
            f"{lock} is not from `goldsmith deps`, which would overwrite it: there is no {_LIST} beside it.",
            hint=f"Write {project_dir / _LIST}, or delete the lock file.",
        )


def _bring_back(names: frozenset[str], aside: Path, folder: Path, *, is_own: bool) -> None:
    """Put what people copied into the folder back, beside what was installed."""
    taken = sorted(name for name in names if (folder / name).exists())
    if taken and not is_own:
        raise ProjectError(
            f"{folder / taken[0]} was not installed by `goldsmith deps`, which would overwrite it.",
            hint="Move it away, or take the package out of the list.",
        )
    for name in sorted(names.difference(taken)):
        folder.mkdir(exist_ok=True)
        path = aside / name
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, folder / name, symlinks=True)
        else:
            shutil.copy2(path, folder / name, follow_symlinks=False)


@contextmanager
def _undone_on_failure(project_dir: Path, installed: Path) -> Iterator[Path]:
    """Keep installed packages out of dbt's reach, which deletes them before it downloads new ones."""
    aside = installed.parent / f".{installed.name}.before"
    if aside.exists():  # left by a process that was killed
        shutil.rmtree(installed, ignore_errors=True)
        aside.rename(installed)
    had_packages = installed.is_dir()
    before = {name: _bytes(project_dir / name) for name in (_LIST, _LOCK)}
    is_own = own_list(project_dir) is not None
    if had_packages:
        installed.rename(aside)
    try:
        yield aside
    except BaseException:
        shutil.rmtree(installed, ignore_errors=True)
        for name, content in before.items():
            # A generated list without the packages it names stops dbt, so it returns with them only.
            if content is not None and (is_own or had_packages):
                if _bytes(project_dir / name) != content:
                    (project_dir / name).write_bytes(content)
            else:
                (project_dir / name).unlink(missing_ok=True)
        if had_packages:
            aside.rename(installed)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _bytes(file: Path) -> bytes | None:
    return file.read_bytes() if file.is_file() else None
