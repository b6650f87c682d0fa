"""The DAG files of a folder, and which pipelines they build: read without importing Airflow."""

from __future__ import annotations

import contextlib
import os
import runpy
import sys
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

from goldsmith.errors import GoldsmithError, SpecError
from goldsmith.spec.files import read_file
from goldsmith.spec.pipeline import Pipeline

_MARK = b"goldsmith"


@dataclass(frozen=True, kw_only=True, slots=True)
class Broken:
    """Pipelines that cannot be used, and why."""

    names: tuple[str, ...]
    """As far as they are known; else the name of the file."""
    file: Path
    error: GoldsmithError


@dataclass(kw_only=True)
class Collection:
    """What `build_dag` and `build_dags` are asked for while a DAG file is read for its pipelines alone."""

    names: list[str] = field(default_factory=list)
    """Of all pipelines, those included whose spec turns out to be invalid."""
    specs: list[Pipeline] = field(default_factory=list)
    refused: dict[str, GoldsmithError] = field(default_factory=dict)
    """Pipelines that cannot be used, in a file whose others can."""
    folders: list[Path] = field(default_factory=list)
    """Folders of which every spec becomes a pipeline."""
    environment: str | None = None
    """Which of the specs' environments is asked for; None for what holds in this process."""

    def note(self, pipeline: Pipeline | Path) -> None:
        """Remember that a pipeline is asked for, before its spec is read."""
        entries = [pipeline] if isinstance(pipeline, Pipeline) else read_file(pipeline)
        self.names += [one.name for one in entries]


collecting: ContextVar[Collection | None] = ContextVar("goldsmith_collecting", default=None)
"""Set while a DAG file is read for its pipelines: `build_dag` and `build_dags` add to it and make no DAG."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DagFiles:
    """The pipelines of a dags folder; what is wrong with one does not concern the others."""

    pipelines: dict[str, tuple[Pipeline, Path]]
    """Name to spec and DAG file."""
    broken: tuple[Broken, ...]
    folders: Mapping[Path, Path] = field(default_factory=dict)
    """Folder of which every spec becomes a pipeline, to the DAG file that sees to it."""

    @property
    def names(self) -> tuple[str, ...]:
        """All pipelines, the broken ones last."""
        return (*self.pipelines, *(name for one in self.broken for name in one.names))

    @property
    def errors(self) -> dict[str, GoldsmithError]:
        """Why the broken ones cannot be used."""
        return {", ".join(one.names): one.error for one in self.broken}

    def broken_one(self, name: str) -> Broken | None:
        """The broken pipeline of a name."""
        return next((one for one in self.broken if name in one.names), None)


def read_dag_files(
    dags_dir: Path,
    *,
    left_out: Callable[[Sequence[Path]], Container[Path]] = lambda _: (),
    environment: str | None = None,
) -> DagFiles:
    """Find the pipelines that the DAG files of a folder build.

    A file that cannot be run, a spec that is invalid and a name that two specs share are reported beside the pipelines
    that can be used.

    Args:
        dags_dir: The folder.
        left_out: Says which of some files Airflow is told not to read; asked about specs of one name and about broken
            files, which may be old ones or drafts.
        environment: Which of the specs' environments is asked for; that of this process if it is None.
    """
    found: dict[str, list[tuple[Pipeline, Path]]] = {}
    broken: list[Broken] = []
    folders: dict[Path, Path] = {}
    for file in python_files(dags_dir):
        asked, error = _collected(file, dags_dir, environment)
        broken += [Broken(names=(name,), file=file, error=why) for name, why in asked.refused.items()]
        if error is not None:
            broken.append(Broken(names=tuple(asked.names) or (file.stem,), file=file, error=error))
            continue
        folders |= dict.fromkeys(asked.folders, file)
        for spec in asked.specs:
            found.setdefault(spec.name, []).append((spec, file))
    ignored = left_out([one.file for one in broken]) if broken else ()
    broken = [one for one in broken if one.file not in ignored]
    for name, those in found.items():
        if len(those) > 1:
            unread = left_out([file for _, file in those])
            found[name] = [one for one in those if one[1] not in unread] or those
    usable = {name: those[0] for name, those in found.items() if len(those) == 1}
    doubles = [_double(name, those) for name, those in found.items() if len(those) > 1]
    return DagFiles(pipelines=usable, broken=(*broken, *doubles), folders=folders)


def python_files(dags_dir: Path) -> Iterator[Path]:
    """The files of a dags folder that speak of Goldsmith, in links to folders too, as Airflow reads them."""
    seen: set[Path] = set()
    for folder, below, files in os.walk(dags_dir, followlinks=True):
        real = Path(folder).resolve()
        below[:] = [] if real in seen else sorted(name for name in below if name != "__pycache__")
        for name in sorted(files) if real not in seen else ():
            path = Path(folder, name)
            if path.suffix == ".py" and path.is_file() and _MARK in path.read_bytes():
                yield path
        seen.add(real)


def _double(name: str, those: list[tuple[Pipeline, Path]]) -> Broken:
    files = [str(file) for _, file in those]
    error = SpecError(
        f"Two pipelines are called {name}: {' and '.join(files[:2])}.",
        hint="Airflow would show only one of them; rename one.",
    )
    return Broken(names=(name,), file=those[1][1], error=error)


def _collected(
    file: Path, dags_dir: Path, environment: str | None
) -> tuple[Collection, GoldsmithError | None]:
    """What a file asks for, and why it cannot be used."""
    asked = Collection(environment=environment)
    token = collecting.set(asked)
    try:
        # What a file prints is not part of a command's answer, which may be JSON.
        with _importing_from(file.parent, dags_dir), contextlib.redirect_stdout(sys.stderr):
            runpy.run_path(str(file))
    except GoldsmithError as error:
        return asked, error
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a DAG file may raise anything
        if asked.specs and isinstance(error, AttributeError | TypeError | KeyError):
            return asked, None  # it goes on to use its DAG, which is not made here
        return asked, SpecError(
            f"{file} cannot be run: {type(error).__name__}: {error}", hint=f"python {file}"
        )
    finally:
        collecting.reset(token)
    return asked, None


@contextlib.contextmanager
def _importing_from(*folders: Path) -> Iterator[None]:
    """Let a file import its neighbours, as in Airflow, where each file has a process of its own."""
    before, modules = list(sys.path), set(sys.modules)
    sys.path[:0] = [str(folder) for folder in dict.fromkeys(folders)]
    try:
        yield
    finally:
        sys.path[:] = before
        for name in set(sys.modules) - modules:
            origin = getattr(sys.modules[name], "__file__", None)
            path = Path(origin or "/")
            if "site-packages" not in path.parts and any(path.is_relative_to(folder) for folder in folders):
                del sys.modules[name]
