"""`goldsmith plan --select`: what a run with a selection would build, and how long that took the last time."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from goldsmith.dbt.executable import dbt_executable
from goldsmith.dbt.listing import (
    EAGER,
    LIST,
    Listing,
    manifest_to_compare,
    read_listing,
    selection_arguments,
)
from goldsmith.dbt.parse import variable_arguments
from goldsmith.dbt.profile_for_commands import DbtProfile
from goldsmith.dbt.project import DbtProject
from goldsmith.errors import ConfigurationError, SelectionError
from goldsmith.plan.chosen_sources import chosen_sources
from goldsmith.plan.chosen_tasks import chosen_tasks
from goldsmith.plan.model import Plan
from goldsmith.plan.preview import Choice, explained
from goldsmith.spec.run import RunOptions

_LATER = "result:"


def is_known_before(options: RunOptions) -> bool:
    """Whether the selection can be resolved before the run: not, where it means the results of the run before."""
    return not any(_LATER in term for term in (*options.select, *options.exclude))


def choose_nodes(
    plan: Plan,
    project: DbtProject,
    options: RunOptions,
    *,
    target: str,
    compared_with: Path | None,
    sources: Sequence[str],
    lasted: Mapping[str, float],
    profile: DbtProfile,
    variables: Mapping[str, Any] | None = None,
) -> list[Choice]:
    """Ask dbt what a selection means.

    Args:
        plan: The pipeline's plan.
        project: Its dbt project.
        options: What is asked of the run.
        target: dbt target.
        compared_with: The manifest that `state:` means.
        sources: What the pipeline loads, as `schema.table`.
        lasted: Unique id to seconds of the last time.
        profile: How dbt finds its profile.
        variables: dbt variables of the pipeline; those of the run go before them.

    Raises:
        SelectionError: The selection means nothing; names what is meant most likely.
        ConfigurationError: dbt cannot say it.
    """
    if not is_known_before(options):
        raise SelectionError(
            "`result:` means the results of the run before: Airflow has them.",
            hint="goldsmith run --dry-run --select …",
        )
    terms = (*options.select, *options.exclude)
    manifest = manifest_to_compare(compared_with) if any("state:" in term for term in terms) else None
    around = ["--target", target, *variable_arguments({**(variables or {}), **options.vars})]
    found = _listed(project, options, [*around, *profile.arguments], manifest, profile.env)
    loads = chosen_sources(sources, options, found.unique_ids)
    tasks = chosen_tasks(
        plan, found.unique_ids, unmatched=found.unmatched, terms=terms, loads=any(loads.values())
    )
    return explained(plan, tasks, found.unique_ids, lasted=lasted, loads=loads)


def _listed(
    project: DbtProject,
    options: RunOptions,
    around: list[str],
    manifest: Path | None,
    env: Mapping[str, str],
) -> Listing:
    selection = selection_arguments(options.select, options.exclude)
    flags = ["--no-version-check", "--no-use-colors", "--no-quiet"]
    flags += ["--log-format", "json", "--log-level", "debug", "--log-level-file", "none"]
    with tempfile.TemporaryDirectory() as folder:
        there = [*around, "--target-path", str(Path(folder) / "target")]
        if manifest:
            shutil.copyfile(manifest, Path(folder) / "manifest.json")
            there += ["--state", folder]
        command = [dbt_executable(project.dbt), *flags, *LIST, *EAGER, *selection, *there]
        done = subprocess.run(
            command, cwd=project.path, env=dict(env), capture_output=True, text=True, check=False
        )
    found = read_listing(done.stdout.splitlines())
    if done.returncode != 0:
        raise ConfigurationError(
            "dbt cannot say what the selection means:\n" + "\n".join([*found.errors, done.stderr][-12:]),
            hint=f"Try it yourself: cd {project.path} && dbt ls {' '.join(selection)}",
        )
    return found
