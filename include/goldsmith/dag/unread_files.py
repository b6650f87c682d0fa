"""Why Airflow does not read a DAG file: by Airflow's own code, `python -m goldsmith.dag.unread_files FOLDER`.

Airflow passes over files that .airflowignore leaves out, and in safe mode those without the words "airflow" and "dag";
it reports neither.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

IGNORE_FILE = ".airflowignore"


class PassedOver(TypedDict):
    """A file that Airflow does not read: why, and what to do about it."""

    text: str
    hint: str
    is_ignored: bool
    """Whether somebody wrote that it is to be left out."""


def unread(dags_dir: Path, files: Iterable[Path]) -> dict[str, PassedOver]:
    """The files that Airflow passes over, with the reason and what to do about it.

    Args:
        dags_dir: Airflow's dags folder.
        files: Python files in it.
    """
    from airflow.configuration import conf
    from airflow.utils.file import list_py_file_paths, might_contain_dag

    is_safe = conf.getboolean("core", "dag_discovery_safe_mode", fallback=True)
    try:
        listed = set(list_py_file_paths(dags_dir, safe_mode=False))
    except RuntimeError as error:  # links that lead back
        text = f"Airflow reads no file at all: {error}"
        return {str(file): PassedOver(text=text, hint="Remove the link.", is_ignored=False) for file in files}
    found: dict[str, PassedOver] = {}
    for file in map(str, files):
        if file not in listed:
            found[file] = _ignored(Path(file), dags_dir)
        elif not might_contain_dag(file, is_safe):
            found[file] = _without_words(Path(file))
    return found


def _ignored(file: Path, dags_dir: Path) -> PassedOver:
    named = ", ".join(str(one) for one in ignore_files(file, dags_dir)) or IGNORE_FILE
    return PassedOver(
        text=f"Airflow does not read {file}: {named} leaves it out.",
        hint=f"Change {named}, or move the file.",
        is_ignored=True,
    )


def _without_words(file: Path) -> PassedOver:
    text = file.read_bytes().lower()
    missing = " and ".join(repr(word) for word in ("airflow", "dag") if word.encode() not in text)
    why = (
        f"in safe mode a file has to contain {missing}"
        if missing
        else "might_contain_dag_callable refuses it"
    )
    return PassedOver(
        text=f"Airflow does not read {file}: {why}.",
        hint='Write it into the first line of the file: """Airflow DAG: ..."""' if missing else "",
        is_ignored=False,
    )


def ignore_files(file: Path, dags_dir: Path) -> list[Path]:
    """The .airflowignore files that may concern a file: those with a pattern, from the dags folder down."""
    folders = [folder for folder in reversed(file.parents) if folder.is_relative_to(dags_dir)]
    return [path for folder in folders if _has_pattern(path := folder / IGNORE_FILE)]


def _has_pattern(path: Path) -> bool:
    if not path.is_file():
        return False
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return any(line.partition("#")[0].strip() for line in lines)


def may_be_unread(file: Path, dags_dir: Path) -> bool:
    """Whether Airflow has to be asked about a file; that takes seconds."""
    text = file.read_bytes().lower()
    return b"airflow" not in text or b"dag" not in text or bool(ignore_files(file, dags_dir))


def main() -> None:
    """Print why Airflow does not read the files named on the command line, as one JSON line."""
    folder, *files = map(Path, sys.argv[1:])
    with contextlib.redirect_stdout(sys.stderr):  # Airflow logs to stdout while it is imported
        found = unread(folder, files)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
