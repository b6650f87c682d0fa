"""The environment of every dbt command that is started here, and what becomes of dbt's own variables in it.

dbt takes most of its options from variables too: `DBT_EMPTY`, and since dbt 1.11 `DBT_ENGINE_EMPTY` before it. They may
come from the worker, or from the file `.env` that dbt 1.12 reads in the project or a folder above it. What the plan,
the engines or the spec decide must not be decided there a second time. docs/environment.md has the table for readers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from goldsmith.errors import ConfigurationError
from goldsmith.read_dotenv import dotenv_of
from goldsmith.spec.node import RESOURCE_TYPES

REFUSED: Mapping[str, str] = {
    "EMPTY": "`dbt build` would leave every table empty",
    "SAMPLE": "`dbt build` would build a part of the rows",
    "FULL_REFRESH": "ask for it in one run: goldsmith run --full-refresh, or the parameter full_refresh",
    "EVENT_TIME_START": "use `window` in the spec, or the parameter event_time_start of a run",
    "EVENT_TIME_END": "use `window` in the spec, or the parameter event_time_end of a run",
    "DEFER": "models would read tables of another environment",
    "DEFER_TO_STATE": "models would read tables of another environment",
    "RECORDER_MODE": "dbt would write down what the warehouse says, or repeat it without a warehouse",
}
"""What would build something else than the plan says, and why or what to do instead."""

OVERRIDDEN: Mapping[str, str] = {
    "ARTIFACT_STATE_PATH": "`state_manifest` in the spec",
    "DEFER_STATE": "`state_manifest` in the spec",
    "EXCLUDE_RESOURCE_TYPES": "the plan, which leaves them out as `exclude_resource_types` in the spec does",
    "EXPORT_SAVED_QUERIES": "the plan, which has no saved queries",
    "FAVOR_STATE": "the run's own target",
    "FAVOR_STATE_MODE": "the run's own target",
    "INCLUDE_SAVED_QUERY": "the plan, which has no saved queries",
    "INDIRECT_SELECTION": "the plan says which tests run",
    "LOG_CACHE_EVENTS": "Goldsmith reads dbt's log",
    "LOG_FILE_MAX_BYTES": "tasks write no dbt.log",
    "LOG_FORMAT": "Goldsmith reads dbt's log",
    "LOG_FORMAT_FILE": "tasks write no dbt.log",
    "LOG_LEVEL": "Goldsmith reads dbt's log",
    "LOG_LEVEL_FILE": "tasks write no dbt.log",
    "NO_PRINT": "Goldsmith reads dbt's log",
    "PARTIAL_PARSE_FILE_DIFF": "Goldsmith keeps what dbt parsed, and dbt has to look for changes",
    "PARTIAL_PARSE_FILE_PATH": "Goldsmith keeps what dbt parsed for each pipeline",
    "PRINT": "Goldsmith reads dbt's log",
    "PROJECT_DIR": "`project` in the spec",
    "QUIET": "Goldsmith reads dbt's log",
    "RESOURCE_TYPES": "the plan, which leaves out all other types as `exclude_resource_types` in the spec does",
    "STATE": "`state_manifest` in the spec",
    "TARGET": "`target` in the spec, or GOLDSMITH_TARGET",
    "UPLOAD_TO_ARTIFACTS_INGEST_API": "tasks write no artifacts",
    "USE_COLORS": "Goldsmith reads dbt's log",
    "USE_COLORS_FILE": "tasks write no dbt.log",
    "WRITE_JSON": "the manifest is written by `goldsmith manifest`, and tasks write no artifacts",
}
"""What does not reach dbt, and what decides instead."""

HONOURED = frozenset(
    {
        *(
            "CACHE_SELECTED_ONLY",
            "CLEAN_PROJECT_FILES_ONLY",
            "DEBUG",
            "DOWNLOAD_DIR",
            "FAIL_FAST",
            "HINTS_ENABLED",
        ),
        *("HOST", "INTROSPECT", "INVOCATION_ENV", "LOG_PATH", "MACRO_DEBUGGING", "MAXIMUM_SEED_SIZE_MIB"),
        *(
            "PACKAGE_HUB_URL",
            "PARTIAL_PARSE",
            "POPULATE_CACHE",
            "PP_FILE_DIFF_TEST",
            "PP_TEST",
            "PRINTER_WIDTH",
        ),
        *(
            "PROFILE",
            "PROFILES_DIR",
            "RECORDED_FILE_PATH",
            "SEND_ANONYMOUS_USAGE_STATS",
            "SHOW_RESOURCE_REPORT",
        ),
        *("SINGLE_THREADED", "SNOWFLAKE_PROJECTS_OTEL", "SQLPARSE", "STATIC_PARSER", "STORE_FAILURES"),
        *(
            "TARGET_PATH",
            "TEST_STATE_MODIFIED",
            "USE_EXPERIMENTAL_PARSER",
            "USE_FAST_TEST_EDGES",
            "USE_V2_PARSER",
        ),
        *("V2_PARSER", "VERSION_CHECK", "WARN_ERROR", "WARN_ERROR_OPTIONS"),
    }
)
"""What passes; where a task gives dbt an option on its command line, that one counts."""

_PREFIXES = ("DBT_ENGINE_", "DBT_")
_FALSE = {"", "0", "false", "f", "no", "n", "off"}


def dbt_environment(
    project_dir: Path,
    env: Mapping[str, str] | None = None,
    *,
    more: Mapping[str, str] | None = None,
    refuses: bool = True,
) -> dict[str, str]:
    """The whole environment of a dbt command.

    Args:
        project_dir: The dbt project, in which the command is started.
        env: What it starts from; default is that of this process.
        more: What it has beyond that.
        refuses: Whether the command is about the project's nodes, so that it must not be told to do something else.

    Raises:
        ConfigurationError: A variable would make dbt build something else than the plan says.
    """
    written = dotenv_of(project_dir)
    # A dbt that was loaded elsewhere, or that runs in a copy of the project, would not find the file.
    base = {**written, **(os.environ if env is None else env), **(more or {})}
    if refuses:
        _refuse(base)
    for name in _names((*REFUSED, *OVERRIDDEN)):
        had = base.pop(name, None)
        if name in written:
            base[name] = ""  # as good as unset for dbt, and not filled from the file
        elif had is not None and name.endswith("_PROJECT_DIR"):
            base[name] = str(project_dir)
    return {**base, "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}


@contextmanager
def environment(whole: Mapping[str, str] | None = None) -> Iterator[None]:
    """Give this process another environment for a while, by default its own: for a dbt that runs inside it."""
    before = dict(os.environ)
    _replace(before, before if whole is None else whole)
    try:
        yield
    finally:
        _replace(dict(os.environ), before)


def overridden(env: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The variables of an environment that do not reach dbt, each with what decides instead."""
    found = os.environ if env is None else env
    return tuple(
        f"{name} ({OVERRIDDEN[_short(name)]})" for name in sorted(_names(OVERRIDDEN)) if found.get(name)
    )


