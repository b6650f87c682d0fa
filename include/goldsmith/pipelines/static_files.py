"""One DAG file for each pipeline, with its whole spec in it: for those who want to see in a commit what runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from pprint import pformat

from goldsmith.errors import ConfigurationError, EnvironmentProblem
from goldsmith.spec.pipeline import Pipeline
from goldsmith.wording import some

_MADE = "Made by `goldsmith render"
_WIDTH = 100


def static_dag_file(spec: Pipeline, environment: str) -> str:
    """The text of a DAG file.

    Args:
        spec: The pipeline, as it is in the environment.
        environment: Its name.
    """
    values = spec.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"environments"})
    written = pformat(values, width=_WIDTH, sort_dicts=False)
    return (
        f'"""Airflow DAG: {spec.name}, as it is in {environment}. {_MADE} {environment}`; the next one takes changes '
        'here away."""\n\n'
        "from goldsmith import Pipeline, build_dag\n\n"
        f"dag = build_dag(Pipeline.parse(\n{written}\n))\n"
    )


def write_static_files(
    specs: Iterable[Pipeline], environment: str, folder: Path
) -> tuple[list[Path], list[Path]]:
    """Write a DAG file for each pipeline, and delete those of pipelines that are gone.

    Args:
        specs: The pipelines, as they are in the environment.
        environment: Its name.
        folder: Where they go; made if it is not there.

    Returns:
        The files that were written, and those that were deleted.

    Raises:
        ConfigurationError: A file of one of the names was made by somebody else; nothing is written.
        EnvironmentProblem: The folder cannot be written.
    """
    texts = {folder / f"{spec.name}.py": static_dag_file(spec, environment) for spec in specs}
    try:
        theirs = [str(path) for path in texts if path.exists() and not _is_ours(path)]
        if theirs:
            raise ConfigurationError(
                f"{some(theirs, 3)}: not made by `goldsmith render`, and never overwritten.",
                hint="Name another folder: goldsmith render ENVIRONMENT --out FOLDER",
            )
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")
        old = [path for path in sorted(folder.glob("*.py")) if path not in texts and _is_ours(path)]
        for path in old:
            path.unlink()
    except OSError as error:
        raise EnvironmentProblem(
            f"{folder} cannot be written: {error}", hint=f"Check its permissions: ls -ld {folder}"
        ) from error
    return list(texts), old


def _is_ours(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace") as file:
        return _MADE in file.readline()
