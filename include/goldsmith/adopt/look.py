"""What a folder holds: dbt projects, an Airflow, DAG files, and where new files belong."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from goldsmith.errors import ProjectError
from goldsmith.settings import DAGS
from goldsmith.wording import some

_PROJECT = "dbt_project.yml"
# Folders of tools and of what they have made: no project of the user's is in them.
_PASSED_OVER = frozenset(
    (
        *("dbt_packages", "dbt_modules", "target", "node_modules", "site-packages", "venv", "env"),
        *("logs", "build", "dist", "__pycache__"),
    )
)
_DEEPEST = 4
# Beside a folder of DAG files, each of them says that an Airflow reads it.
_AIRFLOWS = ("Dockerfile", ".astro", "airflow.cfg", "docker-compose.yml", "docker-compose.yaml")
_ASTRO = re.compile(r"^\s*FROM\s+\S*(?:astro-runtime|astronomer|astrocrpublic)", re.IGNORECASE | re.MULTILINE)
_DAG_ID = re.compile(r"(?:\bdag_id\s*=|\bDAG\()\s*[\"']([\w.-]+)[\"']|^def (\w+)\(", re.MULTILINE)
_AIRFLOW = re.compile(r"^\s*FROM\s+\S*airflow|^apache-airflow\b", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Repository:
    """A folder, as `goldsmith init` found it."""

    root: Path
    projects: tuple[Path, ...]
    """Folders of dbt projects; that of the root itself first."""
    is_empty: bool
    """Whether it has no files but hidden ones."""
    is_airflow: bool
    """Whether an Airflow runs the DAG files of this folder, as far as files can tell."""
    requirements: Path | None
    """The file with the packages of that Airflow's image."""
    airflow_below: Path | None = None
    """A folder below with an Airflow of its own, if this one has no DAG files."""

    @property
    def dags_dir(self) -> Path:
        """The folder of DAG files, whether it exists or not."""
        return self.root / DAGS

    def shown(self, path: Path) -> str:
        """A path from the root, as people write it; of a folder beside the root with `..`."""
        if path.is_relative_to(self.root.parent):
            return os.path.relpath(path, self.root)
        return str(path)


def look_at(root: Path) -> Repository:
    """Look at a folder.

    Raises:
        ProjectError: There is no such folder.
    """
    if not root.is_dir():
        raise ProjectError(f"There is no folder {root}.", hint=f"mkdir -p {root}")
    dockerfile, requirements = _text(root / "Dockerfile"), root / "requirements.txt"
    is_astro = (root / ".astro").is_dir() or bool(_ASTRO.search(dockerfile))
    says_airflow = any(_AIRFLOW.search(text) for text in (dockerfile, _text(requirements)))
    return Repository(
        root=root,
        projects=tuple(sorted(_projects(root), key=lambda path: (len(path.parts), path))),
        is_empty=not any(not path.name.startswith(".") for path in root.iterdir()),
        is_airflow=is_astro or says_airflow or (root / DAGS).is_dir(),
        requirements=requirements if is_astro or (says_airflow and requirements.is_file()) else None,
        airflow_below=None if (root / DAGS).is_dir() else _airflow_below(root),
    )


def _airflow_below(root: Path) -> Path | None:
    """The first folder, one or two below, that has DAG files beside what runs an Airflow."""
    for folder in sorted([*root.glob("*/"), *root.glob("*/*/")], key=lambda path: (len(path.parts), path)):
        is_passed_over = any(
            part in _PASSED_OVER or part.startswith(".") for part in folder.relative_to(root).parts
        )
        if (
            not is_passed_over
            and (folder / DAGS).is_dir()
            and any((folder / name).exists() for name in _AIRFLOWS)
        ):
            return folder
    return None


def taken_names(dags_dir: Path) -> set[str]:
    """Names that no pipeline can have: those of other DAG files, and the ids of DAGs as far as a text tells them.

    Args:
        dags_dir: The folder of DAG files.
    """
    found: set[str] = set()
    for file in dags_dir.rglob("*.py"):
        if file.parent == dags_dir:
            found.add(file.stem)
        # A function is a DAG by its decorator; one that is none takes a name that is free, which does no harm.
        found |= {one or other for one, other in _DAG_ID.findall(_text(file))}
    return found


def choose_projects(found: Repository, asked: list[Path]) -> tuple[Path, ...]:
    """The dbt projects to adopt.

    Args:
        found: The folder.
        asked: The projects that were named, from the folder; none if it has only one.

    Raises:
        ProjectError: There is none, one that was named is none, or there are several and none was named.
    """
    if asked:
        chosen = [(found.root / path).resolve() for path in asked]
        for path in chosen:
            if not (path / _PROJECT).is_file():
                raise ProjectError(
                    f"No dbt project at {path}: {path / _PROJECT} does not exist.", hint=_there_are(found)
                )
        return tuple(chosen)
    if not found.projects:
        raise ProjectError(
            f"No dbt project: no {_PROJECT} in {found.root} or up to {_DEEPEST} folders below.",
            hint="Name its folder: goldsmith init --project FOLDER. In an empty folder init makes a project.",
        )
    if len(found.projects) > 1:
        names = [found.shown(path) for path in found.projects]
        raise ProjectError(
            f"There are {len(names)} dbt projects: {some(names)}.",
            hint=f"Name one, or several: goldsmith init --project {names[0]}",
        )
    return found.projects


def _there_are(found: Repository) -> str:
    names = [found.shown(path) for path in found.projects]
    return (
        f"dbt projects here: {some(names)}" if names else f"There is no {_PROJECT} in {found.root} and below."
    )


def _projects(root: Path) -> Iterator[Path]:
    for folder, below, files in os.walk(root):
        place = Path(folder)
        depth = len(place.relative_to(root).parts)
        if _PROJECT in files:
            yield place
        usual = {name for name in below if name in _PASSED_OVER or name.startswith(".")}
        below[:] = sorted({*below} - usual) if depth < _DEEPEST else []


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