def without_options(env: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment without any of dbt's options, for a program that has a dbt project of its own."""
    known = set(_names((*REFUSED, *OVERRIDDEN, *HONOURED)))
    found = os.environ if env is None else env
    return {key: value for key, value in found.items() if key not in known}


def option(name: str, env: Mapping[str, str] | None = None) -> str | None:
    """The value that dbt takes for an option from its variables; None if there is none.

    Args:
        name: The variable without its prefix.
        env: The environment.
    """
    found = os.environ if env is None else env
    return next((found[one] for one in _names([name]) if found.get(one)), None)


def settings_of(project_dir: Path, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """What dbt takes options from in a project: an environment, and what dbt reads in `.env` where that has nothing.

    Args:
        project_dir: The dbt project.
        env: The environment of the command; default is that of this process.
    """
    return {**dotenv_of(project_dir), **(os.environ if env is None else env)}


def excluded_types(env: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The resource types that dbt's own variables leave out: they are left out of plan and runs alike.

    Args:
        env: The environment.
    """
    left_out, wanted = (
        set(re.split(r"[\s,]+", option(name, env) or ""))
        for name in ("EXCLUDE_RESOURCE_TYPES", "RESOURCE_TYPES")
    )
    if wanted != {""} and not wanted & {"all", "default"}:
        left_out |= {*RESOURCE_TYPES} - wanted - {"source"}  # freshness is checked by a command of its own
    return tuple(one for one in RESOURCE_TYPES if one in left_out)


def is_true(value: str | None) -> bool:
    """Whether dbt takes the value of a variable for true."""
    return value is not None and value.strip().lower() not in _FALSE


def _replace(old: Mapping[str, str], new: Mapping[str, str]) -> None:
    """Change what differs, and nothing else: a process whose whole environment moves cannot set its title any more."""
    for name in old.keys() - new.keys():
        os.environ.pop(name, None)
    os.environ.update({name: value for name, value in new.items() if old.get(name) != value})


def _refuse(env: Mapping[str, str]) -> None:
    for name, why in REFUSED.items():
        for variable in _names([name]):
            if is_true(env.get(variable)):
                raise ConfigurationError(
                    f"The environment sets {variable}={env[variable]}, which pipelines refuse: {why}.",
                    hint=f"unset {variable}, here or in .env, on every machine that runs Airflow's components.",
                )


def _names(short: Iterable[str]) -> list[str]:
    return [f"{prefix}{name}" for name in short for prefix in _PREFIXES]


def _short(name: str) -> str:
    return next(name.removeprefix(prefix) for prefix in _PREFIXES if name.startswith(prefix))
