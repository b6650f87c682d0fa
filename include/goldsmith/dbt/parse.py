"""Make a project's manifest, and let dbt say which nodes selections mean in it.

Both happen in a folder of their own, and files are put into their place when all is done: a DAG file that is parsed
meanwhile finds the old manifest, not half of the new one.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldsmith.dbt.environment import dbt_environment
from goldsmith.dbt.executable import dbt_executable, python_of
from goldsmith.dbt.listing import EAGER, LIST, Listing, read_listing, selection_arguments
from goldsmith.dbt.project import MANIFEST, DbtProject
from goldsmith.errors import EnvironmentProblem, ManifestError, SelectionError

_NO_ADAPTER = re.compile(r"Could not find adapter type (\w+)")
PARTIAL_PARSE = "partial_parse.msgpack"
RESIDENT = Path(__file__).parents[1] / "inside_dbt" / "resident.py"
"""Runs in dbt's environment, which may be another one."""
_FLAGS = ("--no-version-check", "--no-use-colors", "--no-quiet", "--log-level-file", "none")
_AS_TEXT = ("--write-json", "--log-format", "text", "--log-level", "info")
_AS_JSON = ("--log-format", "json", "--log-level", "debug")
_SHOWN = 24  # lines: a summary of deprecations, which dbt prints last, takes a dozen


@dataclass(frozen=True, kw_only=True, slots=True)
class AskedSelection:
    """A selection whose nodes dbt is to list."""

    select: tuple[str, ...]
    exclude: tuple[str, ...]
    what: str
    """What it selects, for messages: a pipeline, a layer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parsed:
    """A manifest that was just made, beside the place where it belongs."""

    folder: Path
    listings: tuple[Listing | SelectionError, ...]
    """dbt's answers, in the order of the questions; an error if dbt does not understand one."""

    @property
    def manifest(self) -> Path:
        """The manifest."""
        return self.folder / MANIFEST

    def publish(self, project: DbtProject) -> None:
        """Put the manifest, and what dbt parsed, to every place where a process looks for it; the manifest last.

        Raises:
            EnvironmentProblem: A place cannot be written, and has no manifest or an older one.
        """
        made = sorted(filter(Path.is_file, self.folder.iterdir()), key=lambda file: file.name == MANIFEST)
        for place in project.manifest_paths:
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                for file in made:
                    _replace(file, place.with_name(file.name))
            except OSError as error:
                # A place that only other processes look at, and where they find nothing old.
                if place == project.manifest_path or place.exists():
                    raise EnvironmentProblem(
                        f"The manifest {place} cannot be written: {error}",
                        hint="Set DBT_TARGET_PATH to a folder that can be written, for all of Airflow's components.",
                    ) from error


def _replace(source: Path, place: Path) -> None:
    part = place.with_name(f"{place.name}.part")
    shutil.copy2(source, part)
    part.replace(place)


def make_manifest(
    project: DbtProject,
    *,
    target: str,
    env: Mapping[str, str] | None = None,
    variables: Mapping[str, Any] | None = None,
) -> Path:
    """Run `dbt parse`, which needs no warehouse, and return the manifest's path.

    Args:
        project: The dbt project.
        target: dbt target whose schemas the manifest shall name.
        env: Environment of dbt; default is that of this process.
        variables: dbt variables.

    Raises:
        ManifestError: dbt could not parse the project; carries dbt's own lines.
    """
    with parsed(project, target=target, env=env, variables=variables) as made:
        made.publish(project)
    return project.manifest_path


