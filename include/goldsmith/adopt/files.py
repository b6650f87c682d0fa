"""The files that `goldsmith init` and `goldsmith new` write: only what is missing, and lines at the end of others."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from goldsmith.errors import EnvironmentProblem
from goldsmith.spec.json_schema import pipeline_schema

SPECS = "pipelines"
"""Folder of specs, in the folder of DAG files."""
FOR_EDITORS = "for editors, which complete and check specs"
_SCHEMA = "pipeline.schema.json"
_FIRST_LINE = f"# yaml-language-server: $schema={_SCHEMA}\n"
_DAG_FILE = '''"""Airflow DAG: {name}, a dbt project."""

from goldsmith import build_dag

dag = build_dag("{specs}/{name}.yml")
'''
_PYTHON_FILE = '''"""Airflow DAG: {name}, a dbt project."""

from goldsmith import Pipeline, build_dag

dag = build_dag(
    Pipeline(
{arguments}
    )
)
'''


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """A file to write, or lines to add to one."""

    path: Path
    text: str
    """The whole file, or what is added at its end."""
    why: str
    is_added: bool = False


class _Indented(yaml.SafeDumper):
    """Writes lists as people indent them."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002, FBT001, FBT002 - PyYAML's
        super().increase_indent(flow, indentless=False)


def spec_file(dags_dir: Path, name: str, keys: Mapping[str, Any], *, notes: Iterable[str] = ()) -> Change:
    """A spec.

    Args:
        dags_dir: The folder of DAG files.
        name: Of the pipeline.
        keys: Of the spec.
        notes: Lines for its top, as comments.
    """
    body = yaml.dump(dict(keys), Dumper=_Indented, sort_keys=False, allow_unicode=True, width=100)
    comments = "".join(f"# {note}\n" for note in notes)
    return Change(
        path=dags_dir / SPECS / f"{name}.yml", text=f"{_FIRST_LINE}{comments}{body}", why="the pipeline"
    )


def schema_file(dags_dir: Path) -> Change:
    """The JSON Schema beside the specs."""
    text = json.dumps(pipeline_schema(), indent=2, ensure_ascii=False)
    return Change(path=dags_dir / SPECS / _SCHEMA, text=f"{text}\n", why=FOR_EDITORS)


def dag_file(dags_dir: Path, name: str) -> Change:
    """The DAG file of a spec."""
    return Change(
        path=dags_dir / f"{name}.py",
        text=_DAG_FILE.format(name=name, specs=SPECS),
        why="lets Airflow load it",
    )


def python_file(dags_dir: Path, name: str, keys: Mapping[str, Any]) -> Change:
    """A DAG file with the spec in it."""
    arguments = "\n".join(f"        {key}={value!r}," for key, value in keys.items())
    text = _PYTHON_FILE.format(name=name, arguments=arguments)
    return Change(path=dags_dir / f"{name}.py", text=text, why="the pipeline")


def added_lines(path: Path, lines: Iterable[str], why: str) -> Iterable[Change]:
    """The lines that a file lacks, at its end; the file is made if it is not there."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    there = {line.strip() for line in text.splitlines()}
    missing = [line for line in lines if line not in there]
    if missing:
        before = "\n" if text and not text.endswith("\n") else ""
        yield Change(
            path=path, text=before + "".join(f"{line}\n" for line in missing), why=why, is_added=bool(text)
        )


def requirement() -> str:
    """The line by which an image installs this Goldsmith; empty if it was installed from a folder of this machine."""
    installed = metadata.distribution("goldsmith")
    origin = json.loads(installed.read_text("direct_url.json") or "{}")
    if not origin:
        return f"goldsmith=={installed.version}"
    if "vcs_info" not in origin:
        return ""
    return f"goldsmith @ {origin['vcs_info']['vcs']}+{origin['url']}@{origin['vcs_info']['commit_id']}"


def origin() -> str:
    """The folder that this Goldsmith was installed from; empty if it was none."""
    found = json.loads(metadata.distribution("goldsmith").read_text("direct_url.json") or "{}")
    url = str(found.get("url") or "")
    return url.removeprefix("file://") if url.startswith("file://") else ""


def missing_only(changes: Iterable[Change]) -> tuple[Change, ...]:
    """The changes without those of files that are there: nothing of a person's is overwritten."""
    return tuple(one for one in changes if one.is_added or not one.path.exists())


def write(changes: Sequence[Change]) -> None:
    """Write files, and add lines.

    Raises:
        EnvironmentProblem: A folder or file cannot be written; names the first. Nothing is written if it was known.
    """
    for one in changes:
        _refuse_unwritable(one.path)
    for one in changes:
        try:
            one.path.parent.mkdir(parents=True, exist_ok=True)
            with one.path.open("a" if one.is_added else "x", encoding="utf-8") as file:
                file.write(one.text)
        except OSError as error:
            raise _unwritable(one.path, str(error)) from error


def _refuse_unwritable(path: Path) -> None:
    there = next(one for one in (path, *path.parents) if one.exists())
    if there != path and not there.is_dir():
        raise _unwritable(path, f"{there} is no folder")
    if not os.access(there, os.W_OK):
        raise _unwritable(path, f"no permission to write {there}")


def _unwritable(path: Path, why: str) -> EnvironmentProblem:
    there = next(one for one in (path, *path.parents) if one.exists())
    return EnvironmentProblem(
        f"{path} cannot be written: {why}", hint=f"Check its permissions: ls -ld {there}"
    )
