"""Which pipeline a command means, and the word about those that cannot be used."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.text import Text

from goldsmith.dag.faults import fault_in
from goldsmith.dag.unread_files import PassedOver, may_be_unread
from goldsmith.dag_files import DagFiles, read_dag_files
from goldsmith.errors import ConfigurationError, EnvironmentProblem, GoldsmithError
from goldsmith.settings import Settings
from goldsmith.spec.pipeline import Pipeline
from goldsmith.stack.stack import local_stack
from goldsmith.wording import did_you_mean, some


def choose_pipeline(
    here: Settings, name: str | None, *, meant: Callable[[Pipeline], bool] | None = None, option: str = ""
) -> tuple[Pipeline, Path]:
    """The pipeline of a name, or the only one, or the only one that is meant; with the DAG file that builds it.

    Args:
        here: Settings of this process.
        name: Its name; None if nobody wrote one.
        meant: Whether a pipeline has what was asked for.
        option: The option that names a pipeline; empty if it is the command's argument.

    Raises:
        ConfigurationError: There is none of that name, more than one to choose from, or it cannot be used.
    """
    found = read_pipelines(here)
    if name is None and len(found.names) > 1:
        fitting = [one for one, (spec, _) in found.pipelines.items() if meant and meant(spec)]
        if len(fitting) != 1:
            raise _ask_which(found.names, fitting, option)
        name = fitting[0]
    chosen = name or found.names[0]
    if chosen in found.pipelines:
        return found.pipelines[chosen]
    if broken := found.broken_one(chosen):
        raise broken.error
    raise ConfigurationError(
        f"No pipeline is called {chosen!r}. {did_you_mean(chosen, found.names)}{_unread(found)}"
    )


def _ask_which(names: Sequence[str], fitting: Sequence[str], option: str) -> ConfigurationError:
    several = f" {some(fitting)} have what is asked for." if fitting else ""
    first = [*fitting, *names][0]
    return ConfigurationError(
        f"There are {len(names)} pipelines: {some(names)}.{several}",
        hint=f"Name one: {option} {first}" if option else f"Name one: goldsmith run {first}",
    )


def read_pipelines(here: Settings) -> DagFiles:
    """All pipelines, of which there is at least one.

    Raises:
        ConfigurationError: There is none.
    """
    found = find_pipelines(here)
    if not found.names:
        raise no_pipeline(here)
    return found


def find_pipelines(here: Settings, *, environment: str | None = None) -> DagFiles:
    """All pipelines, of which there may be none.

    Args:
        here: Settings of this process.
        environment: Which of their environments; that of this process if it is None.
    """

    def left_out(files: Sequence[Path]) -> set[Path]:
        return {file for file, said in _passed_over(files, here).items() if said["is_ignored"]}

    return read_dag_files(here.dags_dir, left_out=left_out, environment=environment)


def _unread(found: DagFiles) -> str:
    """The broken DAG files: the pipeline may stand in one of them."""
    files = sorted({str(one.file) for one in found.broken})
    return f" It may be in {', '.join(files[:3])}, which cannot be used: goldsmith check" if files else ""


def no_pipeline(here: Settings) -> ConfigurationError:
    """The error of a dags folder without a pipeline."""
    return ConfigurationError(
        f"No pipeline: no DAG file in {here.dags_dir} calls goldsmith.build_dag.",
        hint="See the README for a DAG file of ten lines.",
    )


def refuse_unread(file: Path, here: Settings) -> None:
    """Ask Airflow whether it reads a DAG file, if there is reason to doubt it.

    Raises:
        ConfigurationError: It does not, and would not say so.
    """
    for passed_over in _passed_over([file], here).values():
        raise ConfigurationError(passed_over["text"], hint=passed_over["hint"])


def _passed_over(files: Sequence[Path], here: Settings) -> dict[Path, PassedOver]:
    """The files that Airflow does not read; it is asked about those only that give reason to doubt it."""
    doubtful = [file for file in files if may_be_unread(file, here.dags_dir)]
    if not doubtful:
        return {}
    done = subprocess.run(
        [sys.executable, "-m", "goldsmith.dag.unread_files", str(here.dags_dir), *map(str, doubtful)],
        # Without what Airflow prepares for tasks: its files are listed by their names and words alone.
        env={**local_stack(here).env(), "_AIRFLOW__AS_LIBRARY": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise EnvironmentProblem(
            f"Airflow does not start here: {fault_in(done.stderr, doubtful[0])['text']}",
            hint="To see where: python -c 'import airflow'",
        )
    found: dict[str, PassedOver] = json.loads(done.stdout.splitlines()[-1])
    return {Path(file): said for file, said in found.items()}


def show_failed(failed: Mapping[str, GoldsmithError], console: Console) -> None:
    """Print why pipelines, or their projects, cannot be used.

    Args:
        failed: Name to error.
        console: Where to print.
    """
    for name, error in failed.items():
        console.print(Text(f"{name}: {error.message}", style="bold red"), soft_wrap=True)
        if error.hint:
            console.print(Text(error.hint), soft_wrap=True)