@contextmanager
def parsed(
    project: DbtProject,
    *,
    target: str,
    variables: Mapping[str, Any] | None = None,
    questions: Sequence[AskedSelection] = (),
    env: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
) -> Iterator[Parsed]:
    """Run `dbt parse`, and `dbt ls` for each question, in a folder that is removed afterwards.

    Args:
        project: The dbt project.
        target: dbt target.
        variables: dbt variables.
        questions: Selections, of which dbt says what they mean.
        env: Environment of dbt; default is that of this process.
        arguments: More arguments, such as those of a profile.

    Raises:
        ManifestError: dbt could not parse the project; carries dbt's own lines.
    """
    with tempfile.TemporaryDirectory(prefix="goldsmith-") as scratch:
        folder = Path(scratch) / "target"
        folder.mkdir()
        before = project.manifest_path.with_name(PARTIAL_PARSE)
        if before.is_file():
            shutil.copyfile(before, folder / PARTIAL_PARSE)
        chosen = ["--target", target, *variable_arguments(variables or {})]
        around = [*chosen, *arguments, "--project-dir", str(project.path), "--target-path", str(folder)]
        commands = [
            [*_FLAGS, *_AS_TEXT, "parse", *around],
            *([*_FLAGS, *_AS_JSON, *listing(one.select, one.exclude), *around] for one in questions),
        ]
        answers = _answers(commands, project, dbt_environment(project.path, env))
        code, said = next(answers)
        if code != 0:
            raise ManifestError(
                f"`dbt parse` failed in {project.path}:\n{_last(said)}",
                hint=_what_to_do(said, project, chosen, has_own_profile=not arguments),
            )
        listings = tuple(_listing(one, *next(answers), project, chosen) for one in questions)
        yield Parsed(folder=folder, listings=listings)


def _what_to_do(said: str, project: DbtProject, chosen: Sequence[str], *, has_own_profile: bool) -> str:
    if "dbt deps" in said:
        return "Install the packages: goldsmith deps"
    if missing := _NO_ADAPTER.search(said):
        return f"Install the adapter beside dbt: pip install dbt-{missing[1]}"
    if not has_own_profile:  # a plain `dbt parse` would find no profile
        return "Change what dbt names, then: goldsmith manifest"
    return f"Run it yourself: cd {project.path} && dbt parse {' '.join(chosen)}"


def listing(select: Sequence[str], exclude: Sequence[str]) -> list[str]:
    """The arguments of `dbt ls` for a selection; the project's own flags do not change what it means."""
    return [*LIST, *EAGER, *selection_arguments(select, exclude)]


def variable_arguments(variables: Mapping[str, Any]) -> list[str]:
    """dbt variables as dbt's command line takes them."""
    return ["--vars", json.dumps(variables)] if variables else []


def _listing(
    question: AskedSelection, code: int, said: str, project: DbtProject, chosen: list[str]
) -> Listing | SelectionError:
    found = read_listing(said.splitlines())
    # dbt takes a method that it does not know for one that matches nothing.
    if code != 0 or found.errors:
        wanted = " ".join([*selection_arguments(question.select, question.exclude), *chosen])
        return SelectionError(
            f"{question.what}: dbt cannot say what the selection means:\n{_last(chr(10).join(found.errors))}",
            hint=f"Try it yourself: cd {project.path} && dbt ls {wanted}",
        )
    return found


def _answers(
    commands: Sequence[list[str]], project: DbtProject, env: Mapping[str, str]
) -> Iterator[tuple[int, str]]:
    """Exit code and output of dbt commands: of one process if dbt's Python is known, else of several."""
    executable = dbt_executable(project.dbt)
    python = python_of(executable)
    if python is None:
        for command in commands:
            yield _run([executable, *command], project, env)
        return
    code, said = _run([python, str(RESIDENT)], project, env, given=json.dumps(commands))
    count = 0
    for line in said.splitlines():
        if line.startswith('{"code"'):
            answer = json.loads(line)
            count += 1
            yield answer["code"], answer["output"]
    for _ in commands[count:]:  # it was killed, or dbt cannot be loaded
        yield code or 2, said


def _run(
    command: list[str], project: DbtProject, env: Mapping[str, str], *, given: str | None = None
) -> tuple[int, str]:
    done = subprocess.run(
        command, cwd=project.path, env=dict(env), input=given, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def _last(text: str) -> str:
    return "\n".join([line for line in text.splitlines() if line.strip()][-_SHOWN:])
